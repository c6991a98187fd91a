//! What is kept of a process between two looks, so that the second costs no more than it must.

use std::os::fd::AsFd as _;
use std::sync::OnceLock;

use super::{Process, ProcessId, Stat, directory_of};
use crate::error::{Subject, os};
use crate::{Error, ErrorKind, Result};

/// A process as it was when it was looked at, without a descriptor.
///
/// Its `/proc/PID` directory has an inode number that the kernel gives to no other, so that the same number means
/// the same process, and its `stat` need not be read again to know that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    id: ProcessId,
    inode: u64,
    owner: u32,
    stat: Stat,
}

impl Trace {
    /// From its parts; an inode number that is not the directory's is found out by [`follow`](Self::follow).
    #[must_use]
    pub fn new(id: ProcessId, inode: u64, owner: u32, stat: Stat) -> Self {
        Self { id, inode, owner, stat }
    }

    /// The inode number of its `/proc/PID`; 0 when it was never looked at.
    #[must_use]
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// Number and start time.
    #[must_use]
    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// The process's effective user, as [`Process::owner`].
    #[must_use]
    pub fn owner(&self) -> u32 {
        self.owner
    }

    /// What `/proc/PID/stat` said.
    #[must_use]
    pub fn stat(&self) -> &Stat {
        &self.stat
    }

    /// Takes hold of the process again. Its [`stat`](Process::stat) is the one that is known already.
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`] when it has ended, also when its number belongs to another process now.
    ///
    /// # Example
    /// ```
    /// let me = portolan_linux::Process::open(std::process::id().cast_signed())?;
    /// let trace = me.trace()?;
    /// assert_eq!(trace.follow()?.id(), me.id());
    /// # Ok::<(), portolan_linux::Error>(())
    /// ```
    pub fn follow(&self) -> Result<Process> {
        let directory = directory_of(self.id.pid)?;
        let inode = nix::sys::stat::fstat(directory.as_fd())
            .map_err(|e| Error::of_process("fstat", self.id.pid, os(e)))?
            .st_ino;
        if inode == self.inode {
            return Ok(Process { id: self.id, directory, stat: self.stat.clone(), pidfd: OnceLock::new() });
        }
        // The kernel forgot the directory and made it anew, or it is another's.
        let now = Process::open(self.id.pid)?;
        if now.id == self.id { Ok(now) } else { Err(gone(self.id)) }
    }
}

impl Process {
    /// What is needed to find this very process again.
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`].
    pub fn trace(&self) -> Result<Trace> {
        let directory = nix::sys::stat::fstat(self.directory())
            .map_err(|e| Error::of_process("fstat", self.pid(), os(e)))?;
        Ok(Trace { id: self.id, inode: directory.st_ino, owner: directory.st_uid, stat: self.stat.clone() })
    }
}

fn gone(id: ProcessId) -> Error {
    Error::new(ErrorKind::TargetGone, "follow", Subject::Pid(id.pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_leads_to_the_same_process_or_nowhere() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let process = Process::open(child.id().cast_signed()).unwrap();
        let trace = process.trace().unwrap();
        assert_eq!(trace.follow().unwrap().id(), process.id());
        // As if the directory had been forgotten: the start time decides.
        let forgotten = Trace { inode: trace.inode + 1, ..trace.clone() };
        assert_eq!(forgotten.follow().unwrap().id(), process.id());
        let other = Trace { id: ProcessId { start_time: 1, ..trace.id }, ..forgotten };
        assert_eq!(other.follow().unwrap_err().kind(), ErrorKind::TargetGone);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(trace.follow().unwrap_err().kind(), ErrorKind::TargetGone);
    }
}
