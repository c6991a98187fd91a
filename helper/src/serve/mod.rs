//! The server: one process for all requests, which does nothing itself but fork.
//!
//! It is started once by the library, and never enters a container. Its children wait on the same socket; each takes
//! one request, says so, answers it and ends, and the server makes the next one meanwhile. So a request costs its
//! caller neither an exec nor a fork, and still has a process of its own. Children that wait in vain end by
//! themselves: an idle server has none.
//!
//! A child that is not done a moment after its deadline is killed. One that does not even die then (a file system
//! does not answer) is left alone until the kernel lets it go.

mod child;
#[allow(unsafe_code)]
mod sys;

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use portolan_wire::VERSION;
use portolan_wire::frame::{Hello, MAGIC};

use crate::answer::Fault;
use crate::{confine, enter, seal};
use child::Taken;

/// As many processes at once, stuck ones included.
const MOST: usize = 128;
/// As many wait for requests when there are many.
const MOST_SPARE: usize = 8;
/// When no more wait, a request wakes the server.
const FEW: usize = 1;
/// A child that waited for so long in vain ends.
const PATIENCE: Duration = Duration::from_secs(1);
/// Requests that come closer than this are many.
const CLOSE: Duration = Duration::from_millis(5);
/// After so many children that died before they took a request, something is wrong that another does not mend.
const STILLBORN: u32 = 8;
/// While children are at work, the server looks after them so often.
const LOOK: Duration = Duration::from_millis(20);
/// Time for a child's own alarm.
const GRACE: Duration = Duration::from_millis(40);

/// What a server and its children share.
#[derive(Debug)]
struct Hub {
    /// The library's requests.
    socket: OwnedFd,
    /// A child that has taken a request says so here.
    taken: OwnedFd,
    procfs: OwnedFd,
    hello: Hello,
    /// Room for a request, made once.
    buffer: Vec<u8>,
    pid: i32,
}

#[derive(Debug)]
struct Child {
    pid: i32,
    taken: Option<(Taken, Instant)>,
    killed: bool,
}

/// Serves until the other side is gone.
pub(crate) fn run(socket: OwnedFd) -> Result<(), Fault> {
    let start = |errno| Fault::of_errno(portolan_wire::code::Stage::Confine, errno);
    let mut hello = Hello::default();
    let procfs = enter::procfs(&mut hello.posture)?;
    seal::look(&mut hello.posture);
    let (notices, taken) = sys::pipe().map_err(start)?;
    let signals = sys::child_signals().map_err(start)?;
    let token = sys::Token::new().map_err(start)?;
    sys::set_patience(socket.as_fd(), PATIENCE);
    // First, because who started us may allow fewer descriptors than a child needs.
    confine::limit(&mut hello);
    confine::for_good(&mut hello)?;
    confine::keep_entering()?;
    crate::sys::set_not_dumpable();
    confine::wall_in(&mut hello, Some(token.value()));
    let mut ready = MAGIC.to_vec();
    ready.extend_from_slice(&VERSION.to_le_bytes());
    sys::send(socket.as_fd(), &ready);
    let buffer = vec![0; portolan_wire::limits::MAX_REQUEST];
    let hub = Hub { socket, taken, procfs, hello, buffer, pid: sys::own_pid() };
    Server { hub, notices, signals, token, children: Vec::new(), wanted: 0, last: None, stillborn: 0 }
        .serve();
    Ok(())
}

struct Server {
    hub: Hub,
    notices: OwnedFd,
    signals: OwnedFd,
    token: sys::Token,
    children: Vec<Child>,
    /// How many children are to wait.
    wanted: usize,
    /// When the last request was taken.
    last: Option<Instant>,
    stillborn: u32,
}

/// What became of an attempt to have one more child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grown {
    Yes,
    No,
    /// This process is the child.
    IsChild,
}

