//! Whose files a container may have read for it: what is not for everybody is read only if the container's own root
//! could (`user_namespaces(7)`). The helper stays outside of the user namespace, and keeps the rule itself.

use portolan_wire::frame::Stat;
use portolan_wire::ids::Ids;

const OTHERS_READ: u32 = 0o004;
const OTHERS_SEARCH: u32 = 0o001;

/// Whether the container's root may read a file or list a directory.
pub(crate) fn may_read(ids: Option<&Ids>, stat: &Stat) -> bool {
    may(ids, stat, OTHERS_READ)
}

/// Whether the container's root may pass through a directory.
pub(crate) fn may_search(ids: Option<&Ids>, stat: &Stat) -> bool {
    may(ids, stat, OTHERS_SEARCH)
}

fn may(ids: Option<&Ids>, stat: &Stat, others: u32) -> bool {
    ids.is_none_or(|ids| stat.mode & others != 0 || ids.holds(stat.user, stat.group))
}
