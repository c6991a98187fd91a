//! Scans again and again, and keeps what cannot have changed.

mod by_change;
pub(crate) mod by_look;
mod by_pass;
pub(crate) mod snapshot;

use crate::{Inventory, Result, ScanOptions};
use snapshot::Snapshot;

/// Charts a host, and charts it again for less: what a cgroup's text means, who a container is, and where its
/// listening sockets were found are kept from scan to scan; all that can have changed is looked at anew.
///
/// Every scan gives what a new scanner would. One thing is kept that could be told otherwise: who a container is, is
/// judged once, when it is a few seconds old, by what its runtime made of it; what it changes later in its own mounts
/// or variables is not believed.
///
/// # Example
/// ```
/// use portolan_scan::{ScanOptions, Scanner};
///
/// let mut scanner = Scanner::new(ScanOptions::default());
/// let before = scanner.scan()?;
/// let after = scanner.scan()?;
/// println!("{}", after.diff(&before));
/// # Ok::<(), portolan_scan::Error>(())
/// ```
#[derive(Debug)]
pub struct Scanner {
    pub(crate) snapshot: Snapshot,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new(ScanOptions::default())
    }
}

impl Scanner {
    /// A scanner that has seen nothing yet.
    #[must_use]
    pub fn new(options: ScanOptions) -> Self {
        Self { snapshot: Snapshot::new(options) }
    }

    /// Charts the host as it is now.
    ///
    /// # Errors
    /// Only when `/proc` itself cannot be read. Everything less is a [`Fault`](crate::Fault) in the answer.
    pub fn scan(&mut self) -> Result<Inventory> {
        self.snapshot.scan()
    }
}
