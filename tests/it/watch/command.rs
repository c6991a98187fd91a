//! `portolan watch`: what it writes, how it ends, and what it does under a flood and without the kernel's events.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portolan_world::need::Need;
use portolan_world::{World, require};
use serde_json::Value;

use super::LIMIT;
use crate::command::{binary, command};
use crate::inside::Inside;
use crate::scratch::Scratch;
use crate::servers;

/// Made by `fork` alone, in batches that end before the next one begins.
const FLOOD: &str = "
import os, sys
for i in range(int(sys.argv[1]) // 50):
    pids = []
    for j in range(50):
        pid = os.fork()
        if pid == 0: os._exit(0)
        pids.append(pid)
    for pid in pids: os.waitpid(pid, 0)
";

/// A command that watches; killed when this is dropped.
pub(super) struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    pub(super) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let output = child.stdout.take().unwrap();
        std::thread::spawn(move || read(output, &sender));
        Self { child, lines }
    }

    fn portolan(arguments: &[&str]) -> Self {
        Self::start(command(["watch"].iter().chain(arguments)))
    }

    #[track_caller]
    fn line(&self) -> String {
        self.lines.recv_timeout(LIMIT).expect("nothing is told")
    }

    #[track_caller]
    pub(super) fn update(&self) -> Value {
        let update: Value = serde_json::from_str(&self.line()).unwrap();
        assert_eq!(update["schema"], "portolan.update/1");
        for what in ["containers", "listeners"] {
            for how in ["added", "changed", "removed"] {
                assert!(update[what][how].is_array(), "{update}");
            }
        }
        update
    }

    /// Waits until a port is told to be listened on.
    #[track_caller]
    pub(super) fn until_listens(&self, port: u16) -> Value {
        loop {
            let update = self.update();
            let listeners = update["listeners"]["added"].as_array().unwrap();
            if listeners.iter().any(|l| l["port"] == port) {
                return update;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Waits until it has ended; gives how, and what it wrote to standard error.
    #[track_caller]
    fn ended(&mut self) -> (ExitStatus, String) {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < Duration::from_secs(5), "it goes on");
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (status, stderr)
    }

    /// Resident memory, in KiB.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let field = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        field.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }
}

fn read(output: ChildStdout, sender: &mpsc::Sender<String>) {
    for line in BufReader::new(output).lines() {
        let Ok(line) = line else { break };
        if sender.send(line).is_err() {
            break;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn server(name: &str, port: u16) -> Inside {
    Inside::start(&servers::banner(World::new(name), "", &[("127.0.0.1", port)]))
}

fn flood(count: u32) {
    let mut python = Command::new("python3");
    assert!(python.args(["-c", FLOOD, &count.to_string()]).status().unwrap().success());
}

#[test]
fn an_object_on_a_line_for_each_update_until_it_is_interrupted() {
    require!(Need::Root, Need::Overlay);
    let mut watch = Running::portolan(&["--json", "--interval-ms", "1000"]);
    let first = watch.update();
    assert_eq!(first["whole"], true);
    let c = server("told-in-json", 7580);
    watch.until_listens(7580);
    c.container.kill();
    loop {
        let removed = watch.update()["listeners"]["removed"].take();
        if removed.as_array().unwrap().iter().any(|l| l["port"] == 7580) {
            break;
        }
    }
    watch.signal(Signal::SIGINT);
    let (status, stderr) = watch.ended();
    assert_eq!((status.signal(), stderr.as_str()), (Some(2), ""));
}

#[test]
fn a_line_for_each_change() {
    require!(Need::Root, Need::Overlay);
    let watch = Running::portolan(&["--interval-ms", "1000"]);
    assert!(watch.line().starts_with("+ "));
    let c = server("told-in-lines", 7581);
    let until = |start: &str, end: &str| loop {
        let line = watch.line();
        if line.starts_with(start) && line.contains(end) {
            break line;
        }
    };
    let line = until("+ tcp", "127.0.0.1:7581");
    assert!(line.contains("python3"), "{line}");
    c.container.kill();
    until("- tcp", "127.0.0.1:7581");
}

#[test]
fn it_ends_when_nobody_reads_although_nothing_happens() {
    require!(Need::Root);
    let mut child = command(["watch", "--json", "--poll", "--interval-ms", "600000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut String::new()).unwrap();
    drop(reader);
    let (_, lines) = mpsc::channel();
    let mut running = Running { child, lines };
    let (status, stderr) = running.ended();
    assert_eq!((status.code(), stderr.as_str()), (Some(1), ""));
}

#[test]
fn a_flood_neither_stalls_it_nor_makes_it_grow() {
    require!(Need::Root, Need::Overlay, Need::File("/proc/net/connector"), Need::Program("python3"));
    let watch = Running::portolan(&["--json", "--interval-ms", "600000"]);
    watch.update();
    flood(1000);
    let before = watch.memory();
    let other = std::thread::spawn(|| flood(20_000));
    let _c = server("in-the-flood", 7582);
    watch.until_listens(7582);
    other.join().unwrap();
    let _c = server("after-the-flood", 7583);
    let update = watch.until_listens(7583);
    assert!(update["short_lived"].is_u64());
    let grown = watch.memory().saturating_sub(before);
    assert!(grown < 8 << 10, "{grown} KiB");
}

#[test]
fn events_that_were_lost_are_made_up_for_by_a_whole_scan() {
    require!(Need::Root, Need::Overlay, Need::File("/proc/net/connector"), Need::Program("python3"));
    // By BPF, who listens is told apart from the rest, and can be told before it is seen that something was lost.
    let watch = Running::portolan(&["--json", "--source", "syscalls", "--interval-ms", "600000"]);
    watch.update();
    watch.signal(Signal::SIGSTOP);
    let forked = std::panic::catch_unwind(|| flood(40_000));
    let c = std::panic::catch_unwind(|| {
        let c = server("lost-and-found", 7584);
        c.wait_log("listening");
        c
    });
    watch.signal(Signal::SIGCONT);
    let (Ok(()), Ok(_c)) = (forked, c) else { panic!("nothing was started") };
    assert_eq!(watch.until_listens(7584)["whole"], true);
}

#[test]
fn where_the_kernel_tells_nothing_it_says_so_and_scans() {
    require!(Need::Root, Need::Overlay);
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(binary());
    unshare.args(["watch", "--json", "--interval-ms", "500"]);
    let mut watch = Running::start(unshare);
    let first = watch.update();
    assert!(first["short_lived"].is_null() && first["whole"] == true, "{first}");
    watch.child.kill().unwrap();
    let (_, stderr) = watch.ended();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(
        stderr.starts_with("portolan: the kernel does not tell us") && stderr.contains("doctor"),
        "{stderr}"
    );
}

#[test]
fn who_may_see_little_watches_that() {
    require!(Need::Root, Need::Program("setpriv"));
    let copies = Scratch::new();
    copies.program(&binary(), "portolan");
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(copies.join("portolan"));
    setpriv.args(["watch", "--json", "--interval-ms", "500"]);
    let mut watch = Running::start(setpriv);
    assert_eq!(watch.update()["whole"], true);
    watch.signal(Signal::SIGTERM);
    assert_eq!(watch.ended().0.signal(), Some(15));
}
