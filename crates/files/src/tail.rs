//! The end of a file that grows, is rotated, cut, or taken away and comes back.
//!
//! Between two polls nothing is held: no descriptor, no namespace, no mount. So a file is known again by its inode
//! and by the bytes that stood before the place where reading stopped: an inode number is soon given to the next
//! file, and a file that was cut may have grown past the old place meanwhile.
//!
//! | what happened | what is seen | what is done |
//! |---|---|---|
//! | appended | same inode, larger | read on |
//! | renamed, a new one made (`logrotate create`) | another inode | the old one is found in its directory and read to its end, and for a while after; then the new one |
//! | copied and cut (`logrotate copytruncate`) | same inode, smaller or other bytes | read from the start |
//! | deleted | no file | waited for |

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use portolan_linux::Process;
use portolan_linux::error::ErrorKind;

use crate::{Batch, Content, Error, Files, Operation, Outcome, Result, Stat};

/// So many bytes before the place where reading stopped have to be the same.
const REMEMBERED: usize = 256;
const ROOM: u64 = REMEMBERED as u64;
/// One request reads so much at most.
const PIECE: u64 = 256 * 1024;
/// A renamed file is looked after for so many polls in which it did not grow: its writer is told late.
const PATIENCE: u32 = 5;
/// Requests in one poll; more is read in the next one.
const ROUNDS: u32 = 64;

/// How a file is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TailOptions {
    /// Begin with so many of the last lines; 10 by default.
    pub lines: u64,
    /// At most so many bytes of them, and in one poll; 1 MiB by default.
    pub max_bytes: u64,
    /// Each request is answered within this time; two seconds by default.
    pub timeout: Duration,
    /// Also on FUSE and network file systems.
    pub any_file_system: bool,
}

impl Default for TailOptions {
    fn default() -> Self {
        Self { lines: 10, max_bytes: 1024 * 1024, timeout: Duration::from_secs(2), any_file_system: false }
    }
}

/// What a poll saw, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The next bytes; not promised to be text, nor to end with a line. See [`Lines`].
    Data(Vec<u8>),
    /// The path leads to another file now; what follows is of that one (but for the rest of the old one, which may
    /// still come for a while).
    Rotated,
    /// The file was cut, and is read from its start.
    Truncated,
    /// There is no such file now.
    Gone,
}

impl Event {
    fn length(&self) -> usize {
        if let Self::Data(bytes) = self { bytes.len() } else { 0 }
    }
}

/// Where in which file reading stopped.
#[derive(Debug, Clone)]
struct Place {
    device: u64,
    inode: u64,
    created: Option<SystemTime>,
    offset: u64,
    /// The last bytes before it.
    before: Vec<u8>,
}

/// A file that is followed. It holds nothing open: poll it as often as you like to hear of it.
///
/// # Example
/// ```no_run
/// use portolan_files::{Event, Files, Tail, TailOptions};
///
/// let files = Files::new()?;
/// let nginx = portolan_linux::Process::open(4242)?;
/// let mut tail = Tail::new("/var/log/nginx/error.log", TailOptions::default());
/// loop {
///     for event in tail.poll(&files, &nginx)? {
///         if let Event::Data(bytes) = event {
///             print!("{}", String::from_utf8_lossy(&bytes));
///         }
///     }
///     std::thread::sleep(std::time::Duration::from_millis(250));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Tail {
    path: PathBuf,
    options: TailOptions,
    current: Option<Place>,
    /// The file that had the path before, and for how many polls it did not grow.
    previous: Option<(Place, u32)>,
    /// The last lines were asked for.
    begun: bool,
    /// That there is no file was said.
    gone: bool,
    /// What nobody was told yet: an error came in between, or whoever asked was dropped.
    events: Vec<Event>,
}

/// What is asked next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Previous,
    First,
    Fresh,
    Current,
}

/// One poll, as questions and answers: whoever asks may wait as they like.
#[derive(Debug)]
pub(crate) struct Poll<'a> {
    tail: &'a mut Tail,
    step: Step,
    left: u64,
    rounds: u32,
}

impl Tail {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(path: impl AsRef<Path>, options: TailOptions) -> Self {
        let path = path.as_ref().to_owned();
        Self { path, options, current: None, previous: None, begun: false, gone: false, events: Vec::new() }
    }

    /// The path inside.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What happened since the last poll; in the first one, the last lines. Nothing is lost when there is more than
    /// one poll may read: it comes with the next.
    ///
    /// # Errors
    /// As for [`Files::read`], but that a file is not there is an event. After an error nothing is lost either:
    /// events of the same poll come with the next one.
    pub fn poll(&mut self, files: &Files, process: &Process) -> Result<Vec<Event>> {
        let mut poll = Poll::new(self);
        while let Some(batch) = poll.question() {
            let Some(outcome) = files.batch(process, &batch)?.pop() else {
                break;
            };
            poll.answer(outcome)?;
        }
        Ok(poll.events())
    }
}

