//! What a name stands for: a process to enter by, and the container that it is in.

use portolan_linux::Process;
use portolan_scan::{Container, Inventory};

use crate::{Error, Result};

/// A container, or a process, held so that it cannot be taken for another.
#[derive(Debug)]
pub struct Target {
    /// The process to enter by.
    pub process: Process,
    /// Its container; `None` when the target was named by a pid.
    pub container: Option<Container>,
}

impl Target {
    /// The process of `pid:N`; `None` when the name is not of that form.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) when N is no positive number,
    /// [`TargetGone`](crate::ErrorKind::TargetGone) when there is no such process or it is a zombie,
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when it is a kernel thread.
    pub fn of_pid(name: &str) -> Result<Option<Self>> {
        let Some(number) = name.strip_prefix("pid:") else {
            return Ok(None);
        };
        let pid = number.parse::<i32>().ok().filter(|pid| *pid > 0).ok_or_else(|| Error::no_pid(name))?;
        let process = Process::open(pid)?;
        process.require_userland()?;
        Ok(Some(Self { process, container: None }))
    }

    /// A container of a chart.
    ///
    /// # Errors
    /// [`TargetGone`](crate::ErrorKind::TargetGone) when it has ended since.
    pub fn of_container(container: &Container) -> Result<Self> {
        let process = Process::reopen(container.init)?;
        process.require_userland()?;
        Ok(Self { process, container: Some(container.clone()) })
    }

    /// The container of a chart that has this name, id, or unique prefix of an id.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), [`Ambiguous`](crate::ErrorKind::Ambiguous),
    /// [`TargetGone`](crate::ErrorKind::TargetGone).
    pub fn find(inventory: &Inventory, name: &str) -> Result<Self> {
        Self::of_container(inventory.find(name)?)
    }
}
