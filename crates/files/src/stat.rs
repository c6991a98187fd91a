//! What a file is.

use std::time::{Duration, SystemTime};

use portolan_linux::error::FileKind;
use portolan_wire::frame;

/// What `statx(2)` says of a file inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits and those of the kind, as `st_mode`.
    pub mode: u32,
    /// The owner, as a number of the agent's user namespace.
    pub user: u32,
    /// The group, likewise.
    pub group: u32,
    /// Bytes; 0 for files of `/proc` and `/sys`.
    pub size: u64,
    /// The device that it lies on: major number in the upper half, minor in the lower.
    pub device: u64,
    /// The inode number; together with the device it says whether two paths lead to one file.
    pub inode: u64,
    /// Hard links.
    pub links: u32,
    /// When its content changed last.
    pub modified: SystemTime,
    /// When it was made, where the file system knows.
    pub created: Option<SystemTime>,
}

impl Stat {
    pub(crate) fn of(stat: &frame::Stat) -> Self {
        let seconds = Duration::from_secs(stat.modified.unsigned_abs());
        let nanos = Duration::from_nanos(stat.modified_nanos.into());
        let epoch = SystemTime::UNIX_EPOCH;
        // A time that no clock can show, which a container can set, is the epoch.
        let at = if stat.modified < 0 { epoch.checked_sub(seconds) } else { epoch.checked_add(seconds) };
        Self {
            kind: crate::error::file_kind(stat.kind),
            mode: stat.mode,
            user: stat.user,
            group: stat.group,
            size: stat.size,
            device: stat.device,
            inode: stat.inode,
            links: stat.links,
            modified: at.and_then(|at| at.checked_add(nanos)).unwrap_or(epoch),
            created: (stat.created > 0)
                .then(|| epoch.checked_add(Duration::from_nanos(stat.created)))
                .flatten(),
        }
    }
}
