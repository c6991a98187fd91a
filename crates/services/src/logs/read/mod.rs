//! The last lines of a container's output, and what is written to it, through its rotations.
//!
//! A runtime's file is opened by this process. Its path comes from the runtime's own records and leads through
//! directories of root's (or, for a rootless runtime, of its user's, and then the file has to be that user's too); what
//! is opened is a regular file, without waiting and without following a link at the end. It is held open while it is
//! followed, so that a file which is renamed or replaced is read to its end before the next one:
//!
//! | what happened | what is seen | what is done |
//! |---|---|---|
//! | renamed, a new one made (Docker, the kubelet) | another inode | the old one is read to its end, then those between, found by their names, then the new one; the old one is looked at for a while after |
//! | replaced by an empty one (Podman) | another inode | the same; what was in it before we came is lost, by Podman's choice |
//! | copied and cut | same inode, smaller or other bytes | read from the start |
//! | compressed (`.gz`) | another name | left alone, and told |
//!
//! - `file`: one file and its successors
//! - `last`: where the last lines begin
//! - `rotated`: the names that runtimes give to older files
//! - `journal`: what `journalctl` prints

mod file;
mod journal;
mod last;
mod rotated;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use super::format::{Entry, LONGEST, Stream};
use super::stdio::{Source, Stdio};
use super::{Error, Result};

/// How a log is read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Begin with so many of the last lines; 10 by default. `None` for all that there are.
    pub lines: Option<u64>,
    /// Go on with what is written later. It says what the journal is asked for; a file is followed by polling.
    pub follow: bool,
    /// Lines of this stream only.
    pub stream: Option<Stream>,
    /// The longest line that is kept, in bytes; 1 MiB by default.
    pub longest: usize,
    /// At most so many bytes of the log are read in one poll, and at most so many bytes of last lines kept; 16 MiB by
    /// default.
    pub max_bytes: usize,
    /// `journalctl` has to answer within this time; ten seconds by default.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lines: Some(10),
            follow: false,
            stream: None,
            longest: LONGEST,
            max_bytes: 16 * 1024 * 1024,
            timeout: Duration::from_secs(10),
        }
    }
}

/// What a poll saw, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A line.
    Entry(Entry),
    /// The file was renamed or replaced; what follows is of the next one.
    Rotated,
    /// The file was cut, and is read from its start.
    Truncated,
    /// There is no such file now: it is waited for.
    Gone,
    /// Files between the one that was read and the one that is there now are gone or compressed: lines are missing.
    Missed,
    /// Older lines are in so many compressed files, which are not read.
    Compressed(usize),
    /// More of the last lines were asked for than may be kept: so many are left out at most.
    LeftOut(u64),
}

/// What a poll gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Polled {
    /// What it saw.
    pub events: Vec<Event>,
    /// Whether there is more: poll again at once.
    pub more: bool,
}

/// A container's output, as it is read.
///
/// # Example
/// ```no_run
/// use portolan_services::logs::{Log, Options, stdio};
///
/// let chart = portolan_scan::scan(&portolan_scan::ScanOptions::default())?;
/// let mut log = Log::open(&stdio::of(chart.find("web")?)?, &Options::default())?;
/// loop {
///     let polled = log.poll()?;
///     println!("{:?}", polled.events);
///     if !polled.more {
///         std::thread::sleep(std::time::Duration::from_millis(250));
///     }
/// }
/// # #[allow(unreachable_code)]
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Log {
    reader: Reader,
    stream: Option<Stream>,
}

#[derive(Debug)]
enum Reader {
    File(Box<file::Follower>),
    Journal(Box<journal::Journal>),
}

impl Log {
    /// Opens the log of a container.
    ///
    /// # Errors
    /// [`NotFound`](portolan_linux::ErrorKind::NotFound) when the output is kept nowhere, with the reason, or its file
    /// is not there; [`NotRegular`](portolan_linux::ErrorKind::NotRegular),
    /// [`PermissionDenied`](portolan_linux::ErrorKind::PermissionDenied), also for a file that is not of the user who
    /// named it; [`NotFound`](portolan_linux::ErrorKind::NotFound) also when there is no `journalctl`.
    pub fn open(stdio: &Stdio, options: &Options) -> Result<Self> {
        let reader = match &stdio.source {
            Source::File(file) => Reader::File(Box::new(file::Follower::open(file, options)?)),
            Source::Journal(matches) => Reader::Journal(Box::new(journal::Journal::start(matches, options)?)),
            Source::Inside(path) => {
                let path = portolan_linux::error::Escaped(path);
                return Err(Error::nowhere(format!(
                    "its standard output is the file {path} inside; read it with `portolan tail`"
                )));
            }
            Source::Nowhere(why) => return Err(Error::nowhere(why.clone())),
        };
        Ok(Self { reader, stream: options.stream })
    }

    /// What happened since the last poll; in the first one, the last lines. It waits for no line: for `journalctl` a
    /// moment, unless it is not followed, and then until it ends.
    ///
    /// # Errors
    /// [`Io`](portolan_linux::ErrorKind::Io) when the file cannot be read, [`Timeout`](portolan_linux::ErrorKind::Timeout)
    /// when `journalctl` does not answer. That a file is not there (any more) is an event.
    pub fn poll(&mut self) -> Result<Polled> {
        let mut polled = match &mut self.reader {
            Reader::File(file) => file.poll()?,
            Reader::Journal(journal) => journal.poll()?,
        };
        self.filter(&mut polled.events);
        Ok(polled)
    }

    /// What came last and has no end: the log is not followed, or no longer.
    pub fn finish(&mut self) -> Vec<Event> {
        let entries = match &mut self.reader {
            Reader::File(file) => file.finish(),
            Reader::Journal(journal) => journal.finish(),
        };
        let mut events = entries.into_iter().map(Event::Entry).collect();
        self.filter(&mut events);
        events
    }

    fn filter(&self, events: &mut Vec<Event>) {
        if let Some(wanted) = self.stream {
            events.retain(|event| !matches!(event, Event::Entry(entry) if entry.stream != wanted));
        }
    }
}

/// A path that is opened, and the same for people.
#[derive(Debug, Clone)]
struct Way {
    /// Where it is reached.
    reach: PathBuf,
    /// As the runtime calls it.
    seen: PathBuf,
}
