//! Network namespaces that no process's main thread is in.

use std::os::fd::OwnedFd;

use portolan_linux::netns::Visitor;
use portolan_linux::{Error, NamespaceId, Result};

use crate::ScanOptions;
use crate::fault::Faults;
use crate::places::{Places, Way};
use crate::walk::Seen;

pub(crate) fn find(_places: &mut Places, _processes: &[Seen], _options: &ScanOptions, _faults: &mut Faults) {}

pub(crate) fn enter(
    _way: &Way,
    _id: NamespaceId,
    _visitor: &mut Visitor,
    _processes: &[Seen],
) -> Result<OwnedFd> {
    Err(Error::gone(0))
}
