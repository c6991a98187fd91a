//! A helper for one request alone: what joins a pid namespace has to fork once more, which the server's children may
//! not.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, ChildStdout, ExitStatus};
use std::time::{Duration, Instant};

use portolan_linux::Process;
use portolan_linux::wait::hung_up;
use portolan_wire::request::{Action, Request};

use crate::answer::Silence;
use crate::error::About;
use crate::exchange::{Broken, Received, listener};
use crate::stuck::Held;
use crate::{Error, Files, Result};

/// How long an answered helper may take to end before it is called stuck.
const GRACE: Duration = Duration::from_millis(100);

impl Files {
    /// Reads or expands in the container's pid namespace as well.
    pub(crate) fn one_shot(
        &self,
        process: &Process,
        about: About<'_>,
        request: &Request,
        timeout: Duration,
    ) -> Result<Received> {
        let linux = |error| Error::linux(about, error);
        let deadline = Instant::now().checked_add(timeout);
        let (door, _risk) = self.admit(process, about, request.any_file_system)?;
        let pidfd = process.pidfd().map_err(linux)?;
        // A little earlier than our own deadline, so that what was found until then still comes through.
        let reserve = timeout.checked_div(10).unwrap_or_default().min(Duration::from_millis(50));
        let time = timeout.saturating_sub(reserve).as_millis().max(1);
        let mut words = arguments(request);
        for (option, value) in [
            ("--pidfd", pidfd.as_raw_fd().to_string()),
            ("--root-fd", door.root.as_raw_fd().to_string()),
            ("--timeout-ms", time.to_string()),
        ] {
            words.extend([option.into(), value.into()]);
        }
        words.push("--pid-namespace".into());
        if request.any_file_system {
            words.push("--any-file-system".into());
        }
        if self.demand.seccomp > 0 {
            words.push("--strict".into());
        }
        words.extend(["--".into(), OsStr::from_bytes(about.path).to_owned()]);
        let words: Vec<&OsStr> = words.iter().map(OsString::as_os_str).collect();

        let mut child = self.server.exe().spawn(&words, &[pidfd, door.root.as_fd()]).map_err(linux)?;
        let mut listener = listener(request);
        let mut output = child.stdout.take();
        let outcome = match &mut output {
            Some(output) => listener.listen(output, deadline),
            None => Err(Silence::Ended),
        };
        let status = self.end(child, output, door.id, outcome.is_ok());
        let broken = match outcome {
            Ok(()) => None,
            Err(Silence::Broken(error)) => return Err(Error::wire(about, error)),
            Err(Silence::TimedOut) => Some(Broken::TimedOut),
            // Its own alarm ends a helper that hangs at the deadline.
            Err(Silence::Ended) if ended_by_alarm(status) => Some(Broken::TimedOut),
            Err(Silence::Ended) => Some(Broken::Died(status)),
        };
        let answer = if broken.is_some() { listener.broken_off() } else { listener.answer };
        if answer.refused.is_none() && broken.is_none() && answer.hello.mount_namespace != door.id.inode() {
            return Err(Error::changed(about));
        }
        Ok(Received { answer, broken })
    }

    /// Sees to it that the helper ends, without waiting for one that cannot. What works inside is a child of it, and
    /// is seen by its pipe alone.
    fn end(
        &self,
        mut child: Child,
        output: Option<ChildStdout>,
        container: portolan_linux::NamespaceId,
        answered: bool,
    ) -> Option<ExitStatus> {
        let mut status = child.try_wait().ok().flatten();
        if !answered && status.is_none() {
            let _ = child.kill();
        }
        let until = Instant::now().checked_add(GRACE);
        loop {
            status = status.or_else(|| child.try_wait().ok().flatten());
            if status.is_some() && output.as_ref().is_none_or(hung_up) {
                return status;
            }
            if until.is_none_or(|until| Instant::now() >= until) {
                break;
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        let _ = child.kill();
        self.stuck.add(container, Held::Child(child, output));
        status
    }
}

/// The operation as the helper's own words.
fn arguments(request: &Request) -> Vec<OsString> {
    let mut words = Vec::new();
    let number = |n: u64| OsString::from(n.to_string());
    match request.operations.first().map(|operation| &operation.action) {
        Some(Action::Glob { max_entries }) => {
            words.extend(["glob".into(), "--max-entries".into(), number(*max_entries)]);
        }
        Some(Action::Read(read)) => {
            words.extend(["read".into(), "--max-bytes".into(), number(read.max_bytes)]);
            words.extend(["--offset".into(), number(read.offset)]);
            if read.prefix {
                words.push("--prefix".into());
            }
        }
        // Nothing else is asked of it.
        _ => words.push("stat".into()),
    }
    words
}

fn ended_by_alarm(status: Option<ExitStatus>) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    const SIGALRM: i32 = 14;
    status.is_some_and(|s| s.signal() == Some(SIGALRM) || s.code() == SIGALRM.checked_add(128))
}
