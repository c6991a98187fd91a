//! One run of the helper, from its start to its last frame.

use std::ffi::OsStr;
use std::io::{ErrorKind as IoKind, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, ChildStdout};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use portolan_linux::wait::{Ready, until};
use portolan_linux::{NamespaceKind, Process};
use portolan_wire::code::FileKind;
use portolan_wire::decoder::Decoder;
use portolan_wire::frame::{End, Failure, Frame, Hello};
use portolan_wire::limits::{Limits, MAX_PATH};

use crate::error::About;
use crate::{Error, Files, Result};

/// What is asked.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) about: About<'a>,
    /// The helper's own word for the operation.
    pub(crate) command: &'static str,
    pub(crate) arguments: Vec<&'a OsStr>,
    pub(crate) limits: Limits,
    pub(crate) timeout: Duration,
    pub(crate) pid_namespace: bool,
}

/// What the helper said: it is whole, or there is a failure.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) hello: Hello,
    pub(crate) bytes: Vec<u8>,
    pub(crate) entries: Vec<(Vec<u8>, FileKind)>,
    pub(crate) end: End,
    pub(crate) failure: Option<Failure>,
}

/// Helpers that were killed and have not ended: the kernel waits for a file system's server (a FUSE daemon that
/// took the request and does not answer).
#[derive(Debug, Default)]
pub(crate) struct Stuck(Mutex<Vec<Child>>);

/// With so many of them, no new one is started: each holds a process of the host.
const MAX_STUCK: usize = 16;
/// How long an answered helper may take to end before it is called stuck.
const GRACE: Duration = Duration::from_millis(100);

impl Stuck {
    pub(crate) fn count(&self) -> usize {
        let mut children = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        children.len()
    }

    fn add(&self, child: Child) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(child);
    }
}

impl Files {
    pub(crate) fn run(&self, process: &Process, request: &Request<'_>) -> Result<Answer> {
        let about = request.about;
        if about.path.first() != Some(&b'/') {
            return Err(Error::invalid(about, "a path must begin with a slash"));
        }
        if about.path.len() > MAX_PATH || about.path.contains(&0) {
            return Err(Error::invalid(about, "a path has at most 4095 bytes, none of them NUL"));
        }
        if self.stuck() >= MAX_STUCK {
            return Err(Error::busy(about, "too many helpers hang in file systems that do not answer"));
        }
        let linux = |error| Error::linux(about, error);
        process.require_userland().map_err(linux)?;
        let deadline = Instant::now().checked_add(request.timeout);
        let seen = process.namespace(NamespaceKind::Mount).map_err(linux)?;
        let root = process.root().map_err(linux)?;
        let pidfd = process.pidfd().map_err(linux)?;

        let numbers = [pidfd.as_raw_fd().to_string(), root.as_raw_fd().to_string()];
        // A little earlier than our own deadline, so that what was found until then still comes through.
        let reserve = request.timeout.checked_div(10).unwrap_or_default().min(Duration::from_millis(50));
        let timeout = request.timeout.saturating_sub(reserve).as_millis().max(1).to_string();
        let [pidfd_number, root_number] = numbers.each_ref().map(OsStr::new);
        let mut arguments: Vec<&OsStr> =
            vec![OsStr::new(request.command), OsStr::new("--pidfd"), pidfd_number];
        arguments.extend([
            OsStr::new("--root-fd"),
            root_number,
            OsStr::new("--timeout-ms"),
            OsStr::new(&timeout),
        ]);
        if request.pid_namespace {
            arguments.push(OsStr::new("--pid-namespace"));
        }
        arguments.extend(&request.arguments);
        arguments.extend([OsStr::new("--"), OsStr::from_bytes(about.path)]);

        let mut child = self.helper.spawn(&arguments, &[pidfd, root.as_fd()]).map_err(linux)?;
        let outcome = match child.stdout.take() {
            Some(output) => listen(output, request, deadline),
            None => Err(Silence::Ended),
        };
        let status = self.end(child, outcome.is_ok());
        let answer = match outcome {
            Ok(answer) => answer,
            Err(Silence::TimedOut) => return Err(Error::timeout(about)),
            Err(Silence::Broken(error)) => return Err(Error::wire(about, error)),
            // Its own alarm ends a helper that hangs at the deadline.
            Err(Silence::Ended) if ended_by_alarm(status) => return Err(Error::timeout(about)),
            Err(Silence::Ended) => return Err(Error::died(about, status)),
        };
        if answer.failure.is_none() && answer.hello.mount_namespace != seen.inode() {
            return Err(Error::changed(about));
        }
        Ok(answer)
    }

    /// Sees to it that the helper ends, without waiting for one that cannot.
    fn end(&self, mut child: Child, answered: bool) -> Option<std::process::ExitStatus> {
        if !answered {
            // It may have ended by itself; its status tells why.
            if let Ok(Some(status)) = child.try_wait() {
                return Some(status);
            }
            let _ = child.kill();
        }
        let until = Instant::now().checked_add(GRACE);
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if until.is_none_or(|u| Instant::now() < u) => {
                    std::thread::sleep(Duration::from_micros(50));
                }
                _ => break,
            }
        }
        let _ = child.kill();
        self.stuck.add(child);
        None
    }
}

fn ended_by_alarm(status: Option<std::process::ExitStatus>) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    const SIGALRM: i32 = 14;
    status.is_some_and(|s| s.signal() == Some(SIGALRM) || s.code() == SIGALRM.checked_add(128))
}

/// Why there is no answer.
enum Silence {
    TimedOut,
    Broken(portolan_wire::WireError),
    Ended,
}

/// Takes frames in until the last one, the deadline, or the end of the pipe.
fn listen(
    mut output: ChildStdout,
    request: &Request<'_>,
    deadline: Option<Instant>,
) -> std::result::Result<Answer, Silence> {
    let mut decoder = Decoder::new(request.limits);
    let mut answer = Answer::default();
    let mut piece = vec![0_u8; 64 * 1024];
    loop {
        match until(&output, Ready::Read, deadline) {
            Ok(true) => {}
            Ok(false) => return Err(Silence::TimedOut),
            Err(_) => return Err(Silence::Ended),
        }
        let got = match output.read(&mut piece) {
            Ok(0) => return Err(Silence::Ended),
            Ok(got) => got,
            Err(e) if e.kind() == IoKind::Interrupted => continue,
            Err(_) => return Err(Silence::Ended),
        };
        decoder.push(piece.get(..got).unwrap_or(&[])).map_err(Silence::Broken)?;
        while let Some(frame) = decoder.next_frame().map_err(Silence::Broken)? {
            match frame {
                Frame::Hello(hello) => answer.hello = hello,
                Frame::Data(data) => answer.bytes.extend_from_slice(data),
                Frame::Entry(entry) => answer.entries.push((entry.path.to_vec(), entry.kind)),
                Frame::End(end) => answer.end = end,
                Frame::Error(failure) => answer.failure = Some(failure),
                _ => return Err(Silence::Broken(portolan_wire::WireError::Unknown(0))),
            }
        }
        // The last frame is the answer; how the process ends does not matter any more.
        if decoder.is_complete() {
            return Ok(answer);
        }
    }
}
