//! Expanding a pattern below the container's root.
//!
//! Every directory is opened from the root anew, by the path found so far, so that links inside are followed as a
//! process inside would follow them and a directory that is moved meanwhile leads nowhere else.

use std::os::fd::{AsFd as _, OwnedFd};

use portolan_wire::code::{ErrorCode, FileKind, LimitKind, Stage};
use portolan_wire::limits::{MAX_DEPTH, MAX_PATH};
use portolan_wire::pattern::{Pattern, Segment};

use crate::answer::{Answer, Fault, Whole};
use crate::enter::Inside;
use crate::open;
use crate::sys::{self, Errno};
use crate::walk::{Miss, Way, find, names_kernel};

/// What a pattern matches.
#[derive(Debug)]
pub(crate) struct Matches {
    /// Sorted, and each path once.
    pub(crate) found: Vec<(Vec<u8>, FileKind)>,
    /// The pattern names `/proc` or `/sys`.
    pub(crate) named: bool,
    skipped: u32,
    outcome: Result<(), Fault>,
}

impl Matches {
    /// How the operation ends, once everything is sent.
    pub(crate) fn end(self, answer: &mut Answer) -> Result<Whole, Fault> {
        answer.skipped = self.skipped;
        self.outcome.map(|()| Whole::default())
    }
}

/// Sends the paths that match.
pub(crate) fn all(
    inside: &Inside,
    pattern: &[u8],
    max_entries: u64,
    answer: &mut Answer,
) -> Result<Whole, Fault> {
    let matches = search(inside, pattern, max_entries, answer)?;
    for (path, kind) in &matches.found {
        answer.entry(*kind, path)?;
    }
    matches.end(answer)
}

/// Finds them. What was found is kept even when a limit was met.
pub(crate) fn search(
    inside: &Inside,
    pattern: &[u8],
    max_entries: u64,
    answer: &Answer,
) -> Result<Matches, Fault> {
    let named = names_kernel(pattern);
    let pattern = Pattern::parse(pattern).map_err(|_| Fault::new(Stage::Request, ErrorCode::InvalidInput))?;
    let max = usize::try_from(max_entries.min(answer.entries_left())).unwrap_or(usize::MAX);
    let mut walk = Walk { inside, answer, named, found: Vec::new(), skipped: 0, max };
    let mut outcome = Ok(());
    for alternative in pattern.alternatives() {
        outcome = walk.segments(&mut Vec::new(), &alternative.segments, 0, alternative.directories_only);
        if outcome.is_err() {
            break;
        }
    }
    walk.tidy();
    walk.found.truncate(max);
    Ok(Matches { found: walk.found, named, skipped: walk.skipped, outcome })
}

struct Walk<'a> {
    inside: &'a Inside,
    answer: &'a Answer,
    named: bool,
    found: Vec<(Vec<u8>, FileKind)>,
    skipped: u32,
    max: usize,
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
                if !rest.is_empty() || self.find(path, true, true).is_some() {
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
        let path = if path.is_empty() { b"/" } else { path };
        let Some(directory) = self.heed(open::directory(self.inside, path, self.named)) else {
            return Ok(Vec::new());
        };
        let mut names = Vec::new();
        let mut entries = sys::Entries::new(directory.as_fd());
        loop {
            let (name, kind) = match entries.next() {
                Ok(Some(entry)) => entry,
                // At its end, or removed meanwhile.
                Ok(None) | Err(Errno(libc::ENOENT)) => break,
                Err(errno) => return Err(Fault::of_errno(Stage::Glob, errno)),
            };
            if name == b"." || name == b".." || !segment.matches(name) {
                continue;
            }
            // More names than may be sent need not be held; one more shows that there are more.
            let held = self.found.len().saturating_add(names.len());
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
        // A link at the end counts, wherever it leads.
        let Some(found) = self.find(path, directories, directories) else {
            return Ok(());
        };
        let kind = sys::look(found.as_fd(), false).map_or(FileKind::Unknown, |look| look.stat.kind);
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
        if self.found.len() >= self.max {
            // `**` and braces can find the same path twice.
            self.tidy();
            if self.found.len() >= self.max && !self.found.iter().any(|(known, _)| known == path) {
                return Err(Fault::limit(Stage::Glob, LimitKind::Entries, 0));
            }
        }
        self.found.push((path.to_vec(), kind));
        Ok(())
    }

    fn tidy(&mut self) {
        self.found.sort_unstable();
        self.found.dedup_by(|one, other| one.0 == other.0);
    }

    /// A path below the root; one that is not there simply does not match (`glob(3)`).
    fn find(&mut self, path: &[u8], follow: bool, directory: bool) -> Option<OwnedFd> {
        let way = Way { named: self.named, follow, directory };
        self.heed(find(self.inside, if path.is_empty() { b"/" } else { path }, way))
    }

    /// Counts what may not be looked into. The kernel's own file systems are not missed by a pattern that does not
    /// name them.
    fn heed(&mut self, outcome: Result<OwnedFd, Miss>) -> Option<OwnedFd> {
        match outcome {
            Ok(found) => return Some(found),
            Err(Miss::FileSystem(kind)) if kind.is_kernel() => {}
            Err(Miss::Errno(Errno(libc::EACCES | libc::EPERM)) | Miss::FileSystem(_)) => {
                self.skipped = self.skipped.saturating_add(1);
            }
            Err(_) => {}
        }
        None
    }
}

/// Names that are held at once for directories on the way.
const HELD: usize = 200_000;

fn push(path: &mut Vec<u8>, name: &[u8]) {
    path.push(b'/');
    path.extend_from_slice(name);
}
