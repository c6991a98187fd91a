//! The lines of `/proc/PID/cgroup`, and the elements of their paths.

use super::names::is_digits;

/// The kernel prints a line per hierarchy: at most some dozens, each shorter than a page.
const MAX_TEXT: usize = 64 * 1024;
const MAX_LINES: usize = 64;
const MAX_PATH: usize = 4096;

/// One line of the file.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// The line of the unified hierarchy or of systemd's own: where service managers put processes.
    managed: bool,
    pub(super) path: Path<'a>,
}

/// A cgroup path, split.
#[derive(Debug)]
pub(super) struct Path<'a> {
    /// As printed.
    pub(super) raw: &'a [u8],
    /// How many `..` lead out of the reader's cgroup namespace.
    pub(super) ups: usize,
    /// Whether the path has lost its front: the kernel prints none without a slash.
    pub(super) cut: bool,
    pub(super) elements: Vec<&'a [u8]>,
}

/// An element of a path, with its neighbours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'p, 'a> {
    pub(super) above: &'p [&'a [u8]],
    pub(super) here: &'a [u8],
    pub(super) below: &'p [&'a [u8]],
}

impl<'p, 'a> Place<'p, 'a> {
    /// The element in front of this one; empty at the top.
    pub(super) fn parent(self) -> &'a [u8] {
        self.above.last().copied().unwrap_or_default()
    }

    /// The element in front of the parent; empty at the top.
    pub(super) fn grandparent(self) -> &'a [u8] {
        self.above.iter().rev().nth(1).copied().unwrap_or_default()
    }

    /// The element behind this one; empty at the end.
    pub(super) fn child(self) -> &'a [u8] {
        self.below.first().copied().unwrap_or_default()
    }

    /// The elements in front, nearest first.
    pub(super) fn ancestors(self) -> impl Iterator<Item = &'a [u8]> + 'p {
        self.above.iter().rev().copied()
    }
}

impl<'a> Path<'a> {
    pub(super) fn new(raw: &'a [u8]) -> Self {
        // A zombie in a removed cgroup: the kernel marks the path.
        let path = raw.strip_suffix(b" (deleted)").unwrap_or(raw);
        let mut elements: Vec<&[u8]> = path.split(|&b| b == b'/').filter(|e| !e.is_empty()).collect();
        let ups = elements.iter().take_while(|e| **e == b"..").count();
        elements.drain(..ups);
        // WSL puts every distribution below a directory of its own, with a whole system inside.
        if let [b"wsl-user", distro, _, ..] = elements.as_slice()
            && distro.starts_with(b"distro-")
        {
            elements.drain(..2);
        }
        let cut = ups == 0 && !raw.starts_with(b"/");
        Self { raw, ups, cut, elements }
    }

    pub(super) fn says_nothing(&self) -> bool {
        self.ups == 0 && self.elements.is_empty()
    }

    /// Every element with its neighbours, the last one first.
    pub(super) fn places_from_inside<'p>(&'p self) -> impl Iterator<Item = Place<'p, 'a>> {
        let mut rest = self.elements.as_slice();
        let mut passed: usize = 0;
        std::iter::from_fn(move || {
            let (&here, above) = rest.split_last()?;
            let tail = self.elements.len().saturating_sub(passed);
            let below = self.elements.get(tail..).unwrap_or_default();
            rest = above;
            passed = passed.saturating_add(1);
            Some(Place { above, here, below })
        })
    }
}

/// Reads the lines that have a path. Real captures hold blank controllers and missing paths: these lines
/// are passed over, not the file.
pub(super) fn parse(text: &[u8]) -> Vec<Line<'_>> {
    bounded(text).split(|&b| b == b'\n').take(MAX_LINES).filter_map(parse_line).collect()
}

/// The text up to the bound, without the line that the bound cuts.
fn bounded(text: &[u8]) -> &[u8] {
    match text.get(..MAX_TEXT) {
        Some(head) if head.len() < text.len() => {
            let whole = head.iter().rposition(|&b| b == b'\n').unwrap_or_default();
            head.get(..whole).unwrap_or_default()
        }
        _ => text,
    }
}

/// `hierarchy:controllers:path`; only the first two colons part, the path may hold more.
///
/// Saved files may be indented, and their lines may end with blanks or in the way of other systems.
fn parse_line(line: &[u8]) -> Option<Line<'_>> {
    let line = line.trim_ascii();
    let mut fields = line.splitn(3, |&b| b == b':');
    let (hierarchy, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    // Some captures have lost the first slash of their paths; without a number in front it is no such line.
    if path.is_empty() || !(path.starts_with(b"/") || is_digits(hierarchy)) {
        return None;
    }
    if path.len() > MAX_PATH {
        return None;
    }
    let managed = hierarchy == b"0" || controllers == b"name=systemd";
    Some(Line { managed, path: Path::new(path) })
}

/// Whether a line shows where the process as a whole was put, and not where one controller happens to be.
pub(super) fn carries(lines: &[Line<'_>], line: &Line<'_>) -> bool {
    let same = lines.iter().filter(|other| other.path.raw == line.path.raw).count();
    line.managed || same.saturating_mul(2) >= lines.len()
}
