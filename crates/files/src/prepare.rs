//! From a process to what the helper needs of it, checked.

use std::os::fd::OwnedFd;

use portolan_linux::error::ErrorKind;
use portolan_linux::{NamespaceId, NamespaceKind, Process};
use portolan_wire::ids::Ids;

use crate::error::About;
use crate::{Error, Result};

/// What the helper enters.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) namespace: OwnedFd,
    pub(crate) id: NamespaceId,
    /// The process's own root.
    pub(crate) root: OwnedFd,
    /// The ids that belong to the container; `None` for all.
    pub(crate) ids: Option<Ids>,
}

impl Door {
    /// Everything is opened through the `Process`, so it is of one and the same process or not at all. A zombie has
    /// neither namespace nor root.
    pub(crate) fn of(process: &Process, about: About<'_>) -> Result<Self> {
        let linux = |error| Error::linux(about, error);
        process.refuse_kernel_thread().map_err(linux)?;
        let namespace = process.open_namespace(NamespaceKind::Mount).map_err(linux)?;
        let id = NamespaceId::of_descriptor(&namespace).map_err(|e| Error::io(about, e))?;
        let root = process.root().map_err(linux)?;
        // Our own namespace shows its map as its parent sees it, and everything that we see is in it.
        let user = process.namespace(NamespaceKind::User).map_err(linux)?;
        let ids = if NamespaceId::own_user().is_ok_and(|own| own == user) {
            None
        } else {
            let (users, groups) = process.id_maps().map_err(linux)?;
            let ids = Ids::parse(&users, &groups).map_err(|_| Error::bare(ErrorKind::Io, about))?;
            Some(ids).filter(|ids| !ids.holds_all())
        };
        Ok(Self { namespace, id, root, ids })
    }
}
