//! What is left of containers, however they and their tests end: nothing.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use portolan_world::leftovers::Census;
use portolan_world::need::Need;
use portolan_world::{World, require};

const SOON: Duration = Duration::from_secs(5);
/// Selects a world for [`victim`].
const VICTIM: &str = "PORTOLAN_WORLD_VICTIM";
/// What it is to put on the command lines of its processes.
const WORD: &str = "PORTOLAN_WORLD_WORD";

/// Seconds to sleep that no other process does.
fn word(number: u32) -> String {
    format!("{number}.{}", std::process::id())
}

/// Whether a process has ended. A zombie has; nobody but its parent can do anything about that.
fn is_gone(pid: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}

fn await_gone(pids: &[i32], limit: Duration) {
    let start = Instant::now();
    while let Some(pid) = pids.iter().find(|pid| !is_gone(**pid)) {
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline"));
        assert!(start.elapsed() < limit, "{pid} lives on: {command:?}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// The processes with this word on their command line, as soon as there are `count`.
fn processes_with(word: &str, count: usize) -> Vec<i32> {
    let has_word = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|one| one == word.as_bytes())
    };
    let start = Instant::now();
    loop {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let pids: Vec<i32> = pids.filter(has_word).collect();
        if pids.len() == count {
            return pids;
        }
        assert!(start.elapsed() < SOON, "{count} processes with {word}, not {pids:?}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn nothing_after_a_panic() {
    require!(Need::Root, Need::Overlay);
    let census = Census::take();
    let mut pid = 0;
    let result = catch_unwind(AssertUnwindSafe(|| {
        let c = World::new("panicking").start().unwrap();
        pid = c.pid();
        panic!("on purpose");
    }));
    assert!(result.is_err());
    assert!(is_gone(pid) && pid != 0);
    census.assert_unchanged();
}

#[test]
fn nothing_of_a_container_without_pids() {
    require!(Need::Root, Need::Overlay);
    let census = Census::take();
    let word = word(9001);
    let mut world = World::new("shared-pid").share_pid().prepare(format!("setsid sleep {word} &"));
    for _ in 0..2 {
        let c = world.start().unwrap();
        c.exec(["sh", "-c", &format!("(setsid sleep {word} >/dev/null 2>&1 &)")]).unwrap();
        let pids = processes_with(&word, 2);
        drop(c);
        await_gone(&pids, SOON);
        world = world.share_mount();
    }
    census.assert_unchanged();
}

#[test]
fn survives_the_thread_that_started_it() {
    require!(Need::Root, Need::Overlay);
    let census = Census::take();
    let c = thread::spawn(|| World::new("inherited").start().unwrap()).join().unwrap();
    thread::sleep(Duration::from_millis(50));
    assert!(c.is_running());
    drop(c);
    census.assert_unchanged();
}

#[test]
fn many_at_once() {
    require!(Need::Root, Need::Overlay);
    let census = Census::take();
    let start = Instant::now();
    let starters: Vec<_> = (0..20)
        .map(|number| {
            thread::spawn(move || {
                let c = World::new(format!("many-{number}")).file("/etc/world", number.to_string());
                c.command(["sh", "-c", "cat /etc/world; exec sleep infinity"]).start().unwrap()
            })
        })
        .collect();
    let containers: Vec<_> = starters.into_iter().map(|starter| starter.join().unwrap()).collect();
    println!("20 containers at once: {:?}", start.elapsed());
    for (number, c) in containers.iter().enumerate() {
        while c.is_running() && c.log().is_empty() {
            thread::yield_now();
        }
        assert_eq!(c.log(), number.to_string());
    }
    let start = Instant::now();
    drop(containers);
    println!("their end: {:?}", start.elapsed());
    census.assert_unchanged();
}

#[test]
fn start_up_time() {
    require!(Need::Root, Need::Overlay);
    let census = Census::take();
    for (what, world) in [
        ("plain", World::new("timed")),
        ("with a script", World::new("timed").prepare("mkfifo /app")),
        ("with users", World::new("timed").user_namespace()),
    ] {
        let mut starts = Vec::new();
        let mut ends = Vec::new();
        for _ in 0..20 {
            let start = Instant::now();
            let c = world.start().unwrap();
            starts.push(start.elapsed());
            let start = Instant::now();
            drop(c);
            ends.push(start.elapsed());
        }
        starts.sort_unstable();
        ends.sort_unstable();
        println!("{what}: start {:?} median, {:?} most; end {:?} median", starts[10], starts[19], ends[10]);
    }
    census.assert_unchanged();
}

/// Not a test: what [`nothing_after_sigkill`] runs, and kills.
#[test]
#[ignore = "run by another test"]
fn victim() {
    let Some(kind) = std::env::var_os(VICTIM) else { return };
    let word = std::env::var(WORD).unwrap();
    // Should nobody be there any more to kill us, our input ends.
    thread::spawn(|| {
        let _ = std::io::stdin().read_line(&mut String::new());
        std::process::exit(1);
    });
    let world = World::new("victim");
    let world = match kind.to_str().unwrap() {
        "plain" => world,
        "nobody" => world.user("nobody").prepare("true"),
        "users" => world.user_namespace(),
        "users-nobody" => world.user_namespace().user("nobody"),
        "pids" => world.share_pid().prepare(format!("setsid sleep {word} &")),
        "script" => world.prepare(format!("sleep {word}")),
        other => panic!("{other}?"),
    };
    let c = world.start().unwrap();
    c.exec(["sh", "-c", &format!("(setsid sleep {word} >/dev/null 2>&1 &)")]).unwrap();
    println!("\nready {}", c.pid());
    thread::sleep(Duration::from_secs(600));
}

#[test]
fn nothing_after_sigkill() {
    require!(Need::Root, Need::Overlay, Need::UserNamespaces);
    let census = Census::take();
    for (number, kind, count) in [
        (9010, "plain", 1),
        (9011, "nobody", 1),
        (9012, "users", 1),
        (9013, "users-nobody", 1),
        (9014, "pids", 2),
        // Killed while it still prepares its container.
        (9015, "script", 1),
    ] {
        let word = word(number);
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim", "--ignored", "--nocapture"])
            .env(VICTIM, kind)
            .env(WORD, &word)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pids = processes_with(&word, count);
        if kind != "script" {
            let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
            let ready = lines.find_map(|line| line.unwrap().strip_prefix("ready ").map(str::to_owned));
            pids.push(ready.unwrap().parse().unwrap());
        }
        // SIGKILL, so nothing of its own can clean up.
        victim.kill().unwrap();
        victim.wait().unwrap();
        await_gone(&pids, Duration::from_secs(1));
    }
    census.assert_unchanged();
}
