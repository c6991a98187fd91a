//! Whose files a service sees.

use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use portolan_linux::{NamespaceId, Process, ProcessId};

use super::scene::Scene;
use crate::launch::Launch;
use crate::recognise::group::Group;

/// Whose files are read: those of a mount namespace, below a root directory in it.
///
/// Two are the same if these are; any process that sees those files will do to read them.
#[derive(Debug, Clone)]
pub(super) struct View {
    mnt: NamespaceId,
    pub(super) root: PathBuf,
    pub(super) process: ProcessId,
}

impl PartialEq for View {
    fn eq(&self, other: &Self) -> bool {
        (self.mnt, &self.root) == (other.mnt, &other.root)
    }
}

impl Eq for View {}

impl Hash for View {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.mnt, &self.root).hash(state);
    }
}

/// A service sees the files of its namespace. One that changed its root later was configured before that.
pub(super) fn of(group: &Group<'_>, launch: &Launch, scene: &Scene<'_>) -> View {
    let own = View { mnt: group.first.mnt, root: launch.root.clone(), process: group.first.id };
    if launch.root == Path::new("/") {
        return own;
    }
    let mut at = group.first;
    while let Some(parent) = scene.members.get(&at.parent)
        && parent.mnt == at.mnt
        && parent.container == at.container
        && parent.id.start_time <= at.id.start_time
        && parent.id != at.id
    {
        at = parent;
        let root = Process::reopen(at.id).and_then(|process| process.root_path());
        if root.is_ok_and(|root| root == b"/") {
            return View { mnt: at.mnt, root: "/".into(), process: at.id };
        }
    }
    own
}
