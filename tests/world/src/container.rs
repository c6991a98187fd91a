//! A container that has been started.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

use crate::error::WorldError;
use crate::keeper::Keeper;
use crate::living::Living;
use crate::sys;

/// How often something awaited is looked for.
const PAUSE: Duration = Duration::from_millis(2);

/// A running container. Dropping it kills everything in it and waits for the end.
#[derive(Debug)]
pub struct Container {
    name: String,
    pid: i32,
    pidfd: OwnedFd,
    log: File,
    variables: Vec<(String, String)>,
    has_users: bool,
    /// How it ended, once it is reaped.
    end: Mutex<Option<ExitStatus>>,
    keeper: Option<Keeper>,
    _living: Option<Living>,
}

impl Container {
    pub(crate) fn new(
        name: &str,
        pid: i32,
        pidfd: OwnedFd,
        log: File,
        variables: Vec<(String, String)>,
        has_users: bool,
    ) -> Self {
        let living = u32::try_from(pid).ok().map(Living::new);
        let (name, end) = (name.to_owned(), Mutex::new(None));
        Self { name, pid, pidfd, log, variables, has_users, end, keeper: None, _living: living }
    }

    pub(crate) fn keep(&mut self, keeper: Option<Keeper>) {
        self.keeper = keeper;
    }

