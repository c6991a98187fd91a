//! The agent around the server: killed, or short of what starting one takes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use portolan::{ErrorKind, Limit, Process, ReadOptions};
use portolan_world::need::Need;
use portolan_world::require;

use super::{Known, children, has_ended, if_there, read, signal, wait_until};
use super::{again, door, guests, is_gone, known, mute, own_pid, patient, plain, reads, server, servers_of};
use crate::inside::{Inside, SOON};

const VICTIM: &str = "PORTOLAN_VICTIM";

/// An agent in a process of its own, which asks about the container until it is killed.
struct Victim(Child);

impl Victim {
    fn start(test: &str, c: &Inside, path: &str) -> Self {
        let mut agent = again(test);
        agent.env(VICTIM, format!("{} {path}", c.pid()));
        Self(agent.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Its server, once it has one.
    fn server(&mut self) -> i32 {
        let output = BufReader::new(self.0.stdout.as_mut().unwrap());
        let mut said = output.lines().map_while(Result::ok);
        assert!(said.any(|line| line.ends_with("ready")), "it has ended");
        let servers = servers_of(i32::try_from(self.0.id()).unwrap());
        assert_eq!(servers.len(), 1);
        servers[0]
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the victim does.
fn be_victim(what: &str) -> ! {
    let (pid, path) = what.split_once(' ').unwrap();
    let (files, process) = (door(), Process::open(pid.parse().unwrap()).unwrap());
    files.read(&process, "/app/file", &ReadOptions::default().timeout(SOON)).unwrap();
    std::io::stdout().write_all(b"\nready\n").unwrap();
    loop {
        let _ = files.read(&process, path, &patient(Duration::from_secs(20)));
    }
}

#[test]
fn a_killed_agent_leaves_no_helper() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"));
    if let Ok(what) = std::env::var(VICTIM) {
        be_victim(&what);
    }
    let c = mute("killed-agent");
    let test = concat!(module_path!(), "::a_killed_agent_leaves_no_helper");
    // In the middle of a request that waits, and between requests that are quick.
    for path in ["/hang/file", "/app/file"] {
        let mut agent = Victim::start(test, &c, path);
        let server = known(agent.server());
        if path == "/hang/file" {
            wait_until("it waits inside", || !guests(&c).is_empty());
        }
        // Some of them may end before they are asked.
        let all: Vec<Known> = children(server.0).into_iter().filter_map(if_there).collect();
        drop(agent);
        wait_until("the server has ended", || has_ended(server));
        wait_until("nobody is left inside", || guests(&c).is_empty());
        wait_until("its children have ended", || all.iter().all(|child| has_ended(*child)));
    }
}

/// Somebody who changes a limit of this process when told to: starting a program may not be possible then.
struct Keeper(Child);

impl Keeper {
    fn start() -> Self {
        let script = "while read limit; do prlimit --pid $PPID --nofile=$limit: && echo done; done";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        Self(shell.spawn().unwrap())
    }

    fn limit(&mut self, descriptors: usize) {
        writeln!(self.0.stdin.as_mut().unwrap(), "{descriptors}").unwrap();
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "done\n");
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_agent_without_descriptors_is_told_so_and_recovers() {
    require!(Need::Root, Need::Overlay, Need::Program("prlimit"));
    alone!();
    let (c, mut keeper) = (plain("few-descriptors"), Keeper::start());
    let files = door();
    let how = ReadOptions::default().timeout(SOON);
    let few = Err(ErrorKind::Limit(Limit::Descriptors));
    // The next number that would be given away, and a few more.
    let next = || {
        let used: Vec<usize> = std::fs::read_dir("/proc/self/fd")
            .unwrap()
            .map(|fd| fd.unwrap().file_name().to_str().unwrap().parse().unwrap())
            .collect();
        (0..).find(|n| !used.contains(n)).unwrap()
    };
    // First without a server, then with one.
    for served in [false, true] {
        let at = next();
        let mut refused = 0;
        for more in 0..16 {
            keeper.limit(at + more);
            match read(&files, &c, "/app/file", &how) {
                Ok(bytes) => assert_eq!(bytes, b"read"),
                outcome => {
                    assert_eq!(outcome, few, "{more} descriptors, served: {served}");
                    refused += 1;
                }
            }
            if !served && !servers_of(own_pid()).is_empty() {
                break;
            }
        }
        assert!(refused > 0, "or there was no limit");
        keeper.limit(1024);
        reads(&files, &c);
        // And when the server has to be started anew while there is no room for it.
        let old = known(server());
        signal(old.0, Signal::SIGKILL);
        wait_until("it is collected", || is_gone(old));
        keeper.limit(next() + 4);
        assert!(read(&files, &c, "/app/file", &how).is_err());
        keeper.limit(1024);
        reads(&files, &c);
    }
}