impl<'a> Poll<'a> {
    pub(crate) fn new(tail: &'a mut Tail) -> Self {
        let step = match (&tail.previous, &tail.current) {
            (Some(_), _) => Step::Previous,
            _ => tail.next_step(),
        };
        let waiting: usize = tail.events.iter().map(Event::length).sum();
        let left = tail.options.max_bytes.max(1).saturating_sub(u64::try_from(waiting).unwrap_or(u64::MAX));
        Self { tail, step, left, rounds: 0 }
    }

    pub(crate) fn events(self) -> Vec<Event> {
        std::mem::take(&mut self.tail.events)
    }

    /// The next request; `None` when the poll is done.
    pub(crate) fn question(&mut self) -> Option<Batch> {
        if self.left == 0 || self.rounds >= ROUNDS {
            return None;
        }
        self.rounds = self.rounds.saturating_add(1);
        let most = self.left.min(PIECE);
        let room = |place: &Place| most.saturating_add(u64::try_from(place.before.len()).unwrap_or(0));
        let operation = match (self.step, &self.tail.previous, &self.tail.current) {
            (Step::Previous, Some((place, _)), _) => Operation::Renamed {
                device: place.device,
                inode: place.inode,
                offset: place.start(),
                max_bytes: room(place),
            },
            // None are asked for, but what stands before the end is remembered.
            (Step::First, ..) if self.tail.options.lines == 0 => {
                Operation::Lines { lines: u64::MAX, max_bytes: ROOM }
            }
            (Step::First, ..) => Operation::Lines { lines: self.tail.options.lines, max_bytes: self.left },
            (Step::Current, _, Some(place)) => {
                Operation::Read { max_bytes: room(place), offset: place.start(), prefix: true }
            }
            _ => Operation::Read { max_bytes: most, offset: 0, prefix: true },
        };
        let batch = Batch::new().operation(operation, &self.tail.path);
        let batch =
            batch.max_bytes(self.left.max(PIECE).saturating_mul(2)).timeout(self.tail.options.timeout);
        Some(if self.tail.options.any_file_system { batch.any_file_system() } else { batch })
    }

    /// Takes in what came of it.
    pub(crate) fn answer(&mut self, outcome: Result<Outcome>) -> Result<()> {
        let content = match outcome {
            Ok(Outcome::Content(content)) => Some(content),
            Ok(_) => None,
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) if self.step == Step::Previous && !fatal(&error) => None,
            Err(error) => return Err(error),
        };
        match self.step {
            Step::Previous => self.previous(content),
            Step::First | Step::Fresh => self.fresh(content),
            Step::Current => self.current(content),
        }
        Ok(())
    }

    /// The rest of a file that was renamed.
    fn previous(&mut self, content: Option<Content>) {
        let Some((place, idle)) = &mut self.tail.previous else { return };
        let next = match &content {
            Some(content) if place.is(&content.stat) => place.read_on(content),
            _ => None,
        };
        match next {
            // Deleted, moved elsewhere, or its number is another's: its rest is out of reach.
            None => self.tail.previous = None,
            Some(data) if data.is_empty() => {
                *idle = idle.saturating_add(1);
                if *idle >= PATIENCE {
                    self.tail.previous = None;
                }
            }
            Some(data) => {
                *idle = 0;
                if self.push(data) && content.is_some_and(|content| content.truncated) {
                    return;
                }
            }
        }
        self.step = self.tail.next_step();
    }

    /// A file that was not read before.
    fn fresh(&mut self, content: Option<Content>) {
        let Some(content) = content else {
            return self.missing();
        };
        self.tail.begun = true;
        self.tail.gone = false;
        // Renamed, and back again: it is known how far it was read.
        if self.tail.previous.as_ref().is_some_and(|(place, _)| place.is(&content.stat)) {
            self.tail.current = self.tail.previous.take().map(|(place, _)| place);
            self.step = Step::Current;
            return;
        }
        self.tail.current = Some(Place::after(&content));
        let skip = self.step == Step::First && self.tail.options.lines == 0;
        let more = self.push(if skip { Vec::new() } else { content.bytes }) && content.truncated;
        self.step = Step::Current;
        if !more {
            self.done();
        }
    }

    /// The file that was read before, or what has its path now.
    fn current(&mut self, content: Option<Content>) {
        let Some(place) = &mut self.tail.current else { return self.done() };
        let Some(content) = content else {
            // Renamed, perhaps; its writer may not know yet.
            return self.rotate(false);
        };
        if !place.is(&content.stat) && !place.was_copied(&content) {
            return self.rotate(true);
        }
        match place.read_on(&content) {
            Some(data) => {
                if !(self.push(data) && content.truncated) {
                    self.done();
                }
            }
            None => {
                self.tail.current = None;
                self.tail.events.push(Event::Truncated);
                self.step = Step::Fresh;
            }
        }
    }

    /// The path leads elsewhere: first the rest of what it led to.
    fn rotate(&mut self, to_another: bool) {
        if to_another {
            self.tail.events.push(Event::Rotated);
        }
        self.tail.previous = self.tail.current.take().map(|place| (place, 0));
        self.step = Step::Previous;
    }

    fn missing(&mut self) {
        self.tail.begun = true;
        if !self.tail.gone {
            self.tail.gone = true;
            self.tail.events.push(Event::Gone);
        }
        self.done();
    }

    fn done(&mut self) {
        self.left = 0;
    }

    /// Whether more may be read in this poll.
    fn push(&mut self, data: Vec<u8>) -> bool {
        self.left = self.left.saturating_sub(u64::try_from(data.len()).unwrap_or(u64::MAX));
        if !data.is_empty() {
            self.tail.events.push(Event::Data(data));
        }
        self.left > 0
    }
}

