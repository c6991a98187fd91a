//! What `journalctl` prints. It is a program of systemd's that reads the journal's files: no daemon is asked. It gets
//! fixed arguments, an environment without anything of ours, and nothing to read; it is ended when it takes too long,
//! and when this is dropped.
//!
//! Every process that reaches the journal's socket can write what it likes into fields without an underscore, so the
//! fields that journald itself adds are asked for as well: who wrote it.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio as Pipe};
use std::time::{Duration, Instant};

use portolan_linux::ErrorKind;
use portolan_linux::wait::{Ready, until};

use super::{Event, Options, Polled};
use crate::logs::format::{Decoder, Entry, Format};
use crate::logs::{Error, Result};

const PROGRAMS: [&str; 2] = ["/usr/bin/journalctl", "/bin/journalctl"];
/// What a decoder looks at.
const FIELDS: &str = "MESSAGE,PRIORITY,CONTAINER_ID_FULL,CONTAINER_PARTIAL_MESSAGE,CONTAINER_PARTIAL_LAST";
/// One poll waits so long for the next bytes of one that is followed.
const MOMENT: Duration = Duration::from_millis(50);
const PIECE: usize = 64 * 1024;

/// A `journalctl` that runs.
#[derive(Debug)]
pub(super) struct Journal {
    child: Child,
    output: ChildStdout,
    decoder: Decoder,
    follow: bool,
    deadline: Instant,
    timeout: Duration,
    max_bytes: usize,
    ended: bool,
}

impl Journal {
    pub(super) fn start(matches: &[String], options: &Options) -> Result<Self> {
        let program = PROGRAMS.into_iter().find(|program| Path::new(program).exists()).ok_or_else(|| {
            Error::journal("there is no journalctl here: run this where the journal is", ErrorKind::NotFound)
        })?;
        let mut command = Command::new(program);
        command.args(["--all", "--quiet", "--no-pager", "--output=export"]);
        command.arg(format!("--output-fields={FIELDS}"));
        match options.lines {
            Some(lines) => command.arg(format!("--lines={lines}")),
            None => command.args(["--lines=all"]),
        };
        if options.follow {
            command.arg("--follow");
        }
        // Every match is NAME=VALUE, so none is taken for an option.
        command.args(matches.iter().filter(|one| one.contains('=') && !one.starts_with('-')));
        command.env_clear().env("LC_ALL", "C").current_dir("/");
        command.stdin(Pipe::null()).stdout(Pipe::piped()).stderr(Pipe::null());
        let failed =
            |error: std::io::Error| Error::journal(format!("start journalctl: {error}"), ErrorKind::Io);
        let mut child = command.spawn().map_err(failed)?;
        let Some(output) = child.stdout.take() else {
            return Err(Error::journal("start journalctl: it has no output", ErrorKind::Io));
        };
        let now = Instant::now();
        Ok(Self {
            child,
            output,
            decoder: Decoder::new(Format::Journal, options.longest),
            follow: options.follow,
            deadline: now.checked_add(options.timeout).unwrap_or(now),
            timeout: options.timeout,
            max_bytes: options.max_bytes.max(1),
            ended: false,
        })
    }

    pub(super) fn poll(&mut self) -> Result<Polled> {
        let mut polled = Polled::default();
        let mut room = self.max_bytes;
        let now = Instant::now();
        let moment = now.checked_add(MOMENT).unwrap_or(now);
        let io = |error: std::io::Error| Error::journal(format!("read journalctl: {error}"), ErrorKind::Io);
        while !self.ended {
            if room == 0 {
                polled.more = true;
                return Ok(polled);
            }
            // Until its end for one that ends; each piece of it within the deadline.
            let deadline = if self.follow { moment } else { self.deadline };
            if !until(&self.output, Ready::Read, Some(deadline)).map_err(io)? {
                if self.follow {
                    return Ok(polled);
                }
                return Err(Error::journal("journalctl does not answer", ErrorKind::Timeout));
            }
            let mut bytes = vec![0; room.min(PIECE)];
            let length = match self.output.read(&mut bytes) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                other => other.map_err(io)?,
            };
            bytes.truncate(length);
            room = room.saturating_sub(length);
            self.deadline = Instant::now().checked_add(self.timeout).unwrap_or(self.deadline);
            polled.events.extend(self.decoder.push(&bytes).into_iter().map(Event::Entry));
            self.ended = length == 0;
        }
        self.check()?;
        Ok(polled)
    }

    /// How it ended, once it has closed its output.
    fn check(&mut self) -> Result<()> {
        let io =
            |error: std::io::Error| Error::journal(format!("wait for journalctl: {error}"), ErrorKind::Io);
        let status = self.child.wait().map_err(io)?;
        // Without a journal it says so and ends well; followed, it does not end at all.
        if status.success() && !self.follow {
            return Ok(());
        }
        Err(Error::journal(
            format!("journalctl ended with {status}; it tells why when it is called by hand"),
            ErrorKind::Io,
        ))
    }

    pub(super) fn finish(&mut self) -> Vec<Entry> {
        self.decoder.finish()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
