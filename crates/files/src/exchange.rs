//! One request to the server, from the check of its process to the last frame of its answer.

use std::fs::File;
use std::io::ErrorKind as IoKind;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portolan_linux::wait::{Ready, hung_up, until};
use portolan_linux::{NamespaceId, Process, pass};
use portolan_wire::WireError;
use portolan_wire::frame::Hello;
use portolan_wire::limits::Limits;
use portolan_wire::request::Request;

use crate::answer::{Answer, Listener, Part, Silence};
use crate::error::About;
use crate::prepare::Door;
use crate::server::{Link, NoServer};
use crate::stuck::{Held, Risk};
use crate::{Error, Files, Result};

/// How often a request is sent again because the server was gone before it was sent.
const TRIES: u32 = 3;
/// How long the news of a death may take.
const NEWS: Duration = Duration::from_millis(100);
/// How long a helper that was killed, or has answered, may take to end before it is called stuck.
const GRACE: Duration = Duration::from_millis(20);
/// The helper stops so much earlier than its caller, so that what was found until then still comes through.
const RESERVE: Duration = Duration::from_millis(50);

/// A request that is under way.
#[derive(Debug)]
pub(crate) struct Sent {
    link: Arc<Link>,
    id: u64,
    container: NamespaceId,
    deadline: Option<Instant>,
    any_file_system: bool,
}

/// An answer, whole or not.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) answer: Answer,
    /// Why it is not whole.
    pub(crate) broken: Option<Broken>,
}

/// How an answer broke off.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Broken {
    TimedOut,
    Died(Option<ExitStatus>),
}

impl Broken {
    pub(crate) fn error(self, about: About<'_>) -> Error {
        match self {
            Self::TimedOut => Error::timeout(about),
            Self::Died(status) => Error::died(about, status),
        }
    }
}

impl Received {
    /// The answer to a request of one operation, which was at least begun.
    pub(crate) fn single(self, about: About<'_>) -> Result<(Hello, Part, Option<Broken>)> {
        let Self { mut answer, broken } = self;
        if let Some(failure) = answer.refused {
            return Err(Error::told(about, &failure));
        }
        match answer.parts.pop() {
            Some(part) => Ok((answer.hello, part, broken)),
            None => Err(Error::wire(about, WireError::OutOfOrder)),
        }
    }
}

/// What a request's answer may hold.
pub(crate) fn listener(request: &Request) -> Listener {
    let limits = Limits { max_bytes: request.max_bytes, max_entries: request.max_entries };
    Listener::new(limits, u16::try_from(request.operations.len()).unwrap_or(u16::MAX))
}

impl Files {
    /// Sends a request and waits for its answer. `timeout` is the caller's; the request gets a little less.
    pub(crate) fn exchange(
        &self,
        process: &Process,
        about: About<'_>,
        mut request: Request,
        timeout: Duration,
    ) -> Result<Received> {
        let deadline = Instant::now().checked_add(timeout);
        let (door, _risk) = self.admit(process, about, request.any_file_system)?;
        let link = self.server.link(deadline).map_err(|why| Error::no_server(about, why))?;
        let (output, sent) = self.send(link, door, about, &mut request, deadline)?;
        let mut listener = listener(&request);
        let mut output = File::from(output);
        let outcome = listener.listen(&mut output, deadline);
        self.conclude(about, &sent, output.into(), listener, &outcome)
    }

    /// Checks what can be checked before anything is started.
    pub(crate) fn admit(
        &self,
        process: &Process,
        about: About<'_>,
        any_file_system: bool,
    ) -> Result<(Door, Option<Risk>)> {
        let door = Door::of(process, about)?;
        let risk = self.stuck.risk(door.id, any_file_system).map_err(|why| Error::busy(about, why))?;
        Ok((door, risk))
    }

