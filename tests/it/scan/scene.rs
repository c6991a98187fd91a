//! Actors that do at random what processes and containers do.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use portolan_world::World;
use serde_json::{Value, json};

use crate::inside::{Inside, SOON};
use crate::{oracle, servers};

use super::outside::Outside;

const MARK: &str = "PORTOLAN_STAGE";

const NEWNS: u64 = 0x2_0000;
const NEWUTS: u64 = 0x400_0000;
const NEWPID: u64 = 0x2000_0000;
const NEWNET: u64 = 0x4000_0000;
const FILES: u64 = 0x400;
/// Containers of every shape, and what is none.
const SHAPES: [u64; 7] = [
    0,
    NEWNET,
    NEWNS | NEWNET,
    NEWNS | NEWPID,
    NEWNS | NEWUTS | NEWPID | NEWNET,
    NEWNS | NEWPID | NEWNET,
    NEWNS | NEWUTS | NEWNET,
];
const FAMILIES: [&str; 15] = [
    "tcp4",
    "tcp4-any",
    "tcp6",
    "tcp6-any",
    "udp4",
    "udp6",
    "unix",
    "packets",
    "odd",
    "odd-packets",
    "path",
    "device",
    "device6",
    "multipath",
    "multipath6",
];

/// The same numbers each time (`SplitMix64`).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(limit).unwrap()).unwrap()
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        if of.is_empty() { None } else { of.get(self.below(of.len())) }
    }
}

/// Control groups as runtimes name them. They vanish with their last process.
struct Groups(PathBuf);