impl Server {
    fn serve(mut self) {
        while self.stillborn < STILLBORN {
            let mut grown = Grown::Yes;
            // Several at once: each time the server has to wake up, and to have its own pages copied after the forks.
            if self.spare() <= self.wanted / 2 {
                while grown == Grown::Yes && self.spare() < self.wanted {
                    grown = self.grow();
                }
            }
            if grown == Grown::IsChild {
                return self.be_child();
            }
            // A request wakes a waiting child, and the end of a child the server, after the answer: whoever waits for
            // it is not kept by the server's own work. Only where few children wait, as far as is known, a request
            // wakes the server too.
            let full = grown == Grown::No || self.children.len() >= MOST;
            let requests = if self.spare() <= FEW && !full { libc::POLLIN } else { 0 };
            let socket = (self.hub.socket.as_fd(), requests | libc::POLLRDHUP);
            let [_, requests] = sys::poll([(self.signals.as_fd(), libc::POLLIN), socket], self.next_look());
            if requests & (libc::POLLHUP | libc::POLLRDHUP | libc::POLLERR) != 0 {
                return;
            }
            // In this order: a child says that it took a request before it ends.
            self.note();
            self.reap();
            self.kill_late();
            if requests & libc::POLLIN != 0 && self.spare() <= FEW && self.grow() == Grown::IsChild {
                return self.be_child();
            }
        }
    }

    /// In the child: what is the server's alone is closed before a request is waited for.
    fn be_child(self) {
        let Self { hub, notices, signals, .. } = self;
        drop((notices, signals));
        child::work(hub)
    }

    /// How long it may sleep.
    fn next_look(&self) -> Option<Duration> {
        let alive = self.children.iter().filter(|child| !child.killed);
        let untils = alive.map(|child| child.taken.as_ref().map(|(_, until)| *until));
        let now = Instant::now();
        let left = |until: Option<Instant>| {
            until.map_or(LOOK, |until| until.saturating_duration_since(now).min(LOOK))
        };
        untils.map(left).min().map(|left| left.saturating_add(Duration::from_micros(100)))
    }

    fn spare(&self) -> usize {
        self.children.iter().filter(|child| child.taken.is_none()).count()
    }

    /// One more child.
    fn grow(&mut self) -> Grown {
        if self.children.len() >= MOST {
            return Grown::No;
        }
        match self.token.fork() {
            Ok(None) => Grown::IsChild,
            Ok(Some(pid)) => {
                self.children.push(Child { pid, taken: None, killed: false });
                Grown::Yes
            }
            // No room for processes now; the requests wait in the socket.
            Err(_) => Grown::No,
        }
    }

    /// Which children have taken requests.
    fn note(&mut self) {
        let mut notes = [0_u8; 16 * Taken::LENGTH];
        while let Ok(got) = crate::sys::read(self.notices.as_fd(), &mut notes)
            && got > 0
        {
            let now = Instant::now();
            for note in notes.get(..got).unwrap_or(&[]).chunks_exact(Taken::LENGTH) {
                let Some(taken) = Taken::read(note) else { continue };
                let until = now.checked_add(taken.time().saturating_add(GRACE)).unwrap_or(now);
                if let Some(child) = self.children.iter_mut().find(|child| child.pid == taken.pid) {
                    child.taken = Some((taken, until));
                }
                self.stillborn = 0;
                let close = self.last.is_some_and(|last| now.duration_since(last) < CLOSE);
                self.wanted =
                    if close { self.wanted.saturating_add(1).min(MOST_SPARE) } else { self.wanted.max(1) };
                self.last = Some(now);
            }
        }
    }

    fn reap(&mut self) {
        let mut waste = [0_u8; 1024];
        let _ = crate::sys::read(self.signals.as_fd(), &mut waste);
        while let Some((pid, status)) = sys::reap() {
            let Some(at) = self.children.iter().position(|child| child.pid == pid) else { continue };
            let ended = self.children.swap_remove(at);
            match ended.taken {
                Some((taken, _)) if sys::was_killed(status) => {
                    let mut message = taken.id.to_le_bytes().to_vec();
                    message.extend_from_slice(&status.to_le_bytes());
                    message.extend_from_slice(&[0; 4]);
                    sys::send(self.hub.socket.as_fd(), &message);
                }
                Some(_) => {}
                None if sys::was_killed(status) => self.stillborn = self.stillborn.saturating_add(1),
                // It waited in vain.
                None => self.wanted = self.wanted.saturating_sub(1),
            }
        }
    }

    fn kill_late(&mut self) {
        let now = Instant::now();
        for child in &mut self.children {
            if !child.killed && child.taken.as_ref().is_some_and(|(_, until)| now >= *until) {
                self.token.kill(child.pid);
                child.killed = true;
            }
        }
    }
}