    /// Sends a request; gives the pipe that its answer will come from.
    pub(crate) fn send(
        &self,
        mut link: Arc<Link>,
        door: Door,
        about: About<'_>,
        request: &mut Request,
        deadline: Option<Instant>,
    ) -> Result<(OwnedFd, Sent)> {
        let io = |error| Error::io(about, error);
        let (output, input) = std::io::pipe().map_err(io)?;
        request.id = self.server.number();
        request.demand = self.demand;
        request.ids = door.ids;
        let descriptors = [door.namespace.as_fd(), door.root.as_fd(), input.as_fd()];
        for _ in 0..TRIES {
            let left = deadline.map_or(Duration::MAX, |d| d.saturating_duration_since(Instant::now()));
            let reserve = left.checked_div(10).unwrap_or_default().min(RESERVE);
            let time = left.saturating_sub(reserve).as_millis().max(1);
            request.timeout_ms = u32::try_from(time).unwrap_or(u32::MAX);
            let bytes = request.to_bytes().map_err(|error| Error::too_much(about, error))?;
            match pass::send(&link.socket, &bytes, &descriptors) {
                Ok(()) => {
                    let (id, any_file_system) = (request.id, request.any_file_system);
                    let sent = Sent { link, id, container: door.id, deadline, any_file_system };
                    return Ok((output.into(), sent));
                }
                Err(e) if e.kind() == IoKind::WouldBlock => {
                    if !until(&link.socket, Ready::Write, deadline).map_err(io)? {
                        return Err(Error::timeout(about));
                    }
                }
                // It has died since; nobody has seen the request, so the next one may have it.
                Err(e) if matches!(e.kind(), IoKind::BrokenPipe | IoKind::ConnectionReset) => {
                    link.set_down();
                    link = self.server.link(deadline).map_err(|why| Error::no_server(about, why))?;
                }
                Err(e) => return Err(io(e)),
            }
        }
        Err(Error::no_server(about, NoServer::Ended(None)))
    }

    /// Makes of what came an answer, and sees to what is left of the helper.
    pub(crate) fn conclude(
        &self,
        about: About<'_>,
        sent: &Sent,
        output: OwnedFd,
        listener: Listener,
        outcome: &std::result::Result<(), Silence>,
    ) -> Result<Received> {
        let broken = match outcome {
            Ok(()) => {
                sent.link.heeded();
                // Its files are closed after its answer, which their server may not let it do.
                if sent.any_file_system {
                    self.see_off(sent, output);
                }
                None
            }
            Err(Silence::Broken(error)) => return Err(Error::wire(about, *error)),
            Err(Silence::TimedOut) => {
                // A request that was not even taken hangs in no container.
                if listener.is_deaf() && pass::untaken(&sent.link.socket).is_ok_and(|bytes| bytes > 0) {
                    sent.link.ignored();
                } else {
                    self.see_off(sent, output);
                }
                Some(Broken::TimedOut)
            }
            Err(Silence::Ended) => {
                let status = sent.link.death(sent.id, NEWS);
                Some(if sent.was_late(status) { Broken::TimedOut } else { Broken::Died(status) })
            }
        };
        let answer = if broken.is_some() { listener.broken_off() } else { listener.answer };
        let entered = answer.refused.is_none() && (broken.is_none() || answer.hello.mount_namespace != 0);
        if entered && answer.hello.mount_namespace != sent.container.inode() {
            return Err(Error::changed(about));
        }
        Ok(Received { answer, broken })
    }

    /// Waits a moment for the helper's end; one that does not end is counted as stuck.
    fn see_off(&self, sent: &Sent, output: OwnedFd) {
        let until = Instant::now().checked_add(GRACE);
        while !hung_up(&output) {
            if until.is_none_or(|until| Instant::now() >= until) {
                self.stuck.add(sent.container, Held::Pipe(output));
                return;
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

impl Sent {
    /// Whether a helper was ended because its time was over: by its own alarm, or by the server.
    fn was_late(&self, status: Option<ExitStatus>) -> bool {
        use std::os::unix::process::ExitStatusExt as _;
        const SIGKILL: i32 = 9;
        const SIGALRM: i32 = 14;
        let near = self
            .deadline
            .is_some_and(|deadline| deadline.saturating_duration_since(Instant::now()) <= RESERVE);
        match status.and_then(|status| status.signal()) {
            Some(SIGALRM) => true,
            Some(SIGKILL) | None => near,
            Some(_) => false,
        }
    }
}
