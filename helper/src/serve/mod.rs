//! The server: one process for all requests, which does nothing itself but fork.
//!
//! It is started once by the library, and never enters a container. Its children wait on the same socket; each takes
//! one request, says so, answers it and ends, and the server makes others when they become few or nothing happens. So a
//! request costs its caller neither an exec nor a fork, and still has a process of its own. Children that wait in vain
//! end by themselves: an idle server has none.
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
const MOST_SPARE: usize = 32;
/// A child that waited for so long in vain ends.
const PATIENCE: Duration = Duration::from_secs(1);
/// Requests that come closer than this are many.
const CLOSE: Duration = Duration::from_millis(5);
/// After so many children that died before they took a request, something is wrong that another does not mend.
const STILLBORN: u32 = 8;
/// While children are at work, the server looks after them so often.
const LOOK: Duration = Duration::from_millis(10);
/// Time for a child's own alarm.
const GRACE: Duration = Duration::from_millis(40);

/// What a server and its children share.
#[derive(Debug)]
struct Hub {
    /// The library's requests.
    socket: OwnedFd,
    /// A child that has taken a request says so here ...
    taken: OwnedFd,
    /// ... or here, when few are left that wait: this wakes the server.
    bell: OwnedFd,
    /// How many children wait.
    waiting: sys::Counter,
    /// How many are few.
    few: usize,
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
    let (rung, bell) = sys::pipe().map_err(start)?;
    let waiting = sys::Counter::new().map_err(start)?;
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
    let hub = Hub { socket, taken, bell, waiting, few: 0, procfs, hello, buffer, pid: sys::own_pid() };
    let (children, last) = (Vec::new(), None);
    Server { hub, notices, rung, signals, token, children, wanted: 0, last, stillborn: 0 }.serve();
    Ok(())
}

struct Server {
    hub: Hub,
    notices: OwnedFd,
    rung: OwnedFd,
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
        let mut quiet = false;
        while self.stillborn < STILLBORN {
            let mut grown = Grown::Yes;
            // Several at once, when they have become few or there was quiet for a moment: while a burst of requests is
            // answered, the server does not take the processor from whoever waits for an answer.
            if quiet || self.hub.waiting.get() <= self.few() {
                while grown == Grown::Yes && self.hub.waiting.get() < self.wanted {
                    grown = self.grow();
                }
            }
            if grown == Grown::IsChild {
                return self.be_child();
            }
            // A request wakes a waiting child; the server only where there is none.
            let full = grown == Grown::No || self.children.len() >= MOST;
            let requests = if self.hub.waiting.get() == 0 && !full { libc::POLLIN } else { 0 };
            let socket = (self.hub.socket.as_fd(), requests | libc::POLLRDHUP);
            // While children are at work it looks after them in a little while; the end of each would wake it once more
            // for every request.
            let ends = if self.children.iter().all(|child| child.killed) { libc::POLLIN } else { 0 };
            let wanted = [(self.rung.as_fd(), libc::POLLIN), (self.signals.as_fd(), ends), socket];
            let [rung, ended, requests] = sys::poll(wanted, self.next_look());
            quiet = rung | ended | requests == 0;
            if requests & (libc::POLLHUP | libc::POLLRDHUP | libc::POLLERR) != 0 {
                return;
            }
            // In this order: a child says that it took a request before it ends.
            self.note();
            self.reap();
            self.kill_late();
            if requests & libc::POLLIN != 0 && self.hub.waiting.get() == 0 && self.grow() == Grown::IsChild {
                return self.be_child();
            }
        }
    }

    /// In the child: what is the server's alone is closed before a request is waited for.
    fn be_child(self) {
        let Self { hub, notices, rung, signals, .. } = self;
        drop((notices, rung, signals));
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

    fn few(&self) -> usize {
        self.wanted / 4
    }

    /// One more child.
    fn grow(&mut self) -> Grown {
        if self.children.len() >= MOST {
            return Grown::No;
        }
        self.hub.few = self.few();
        self.hub.waiting.add();
        match self.token.fork() {
            Ok(None) => Grown::IsChild,
            Ok(Some(pid)) => {
                self.children.push(Child { pid, taken: None, killed: false });
                Grown::Yes
            }
            // No room for processes now; the requests wait in the socket.
            Err(_) => {
                self.hub.waiting.take();
                Grown::No
            }
        }
    }

    /// Which children have taken requests.
    fn note(&mut self) {
        let mut notes = [0_u8; 16 * Taken::LENGTH];
        while let Ok(got) = crate::sys::read(self.notices.as_fd(), &mut notes)
            .or_else(|_| crate::sys::read(self.rung.as_fd(), &mut notes))
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
            // It may have taken a request and be done with it since we looked.
            if self.children.get(at).is_some_and(|child| child.taken.is_none()) {
                self.note();
            }
            let ended = self.children.swap_remove(at);
            match ended.taken {
                Some((taken, _)) if sys::was_killed(status) => {
                    let mut message = taken.id.to_le_bytes().to_vec();
                    message.extend_from_slice(&status.to_le_bytes());
                    message.extend_from_slice(&[0; 4]);
                    sys::send(self.hub.socket.as_fd(), &message);
                }
                Some(_) => {}
                None if sys::was_killed(status) => {
                    self.hub.waiting.take();
                    self.stillborn = self.stillborn.saturating_add(1);
                }
                // It waited in vain.
                None => {
                    self.hub.waiting.take();
                    self.wanted = self.wanted.saturating_sub(1);
                }
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