    /// The pid of its process 1, as the host sees it.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Its name, which is also its hostname.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its processes have written to their standard output and error so far.
    #[must_use]
    pub fn log(&self) -> String {
        let mut bytes = Vec::new();
        let mut part = [0; 8192];
        // By offset: the descriptor's own position is shared with the container.
        while let Ok(length) = self.log.read_at(&mut part, bytes.len() as u64) {
            match part.get(..length) {
                Some(read) if !read.is_empty() => bytes.extend_from_slice(read),
                _ => break,
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Runs a command inside, as root of the container, and waits for it.
    ///
    /// # Errors
    ///
    /// When the container has ended or `nsenter` cannot be run. A command that fails is no error, but told by
    /// its output's status: 127 if there is no such command.
    pub fn exec<I, S>(&self, command: I) -> Result<Output, WorldError>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<str>,
    {
        let command: Vec<String> = command.into_iter().map(|one| one.as_ref().to_owned()).collect();
        let doing = || format!("running {} inside", command.join(" "));
        if !self.is_running() {
            return Err(self.ended(doing()));
        }
        // Where no pid namespace ends with us, nsenter itself must: or it enters after the keeper is done.
        let mut nsenter = Command::new(if self.keeper.is_some() { "setpriv" } else { "nsenter" });
        if self.keeper.is_some() {
            nsenter.args(["--pdeathsig", "KILL", "nsenter"]);
        }
        nsenter.args(["-t", &self.pid.to_string(), "-m", "-u", "-i", "-n", "-p", "-r", "-w"]);
        if self.has_users {
            nsenter.arg("-U");
        }
        nsenter.arg("--").args(&command).env_clear().envs(self.variables.iter().map(|(k, v)| (k, v)));
        nsenter.stdin(Stdio::null()).output().map_err(|source| WorldError::Io {
            name: self.name.clone(),
            doing: doing(),
            source,
        })
    }

    /// Waits until something listens on this TCP port in its network namespace.
    ///
    /// # Errors
    ///
    /// When it does not within the limit, or the container has ended.
    pub fn wait_listening(&self, port: u16, limit: Duration) -> Result<(), WorldError> {
        self.wait_for(&format!("listening on port {port}"), limit, || {
            ["tcp", "tcp6"].iter().any(|table| {
                let path = format!("/proc/{}/net/{table}", self.pid);
                std::fs::read_to_string(path).is_ok_and(|table| listens(&table, port))
            })
        })
    }

    /// Waits until there is something at this path inside.
    ///
    /// # Errors
    ///
    /// When there is not within the limit, or the container has ended.
    pub fn wait_file(&self, path: &str, limit: Duration) -> Result<(), WorldError> {
        self.wait_for(&format!("the file {path}"), limit, || self.has_file(path))
    }

    /// Waits until its process 1 has ended by itself.
    ///
    /// # Errors
    ///
    /// When it has not within the limit.
    pub fn wait_end(&self, limit: Duration) -> Result<ExitStatus, WorldError> {
        match poll_readable(self.pidfd.as_fd(), limit) {
            Ok(true) => Ok(self.kill()),
            Ok(false) => Err(self.late("its end".to_owned(), limit)),
            Err(source) => {
                Err(WorldError::Io { name: self.name.clone(), doing: "awaiting its end".to_owned(), source })
            }
        }
    }

    /// Whether its process 1 has not ended yet.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        // A pidfd becomes readable with the end of its process.
        end.is_none() && matches!(poll_readable(self.pidfd.as_fd(), Duration::ZERO), Ok(false))
    }

    /// Kills it, unless it has ended already, waits for the end and tells how it ended.
    pub fn kill(&self) -> ExitStatus {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        *end.get_or_insert_with(|| {
            // It fails only if there is no such process any more.
            let _ = sys::signal(self.pidfd.as_fd(), libc::SIGKILL);
            self.reap()
        })
    }

    fn reap(&self) -> ExitStatus {
        loop {
            match waitid(Id::PIDFd(self.pidfd.as_fd()), WaitPidFlag::WEXITED) {
                Err(Errno::EINTR) => {}
                Ok(WaitStatus::Exited(_, code)) => return ExitStatus::from_raw((code & 0xff) << 8),
                Ok(WaitStatus::Signaled(_, signal, _)) => return ExitStatus::from_raw(signal as i32),
                // ECHILD: the caller ignores SIGCHLD, so the kernel has reaped it.
                Ok(_) | Err(_) => return ExitStatus::from_raw(libc::SIGKILL),
            }
        }
    }

    fn has_file(&self, path: &str) -> bool {
        // Absolute links inside are to lead to files inside.
        let how =
            OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_IN_ROOT);
        File::open(format!("/proc/{}/root", self.pid)).is_ok_and(|root| openat2(&root, path, how).is_ok())
    }

    fn wait_for(&self, what: &str, limit: Duration, done: impl Fn() -> bool) -> Result<(), WorldError> {
        let start = Instant::now();
        loop {
            // Before looking: what a container does last is done when it has ended.
            let running = self.is_running();
            if running && done() {
                return Ok(());
            }
            if !running {
                return Err(self.ended(what.to_owned()));
            }
            if start.elapsed() >= limit {
                return Err(self.late(what.to_owned(), limit));
            }
            sleep(PAUSE);
        }
    }

    fn ended(&self, what: String) -> WorldError {
        WorldError::Ended { name: self.name.clone(), what, log: self.log() }
    }

    fn late(&self, what: String, limit: Duration) -> WorldError {
        WorldError::Timeout { name: self.name.clone(), what, limit, log: self.log() }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.kill();
        // It looks for what the container has left, so the container has to be gone.
        self.keeper.take();
    }
}

/// Waits until a descriptor can be read or its other end is closed; false if it is not within the limit.
pub(crate) fn poll_readable(fd: BorrowedFd<'_>, limit: Duration) -> io::Result<bool> {
    let start = Instant::now();
    loop {
        let left = PollTimeout::try_from(limit.saturating_sub(start.elapsed())).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], left) {
            Err(Errno::EINTR) => {}
            done => return Ok(done? > 0),
        }
    }
}

/// Whether a table of `/proc/net/tcp` holds a listener (state 0A) on the port.
fn listens(table: &str, port: u16) -> bool {
    let port = format!(":{port:04X}");
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&port)) && fields.nth(1) == Some("0A")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n   \
                     0: 0100007F:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000\n   \
                     1: 0100007F:0050 0100007F:18EB 01 00000000:00000000 00:00000000 00000000\n";
        assert!(listens(table, 6379));
        assert!(!listens(table, 80));
        assert!(!listens(table, 0));
    }
}
