//! A hostile container, a good one, and an agent that asks about them; and what must hold after every request,
//! whatever its answer.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use portolan_world::World;
use serde_json::{Value, json};

use super::agent::{self, GOOD, GOOD_FILE, MARK};
pub(super) use super::ask::{Ask, Tally, Told};
use crate::command::helper;
use crate::inside::{Inside, SOON};
use crate::oracle;

/// So much after its deadline an answer has to be there.
pub(super) const LATE: Duration = Duration::from_millis(250);
const GOOD_BYTES: &str = "good as ever";

pub(super) struct Scene {
    agent: Agent,
    /// The hostile one.
    pub(super) c: Inside,
    _good: Inside,
}

impl Scene {
    pub(super) fn start(world: &World) -> Self {
        Self::start_with(world, &[])
    }

    /// With more variables in the agent's environment.
    pub(super) fn start_with(world: &World, variables: &[(&str, &str)]) -> Self {
        let good = Inside::start(&World::new("good").file(GOOD_FILE, GOOD_BYTES));
        let c = Inside::start(world);
        Self { agent: Agent::start(good.pid(), variables), c, _good: good }
    }

    pub(super) fn agent(&self) -> u32 {
        self.agent.child.id()
    }

    /// Puts one request, and sees to all that must hold whatever comes of it.
    #[track_caller]
    pub(super) fn ask(&self, ask: &Ask) -> Told {
        self.begin(ask);
        self.finish(ask)
    }

    /// Puts a request and does not wait for its answer.
    pub(super) fn begin(&self, ask: &Ask) {
        self.agent.send(&self.order(ask));
    }

    #[track_caller]
    pub(super) fn finish(&self, ask: &Ask) -> Told {
        let answer = self.judged(ask);
        Told(answer["told"][0].clone())
    }

    /// Everything that the agent says after a request.
    #[track_caller]
    pub(super) fn ask_all(&self, ask: &Ask) -> Value {
        self.begin(ask);
        self.judged(ask)
    }

    /// Puts a request again and again.
    #[track_caller]
    pub(super) fn repeat(&self, ask: &Ask, time: Duration) -> Tally {
        let mut order = self.order(ask);
        order["repeat_ms"] = u64::try_from(time.as_millis()).unwrap().into();
        self.agent.send(&order);
        let tally = self.judged(ask)["tally"].clone();
        let timeout = ask.order["asks"][0]["timeout_ms"].as_u64().unwrap();
        let slowest = Duration::from_micros(tally["slowest"].as_u64().unwrap());
        assert!(slowest < Duration::from_millis(timeout) + LATE, "the slowest took {slowest:?}");
        Tally {
            outcomes: serde_json::from_value(tally["outcomes"].clone()).unwrap(),
            longest: tally["longest"].as_u64().unwrap(),
        }
    }

    /// Puts several, by so many threads of the agent; their timeouts are the same.
    #[track_caller]
    pub(super) fn together(&self, asks: &[Ask], threads: usize, stuck: usize) -> Vec<Told> {
        let mut ask = asks[0].clone().leaves(stuck);
        let all = asks.iter().map(|ask| self.order(ask)["asks"][0].take());
        ask.order = json!({ "asks": all.collect::<Vec<_>>(), "threads": threads });
        self.agent.send(&ask.order);
        let told = self.judged(&ask)["told"].as_array().unwrap().clone();
        told.into_iter().map(Told).collect()
    }

    /// The agent takes hold of a process that it is asked about later.
    pub(super) fn hold(&self, pid: i32) {
        self.agent.send(&json!({ "hold": pid }));
        assert_eq!(self.agent.hear()["held"], true, "{pid}");
    }

    fn order(&self, ask: &Ask) -> Value {
        let mut order = ask.order.clone();
        for one in order["asks"].as_array_mut().unwrap() {
            if one["pid"].is_null() {
                one["pid"] = ask.pid.unwrap_or(self.c.pid()).into();
            }
        }
        order
    }

    /// The common conditions.
    #[track_caller]
    fn judged(&self, ask: &Ask) -> Value {
        let answer = self.agent.hear();
        let told = answer["told"].as_array().map_or(&[][..], Vec::as_slice);
        for (one, asked) in told.iter().zip(ask.order["asks"].as_array().unwrap()) {
            let limit = Duration::from_millis(asked["timeout_ms"].as_u64().unwrap()) + LATE;
            let took = Duration::from_micros(one["micros"].as_u64().unwrap());
            assert!(took < limit, "{took:?}, limit {limit:?}: {asked}");
        }
        let (before, after) = (&answer["before"], &answer["after"]);
        assert_eq!(before["threads"], after["threads"], "threads, their networks, mounts and directories");
        let stuck = [0, 1].map(|at| usize::try_from(answer["stuck"][at].as_u64().unwrap()).unwrap());
        assert_eq!(stuck[1], ask.stuck, "helpers that hang: {}", answer["told"]);
        // Of each helper that hangs, the agent keeps a pipe.
        let (pipes, files) = open(before);
        let (pipes_after, files_after) = open(after);
        if ask.ends_server {
            let but_sockets = |files: &[&str]| files.iter().filter(|file| **file != "socket").count();
            assert_eq!(but_sockets(&files), but_sockets(&files_after), "{files:?} {files_after:?}");
        } else {
            assert_eq!(files, files_after);
        }
        assert_eq!(pipes + stuck[1], pipes_after + stuck[0], "pipes: {before} {after}");
        assert_eq!(answer["good"]["bytes"], GOOD_BYTES, "the next request: {}", answer["good"]);
        let start = Instant::now();
        while self.helpers_inside().len() != ask.stuck {
            assert!(start.elapsed() < SOON, "still inside: {:?}", self.helpers_inside());
            thread::sleep(Duration::from_millis(2));
        }
        answer
    }

