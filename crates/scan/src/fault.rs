//! What a scan could not look at.

use std::collections::BTreeMap;
use std::fmt;

use portolan_linux::{Error, ErrorKind};

/// Something that the scan could not look at. The same trouble of many subjects is one fault with a count.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// What was tried.
    pub operation: &'static str,
    /// Why it failed.
    pub kind: ErrorKind,
    /// The first subject: a pid or, for listeners, a network namespace's inode number.
    pub first: u64,
    /// What the subject is: `pid` or `netns`.
    pub subject: &'static str,
    /// How many subjects had the same trouble.
    pub count: usize,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} {}", self.operation, self.subject, self.first)?;
        if let Some(others) = self.count.checked_sub(1).filter(|n| *n > 0) {
            write!(f, " and {others} more")?;
        }
        write!(f, ": {}", self.kind)
    }
}

/// Faults as they come, joined by what they are.
#[derive(Debug, Default)]
pub(crate) struct Faults(BTreeMap<(&'static str, &'static str, String), Fault>);

impl Faults {
    pub(crate) fn of_pid(&mut self, operation: &'static str, pid: i32, error: &Error) {
        self.add(operation, "pid", u64::from(pid.unsigned_abs()), error.kind());
    }

    pub(crate) fn of_netns(&mut self, operation: &'static str, inode: u64, kind: ErrorKind) {
        self.add(operation, "netns", inode, kind);
    }

    fn add(&mut self, operation: &'static str, subject: &'static str, first: u64, kind: ErrorKind) {
        let fault = self.0.entry((operation, subject, format!("{kind:?}")));
        let fault = fault.or_insert(Fault { operation, kind, first, subject, count: 0 });
        fault.count = fault.count.saturating_add(1);
    }

    pub(crate) fn into_list(self) -> Vec<Fault> {
        self.0.into_values().collect()
    }
}
