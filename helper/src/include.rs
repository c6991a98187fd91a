//! Expanding a pattern and reading what it matches, in one go: what `include /etc/nginx/conf.d/*.conf` means.

use portolan_wire::code::FileKind;
use portolan_wire::request::Read;

use crate::answer::{Answer, Fault, Whole};
use crate::enter::Inside;
use crate::{glob, open, read};

/// A file that cannot be read has its error in its place; what ends the search ends the operation.
pub(crate) fn all(
    inside: &Inside,
    pattern: &[u8],
    max_entries: u64,
    options: Read,
    answer: &mut Answer,
) -> Result<Whole, Fault> {
    let matches = glob::search(inside, pattern, max_entries, answer)?;
    for (path, kind) in &matches.found {
        answer.entry(*kind, path)?;
        let file = one(inside, path, *kind, matches.named, options, answer);
        answer.file(file)?;
    }
    matches.end(answer)
}

fn one(
    inside: &Inside,
    path: &[u8],
    kind: FileKind,
    named: bool,
    options: Read,
    answer: &mut Answer,
) -> Result<Whole, Fault> {
    // Most of what is no file is known already.
    if !matches!(kind, FileKind::Regular | FileKind::Symlink | FileKind::Unknown) {
        return Err(Fault::not_regular(kind));
    }
    let (file, stat) = open::named(inside, path, named)?;
    read::opened(file, stat, options, answer)
}