    /// Processes of the agent's helper that stand in a container.
    pub(super) fn helpers_inside(&self) -> Vec<u32> {
        let own = oracle::namespace("self", "mnt");
        let all = self.helpers().into_iter();
        all.filter(|pid| mount_namespace(*pid).is_some_and(|mnt| mnt != own)).collect()
    }

    /// Waits until no helper hangs any more, because whoever let it hang is gone.
    #[track_caller]
    pub(super) fn wait_free(&self) {
        let start = Instant::now();
        loop {
            self.agent.send(&json!({ "stuck": true }));
            let stuck = self.agent.hear();
            if stuck == 0 {
                return;
            }
            assert!(start.elapsed() < SOON, "{stuck} hang although nothing holds them");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// All processes of the agent's helper, the server first.
    pub(super) fn helpers(&self) -> Vec<u32> {
        below(self.agent())
    }

    /// Waits until one stands in the hostile container, because its file system makes it wait.
    #[track_caller]
    pub(super) fn helper_that_waits(&self) -> u32 {
        let start = Instant::now();
        let mnt = oracle::namespace(self.c.pid(), "mnt");
        loop {
            let inside = self.helpers().into_iter().find(|pid| {
                let capabilities = oracle_status(*pid, "CapEff:");
                mount_namespace(*pid) == Some(mnt)
                    && capabilities.is_some_and(|set| set == "0000000000000004")
            });
            if let Some(pid) = inside {
                // It has come so far that it waits.
                thread::sleep(Duration::from_millis(30));
                return pid;
            }
            assert!(start.elapsed() < SOON, "no helper inside");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends the agent by SIGKILL.
    pub(super) fn kill_agent(&self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.agent()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    }
}

impl Drop for Scene {
    /// With the agent its helpers end; those that hang do so with whoever lets them hang.
    fn drop(&mut self) {
        let helpers: Vec<(u32, Option<String>)> =
            self.helpers().into_iter().map(|pid| (pid, start_time(pid))).collect();
        self.agent.end();
        if thread::panicking() {
            return;
        }
        let start = Instant::now();
        let mut killed = false;
        // A zombie is gone but for whoever should collect it.
        let alive = |(pid, time): &&(u32, Option<String>)| {
            start_time(*pid) == *time
                && oracle_status(*pid, "State:").is_some_and(|state| !state.starts_with('Z'))
        };
        while let Some(one) = helpers.iter().find(alive) {
            if !killed && start.elapsed() > Duration::from_millis(500) {
                let state = oracle_status(one.0, "State:");
                assert!(state.is_none_or(|state| state.starts_with('D')), "a helper lives on: {one:?}");
                self.c.container.kill();
                killed = true;
            }
            assert!(start.elapsed() < SOON, "a helper lives on: {one:?}");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// How many pipes, and everything else that is open.
fn open(state: &Value) -> (usize, Vec<&str>) {
    let all = state["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap());
    let (pipes, files): (Vec<&str>, Vec<&str>) = all.partition(|file| *file == "pipe");
    (pipes.len(), files)
}

fn below(pid: u32) -> Vec<u32> {
    agent::children(pid).into_iter().flat_map(|child| [vec![child], below(child)].concat()).collect()
}

pub(super) fn mount_namespace(pid: u32) -> Option<u64> {
    oracle::number_of_link(fs::read_link(format!("/proc/{pid}/ns/mnt")).ok()?.to_str()?)
}

/// A line of `/proc/PID/status`.
pub(super) fn oracle_status(pid: u32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(status.lines().find_map(|line| line.strip_prefix(name))?.trim().to_owned())
}

fn start_time(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.split(' ').nth(19)?.to_owned())
}

struct Agent {
    child: Child,
    input: Mutex<Option<ChildStdin>>,
    output: Mutex<BufReader<ChildStdout>>,
}

impl Agent {
    fn start(good: i32, variables: &[(&str, &str)]) -> Self {
        // It inherits descriptors that are not closed by an exec, two of them directories of the host.
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -n 256; exec \"$@\" 7</etc/passwd 8</ 9</root", "sh"]);
        // By this process and not by its path, where another build may have put another program.
        shell.arg(format!("/proc/{}/exe", std::process::id()));
        shell.args(["--ignored", "--exact", "hostile::agent::run", "--nocapture", "--test-threads=1"]);
        shell.env(GOOD, good.to_string()).env("PORTOLAN_HELPER", helper()).envs(variables.iter().copied());
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = shell.spawn().unwrap();
        let input = Mutex::new(child.stdin.take());
        let output = Mutex::new(BufReader::new(child.stdout.take().unwrap()));
        let agent = Self { child, input, output };
        assert_eq!(agent.hear()["ready"], true);
        agent
    }

    fn send(&self, order: &Value) {
        writeln!(self.input.lock().unwrap().as_mut().unwrap(), "{order}").unwrap();
    }

    #[track_caller]
    fn hear(&self) -> Value {
        let mut output = self.output.lock().unwrap();
        let mut line = String::new();
        loop {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "the agent has ended");
            if let Some(answer) = line.strip_prefix(MARK) {
                return serde_json::from_str(answer).unwrap();
            }
        }
    }

    fn end(&mut self) {
        self.input.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let start = Instant::now();
        while start.elapsed() < SOON && !thread::panicking() {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