/// The container itself is out of reach, not only a file that was renamed there.
fn fatal(error: &Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::Limit(_) | ErrorKind::Io
    )
}

impl Tail {
    fn next_step(&self) -> Step {
        match (&self.current, self.begun) {
            (Some(_), _) => Step::Current,
            (None, false) => Step::First,
            (None, true) => Step::Fresh,
        }
    }
}

impl Place {
    fn after(content: &Content) -> Self {
        let Stat { device, inode, created, .. } = content.stat;
        let mut place = Self { device, inode, created, offset: content.offset, before: Vec::new() };
        place.advance(&content.bytes);
        place
    }

    /// Where reading begins, so that the remembered bytes come first.
    fn start(&self) -> u64 {
        self.offset.saturating_sub(u64::try_from(self.before.len()).unwrap_or(0))
    }

    fn is(&self, stat: &Stat) -> bool {
        (self.device, self.inode, self.created) == (stat.device, stat.inode, stat.created)
    }

    /// Another file that begins as the one before: written for the first time on an overlay, or edited "in place".
    fn was_copied(&mut self, content: &Content) -> bool {
        let same = self.before.len() == REMEMBERED && content.bytes.starts_with(&self.before);
        if same {
            let Stat { device, inode, created, .. } = content.stat;
            (self.device, self.inode, self.created) = (device, inode, created);
        }
        same
    }

    /// The bytes after the remembered ones; `None` when those are not there any more.
    fn read_on(&mut self, content: &Content) -> Option<Vec<u8>> {
        let data = content.bytes.strip_prefix(self.before.as_slice())?.to_vec();
        self.advance(&data);
        Some(data)
    }

    fn advance(&mut self, data: &[u8]) {
        self.offset = self.offset.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        self.before.extend_from_slice(data);
        let excess = self.before.len().saturating_sub(REMEMBERED);
        self.before.drain(..excess);
    }
}

/// Cuts bytes into lines, of a length that is bounded.
///
/// # Example
/// ```
/// use portolan_files::tail::Lines;
///
/// let mut lines = Lines::new(8);
/// assert_eq!(lines.push(b"one\ntw"), [b"one".to_vec()]);
/// assert_eq!(lines.push(b"o\nvery long"), [b"two".to_vec(), b"very lon".to_vec()]);
/// assert_eq!(lines.rest(), b"g");
/// ```
#[derive(Debug, Clone)]
pub struct Lines {
    longest: usize,
    waiting: Vec<u8>,
}

impl Lines {
    /// Lines of at most so many bytes; a longer one comes in pieces.
    #[must_use]
    pub fn new(longest: usize) -> Self {
        Self { longest: longest.max(1), waiting: Vec::new() }
    }

    /// Takes these bytes in, and gives the lines that are whole, without their newlines.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for byte in bytes {
            if *byte == b'\n' {
                lines.push(std::mem::take(&mut self.waiting));
                continue;
            }
            self.waiting.push(*byte);
            if self.waiting.len() >= self.longest {
                lines.push(std::mem::take(&mut self.waiting));
            }
        }
        lines
    }

    /// What came after the last newline, and is given up: the file was rotated or cut, or is not followed further.
    pub fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.waiting)
    }
}