impl Groups {
    fn new(mark: &str) -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let line = mounts.lines().find(|line| line.contains(" - cgroup2 ")).unwrap();
        let top = PathBuf::from(line.split(' ').nth(4).unwrap());
        let groups = Self(top.join(format!("portolan-it-{mark}")));
        for directory in ["", "ours", "docker", "app.service"] {
            fs::create_dir(groups.0.join(directory)).unwrap();
        }
        for id in ["docker/one", "docker/two"].map(|name| groups.of(name)) {
            fs::create_dir(id).unwrap();
        }
        groups
    }

    fn of(&self, name: &str) -> PathBuf {
        self.0.join(name.replace("one", &"1a".repeat(32)).replace("two", &"2b".repeat(32)))
    }

    fn join(&self, pid: i32, name: &str) {
        // It may have ended.
        let _ = fs::write(self.of(name).join("cgroup.procs"), pid.to_string());
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        let start = Instant::now();
        for name in ["docker/one", "docker/two", "docker", "ours", "app.service", ""] {
            while fs::remove_dir(self.of(name)).is_err() && start.elapsed() < SOON {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

/// An actor, and what it holds by its keys.
#[derive(Debug, Default)]
struct Actor {
    name: String,
    pid: i32,
    held: Vec<String>,
    children: Vec<String>,
    threads: Vec<String>,
    /// What it has sent and nobody has received.
    flying: Vec<String>,
}

/// The stage and all that is on it.
pub(super) struct Scene {
    pub(super) random: Random,
    actors: Vec<Actor>,
    worlds: Vec<Inside>,
    stage: Outside,
    groups: Groups,
    number: usize,
    /// What was done, for the one who has to find out why it went wrong.
    pub(super) done: Vec<String>,
    pub(super) mark: String,
}

impl Scene {
    pub(super) fn new(seed: u64) -> Self {
        // In no name that another test makes of its number and a count.
        let mark = format!("scene{seed:x}of{}z", std::process::id());
        let groups = Groups::new(&mark);
        let mut stage = Command::new("python3");
        stage.args(["-c", include_str!("stage.py")]).env(MARK, &mark);
        let (stage, _) = Outside::start(&mut stage);
        let (actors, worlds, done) = (Vec::new(), Vec::new(), Vec::new());
        Self { random: Random(seed), actors, worlds, stage, groups, number: 0, done, mark }
    }

    fn key(&mut self) -> String {
        self.number += 1;
        format!("portolan-{}-{}", self.mark, self.number)
    }

    fn order(&mut self, order: &Value) -> String {
        let answer = self.stage.tell(&order.to_string());
        self.done.push(format!("{order}: {answer}"));
        assert!(!answer.is_empty(), "the stage has ended: {:?}", self.done);
        answer
    }

    /// Has an actor do something; whether it did.
    fn tell(&mut self, at: usize, order: &[Value]) -> bool {
        let whole = [&[json!("tell"), json!(self.actors[at].name)], order].concat();
        self.order(&Value::Array(whole)) == "done"
    }

    fn start(&mut self) {
        let name = self.key();
        let shape = SHAPES[self.random.below(SHAPES.len())];
        let pid = self.order(&json!(["start", name, shape])).parse().unwrap();
        self.actors.push(Actor { name, pid, ..Actor::default() });
    }

    /// Something happens; false when it could not.
    pub(super) fn step(&mut self) -> bool {
        if self.actors.len() < 3 {
            self.start();
            return true;
        }
        let at = self.random.below(self.actors.len());
        let other = self.random.below(self.actors.len());
        let key = self.key();
        match self.random.below(44) {
            0 if self.actors.len() < 9 => self.start(),
            1 => {
                let actor = self.actors.swap_remove(at);
                self.order(&json!(["stop", actor.name]));
            }
            2..=6 => {
                let family = FAMILIES[self.random.below(FAMILIES.len())];
                let listens = self.tell(at, &[json!("listen"), json!(key), json!(family), json!(key)]);
                if listens {
                    self.actors[at].held.push(key);
                }
                return listens;
            }
            7 | 8 => {
                let Some(held) = self.random.one(&self.actors[at].held).cloned() else { return false };
                self.actors[at].held.retain(|key| *key != held);
                return self.tell(at, &[json!("close"), json!(held)]);
            }
            9 => {
                let Some(held) = self.random.one(&self.actors[at].held).cloned() else { return false };
                return self.tell(at, &[json!("connect"), json!(held), json!(key)]);
            }
            10 | 11 if at != other => {
                let Some(held) = self.random.one(&self.actors[at].held).cloned() else { return false };
                let keeps = self.random.below(2) == 0;
                let names = (&self.actors[at].name, &self.actors[other].name);
                let order = json!(["pass_on", names.0, held, keeps, names.1]);
                if !keeps {
                    self.actors[at].held.retain(|key| *key != held);
                }
                if self.order(&order) == "done" && !self.actors[other].held.contains(&held) {
                    self.actors[other].held.push(held);
                }
            }
            12 | 13 => {
                self.tell(at, &[json!("fork"), json!(key)]);
                self.actors[at].children.push(key);
            }
            14 | 15 => {
                let sockets: Vec<String> =
                    self.random.one(&self.actors[at].held).into_iter().cloned().collect();
                self.tell(at, &[json!("become"), json!(key), json!("sleep"), json!(sockets)]);
                self.actors[at].children.push(key);
            }
            16 => {
                let Some(child) = self.random.one(&self.actors[at].children).cloned() else { return false };
                self.actors[at].children.retain(|key| *key != child);
                return self.tell(at, &[json!("end_child"), json!(child)]);
            }
            17 if at != other => {
                let order = json!(["enter", self.actors[at].name, self.actors[other].name]);
                return self.order(&order) == "done";
            }
            18 => {
                let order = json!(["home", self.actors[at].name]);
                if self.random.below(2) == 0 {
                    return self.order(&order) == "done";
                }
                return self.tell(at, &[json!("unshare")]);
            }
            19 => {
                let flags = [NEWNET, NEWNET | FILES, FILES][self.random.below(3)];
                let runs = self.tell(at, &[json!("thread"), json!(key), json!(flags), json!(key)]);
                if runs {
                    self.actors[at].threads.push(key);
                }
                return runs;
            }
            20 => {
                let Some(thread) = self.random.one(&self.actors[at].threads).cloned() else { return false };
                self.actors[at].threads.retain(|key| *key != thread);
                return self.tell(at, &[json!("end_thread"), json!(thread)]);
            }
            21 | 22 => {
                // The host keeps its name.
                let uts = |of: &dyn std::fmt::Display| oracle::namespace(of, "uts");
                let own = uts(&self.actors[at].pid) != uts(&"self");
                let what = if own { "hostname" } else { "comm" };
                // Without blanks, which lsns, an oracle of other tests, cannot read over.
                let odd = if own || self.random.below(2) == 0 { "" } else { ")S\u{1b}\u{ff}\\" };
                let name = format!("n{}{odd}", self.number);
                return self.tell(at, &[json!(what), json!(name)]);
            }
            23 | 24 => {
                // As many listeners as before, and another one.
                let Some(held) = self.random.one(&self.actors[at].held).cloned() else { return false };
                self.tell(at, &[json!("close"), json!(held)]);
                self.actors[at].held.retain(|key| *key != held);
                let family = FAMILIES[self.random.below(2)];
                if self.tell(at, &[json!("listen"), json!(key), json!(family), json!(key)]) {
                    self.actors[at].held.push(key);
                }
            }
            25 | 26 => {
                let own: Vec<i32> = self.own().into_iter().filter(|pid| *pid != self.stage.pid()).collect();
                let Some(pid) = self.random.one(&own).copied() else { return false };
                let groups = ["docker/one", "docker/two", "ours", "app.service"];
                let group = groups[self.random.below(groups.len())];
                self.groups.join(pid, group);
                self.done.push(format!("{pid} to {group}"));
            }
            30..=43 => return self.rarer(at, key),
            _ => {
                if self.worlds.len() < 2 {
                    let world = World::new(&key[..key.len().min(60)]).env(MARK, &self.mark);
                    let ports = [("127.0.0.1", 8300), ("::", 8301)];
                    let c = Inside::start(&servers::banner(world, "", &ports));
                    c.wait_log("listening");
                    self.worlds.push(c);
                } else {
                    self.worlds.remove(0);
                }
                self.done.push(format!("{} containers of portolan-world", self.worlds.len()));
            }
        }
        true
    }

    /// What few programs do.
    fn rarer(&mut self, at: usize, key: String) -> bool {
        let held = self.random.one(&self.actors[at].held).cloned();
        match (self.random.below(9), held) {
            (0 | 1, Some(held)) => {
                let flies = self.tell(at, &[json!("fly"), json!(held)]);
                if flies {
                    self.actors[at].held.retain(|key| *key != held);
                    self.actors[at].flying.push(held);
                }
                flies
            }
            (2, _) => {
                let Some(flying) = self.random.one(&self.actors[at].flying).cloned() else { return false };
                self.actors[at].flying.retain(|key| *key != flying);
                let lands = self.tell(at, &[json!("land"), json!(flying)]);
                if lands {
                    self.actors[at].held.push(flying);
                }
                lands
            }
            (3, _) => {
                let leaves = self.tell(at, &[json!("leave"), json!(key), json!(key)]);
                if leaves {
                    self.actors[at].held.push(key);
                }
                leaves
            }
            (4, Some(held)) => {
                let has = self.tell(at, &[json!("duplicate"), json!(held), json!(key)]);
                if has {
                    self.actors[at].held.push(key);
                }
                has
            }
            (5 | 6, held) => {
                let sockets: Vec<String> = held.into_iter().collect();
                let starts = self.tell(at, &[json!("headless"), json!(key), json!(sockets)]);
                if starts {
                    self.actors[at].children.push(key);
                }
                starts
            }
            (7 | 8, _) => {
                let starts = self.tell(at, &[json!("user"), json!(key), json!(65534)]);
                if starts {
                    self.actors[at].children.push(key);
                }
                starts
            }
            _ => false,
        }
    }

    /// All processes that are ours, by a variable that they inherit. One whose first thread has ended shows none, and
    /// is its parent's.
    pub(super) fn own(&self) -> Vec<i32> {
        let mark = format!("{MARK}={}", self.mark);
        let processes = fs::read_dir("/proc").unwrap();
        let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let (mut own, mut silent) = (Vec::new(), Vec::new());
        for pid in pids {
            let variables = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            if variables.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) {
                own.push(pid);
            } else if variables.is_empty() {
                silent.push(pid);
            }
        }
        let parent = |pid: i32| -> Option<i32> {
            let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
            let stat = String::from_utf8_lossy(&stat);
            stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
        };
        let ours: Vec<i32> =
            silent.into_iter().filter(|pid| parent(*pid).is_some_and(|p| own.contains(&p))).collect();
        own.extend(ours);
        own.sort_unstable();
        own
    }
}
