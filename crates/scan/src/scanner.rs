//! Scans again and again, and keeps what cannot have changed.

use std::time::Instant;

use portolan_linux::Home;

use crate::ask::Asker;
use crate::fault::Faults;
use crate::owners::Remembered;
use crate::places::Places;
use crate::ports::{self, Known};
use crate::walk::{self, Judged};
use crate::{Error, Inventory, Result, ScanOptions, group, held, identity};

/// Charts a host, and charts it again for less: what a cgroup's text means, who a container is, and where its
/// listening sockets were found are kept from scan to scan; all that can have changed is looked at anew.
///
/// Every scan gives what a new scanner would.
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
#[derive(Debug, Default)]
pub struct Scanner {
    options: ScanOptions,
    judged: Judged,
    identities: identity::Remembered,
    owners: Remembered,
}

impl Scanner {
    /// A scanner that has seen nothing yet.
    #[must_use]
    pub fn new(options: ScanOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Charts the host as it is now.
    ///
    /// # Errors
    /// Only when `/proc` itself cannot be read. Everything less is a [`Fault`](crate::Fault) in the answer.
    pub fn scan(&mut self) -> Result<Inventory> {
        let start = Instant::now();
        let mut faults = Faults::default();
        let home = Home::here().map_err(Error::proc_unreadable)?;
        let host = walk::host_namespaces(home.id(), &mut faults);
        let processes = walk::processes(&mut self.judged, &mut faults)?;
        let (mut containers, membership) = group::containers(&processes.seen, &host);
        let mut places = Places::of(&processes.seen, host.net);
        held::find(&mut places, &processes.seen, &self.options, &mut faults);
        let inits = group::inits(&containers, &processes.seen);
        let asker = Asker { processes: &processes.seen, timeout: self.options.namespace_timeout };
        let answers = asker.all(&places, &inits, &mut faults);
        let silent = answers.silent.clone();
        identity::describe(
            &mut containers,
            &identity::Scene {
                processes: &processes.seen,
                membership: &membership,
                inits: &inits,
                host: &host,
            },
            &answers.hostnames,
            &mut self.identities,
            &mut faults,
        );
        let known = Known {
            processes: &processes,
            membership: &membership,
            containers: &containers,
            places: &places,
            host: &host,
        };
        let mut listeners = ports::listeners(&known, &asker, answers, &mut self.owners, &mut faults);
        containers.sort_by(|a, b| (a.runtime, &a.name, &a.id).cmp(&(b.runtime, &b.name, &b.id)));
        listeners.sort_by(|a, b| {
            let key = |l: &crate::Listener| (l.netns, l.protocol, l.port());
            (&a.container, key(a), &a.local, a.inode).cmp(&(&b.container, key(b), &b.local, b.inode))
        });
        Ok(Inventory {
            host,
            containers,
            listeners,
            faults: faults.into_list(),
            network_namespaces: places.iter().map(|(id, _)| id).collect(),
            unseen: crate::inventory::Unseen { namespaces: silent, processes: processes.unseen },
            elapsed: start.elapsed(),
        })
    }
}
