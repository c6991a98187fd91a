//! Expanding a pattern below the container's root.
//!
//! Every directory is opened from the root anew, by the path found so far, so that links inside are followed as a
//! process inside would follow them and a directory that is moved meanwhile leads nowhere else.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use portolan_wire::code::{ErrorCode, FileKind, LimitKind, Stage};
use portolan_wire::limits::{MAX_DEPTH, MAX_PATH};
use portolan_wire::pattern::{Pattern, Segment};

use crate::answer::{Answer, Fault};
use crate::enter::Inside;
use crate::open::resolve;
use crate::request::Glob;
use crate::sys::{self, Errno};

pub(crate) fn expand(
    inside: &Inside,
    pattern: &[u8],
    options: &Glob,
    answer: &mut Answer,
) -> Result<(), Fault> {
    let pattern = Pattern::parse(pattern).map_err(|_| Fault::new(Stage::Request, ErrorCode::InvalidInput))?;
    let mut walk = Walk {
        root: inside.root.as_fd(),
        answer,
        found: BTreeMap::new(),
        skipped: 0,
        max: options.max_entries,
    };
    let mut outcome = Ok(());
    for alternative in pattern.alternatives() {
        outcome = walk.segments(&mut Vec::new(), &alternative.segments, 0, alternative.directories_only);
        if outcome.is_err() {
            break;
        }
    }
    // What was found is sent even when a limit was met.
    let (found, skipped) = (std::mem::take(&mut walk.found), walk.skipped);
    for (path, kind) in &found {
        answer.entry(*kind, path)?;
    }
    outcome?;
    answer.end(0, false, skipped)
}

struct Walk<'a> {
    root: BorrowedFd<'a>,
    answer: &'a mut Answer,
    /// Sorted, and each path once: `**` and braces can find the same path twice.
    found: BTreeMap<Vec<u8>, FileKind>,
    skipped: u32,
    max: u64,
}

impl Walk<'_> {
    fn segments(
        &mut self,
        path: &mut Vec<u8>,
        segments: &[Segment],
        depth: usize,
        directories: bool,
    ) -> Result<(), Fault> {
        self.answer.in_time(Stage::Glob)?;
        if depth > MAX_DEPTH {
            return Err(Fault::limit(Stage::Glob, LimitKind::Depth, 0));
        }
        let Some((segment, rest)) = segments.split_first() else {
            return self.existing(path, directories);
        };
        let length = path.len();
        match segment {
            Segment::Literal(name) => {
                push(path, name);
                let result = self.segments(path, rest, depth, directories);
                path.truncate(length);
                result
            }
            Segment::Wild(_) => {
                for (name, kind) in self.names(path, segment, rest.is_empty() && !directories)? {
                    push(path, &name);
                    if !rest.is_empty() || directories {
                        self.segments(path, rest, depth.saturating_add(1), directories)?;
                    } else {
                        self.put(path, kind)?;
                    }
                    path.truncate(length);
                }
                Ok(())
            }
            Segment::Recursive => {
                // At the end of a pattern it stands for the directory itself, which has to be one.
                if !rest.is_empty() || self.open(path, libc::O_PATH | libc::O_DIRECTORY).is_some() {
                    self.segments(path, rest, depth, directories)?;
                }
                for (name, kind) in self.names(path, segment, false)? {
                    push(path, &name);
                    // Only real directories: a link could lead up again.
                    if kind == FileKind::Directory {
                        self.segments(path, segments, depth.saturating_add(1), directories)?;
                    } else if rest.is_empty() && !directories {
                        self.put(path, kind)?;
                    }
                    path.truncate(length);
                }
                Ok(())
            }
            _ => Err(Fault::new(Stage::Request, ErrorCode::InvalidInput)),
        }
    }

    /// The names in a directory that match a segment, sorted. A path that leads to no directory has none.
    fn names(
        &mut self,
        path: &[u8],
        segment: &Segment,
        last: bool,
    ) -> Result<Vec<(Vec<u8>, FileKind)>, Fault> {
        let directory = match self.open(path, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NONBLOCK) {
            Some(directory) => directory,
            None => return Ok(Vec::new()),
        };
        let mut names = Vec::new();
        let mut entries = sys::Entries::new(directory.as_fd());
        while let Some((name, kind)) = entries.next().map_err(|errno| Fault::of_errno(Stage::Glob, errno))? {
            if name == b"." || name == b".." || !segment.matches(name) {
                continue;
            }
            // More names than may be sent need not be held; one more shows that there are more.
            let held = u64::try_from(self.found.len().saturating_add(names.len())).unwrap_or(u64::MAX);
            if last && held > self.max || names.len() > HELD {
                break;
            }
            let kind = match kind {
                FileKind::Unknown => sys::kind_at(directory.as_fd(), name).unwrap_or(FileKind::Unknown),
                known => known,
            };
            names.push((name.to_vec(), kind));
            if names.len().is_multiple_of(1024) {
                self.answer.in_time(Stage::Glob)?;
            }
        }
        if names.len() > HELD {
            return Err(Fault::limit(Stage::Glob, LimitKind::Entries, 0));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The end of a pattern: a path that may or may not be there.
    fn existing(&mut self, path: &mut Vec<u8>, directories: bool) -> Result<(), Fault> {
        let flags =
            if directories { libc::O_PATH | libc::O_DIRECTORY } else { libc::O_PATH | libc::O_NOFOLLOW };
        let Some(found) = self.open(path, flags) else {
            return Ok(());
        };
        let kind = sys::fstat(found.as_fd()).map_or(FileKind::Unknown, |stat| FileKind::of_mode(stat.mode));
        if directories || path.is_empty() {
            // As the shell has it: a pattern that ends in a slash gives paths that do.
            path.push(b'/');
            let result = self.put(path, kind);
            path.pop();
            return result;
        }
        self.put(path, kind)
    }

    fn put(&mut self, path: &[u8], kind: FileKind) -> Result<(), Fault> {
        if path.len() > MAX_PATH {
            return Err(Fault::new(Stage::Glob, ErrorCode::NameTooLong));
        }
        if u64::try_from(self.found.len()).unwrap_or(u64::MAX) >= self.max && !self.found.contains_key(path) {
            return Err(Fault::limit(Stage::Glob, LimitKind::Entries, 0));
        }
        self.found.insert(path.to_vec(), kind);
        Ok(())
    }

    /// Opens a path below the root; what is not there, or not permitted, simply does not match (`glob(3)`), but
    /// the second is counted.
    fn open(&mut self, path: &[u8], flags: i32) -> Option<OwnedFd> {
        match resolve(self.root, if path.is_empty() { b"/" } else { path }, flags) {
            Ok(found) => Some(found),
            Err(Errno(libc::EACCES | libc::EPERM)) => {
                self.skipped = self.skipped.saturating_add(1);
                None
            }
            Err(_) => None,
        }
    }
}

/// Names that are held at once for directories on the way.
const HELD: usize = 200_000;

fn push(path: &mut Vec<u8>, name: &[u8]) {
    path.push(b'/');
    path.extend_from_slice(name);
}
