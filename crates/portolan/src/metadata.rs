//! What Docker and Podman say of their containers (feature `docker`).
//!
//! The chart needs none of it, and waits for none of it: see [`Runtimes`].

use std::time::Duration;

use portolan_scan::Inventory;

use crate::Host;

pub use portolan_runtimes::metadata::{
    Engine, Exposed, Health, Image, Metadata, Mount, Pod, Published, RestartPolicy,
};
pub use portolan_runtimes::{Answer, Fault, Happened, Runtimes, Trouble, Watching};

impl Host {
    /// The runtimes of this host that have an API. Keep it: it remembers what was said, and can listen to their events.
    #[must_use]
    pub fn runtimes(&self) -> Runtimes {
        Runtimes::new()
    }

    /// Asks the runtimes once about the containers of a chart, within a deadline for all of them; see [`Runtimes::ask`].
    ///
    /// What is not answered in time is a fault in the answer, and the chart is as good as before.
    ///
    /// # Example
    /// ```no_run
    /// use portolan::Host;
    /// use std::time::Duration;
    ///
    /// let host = Host::new();
    /// let mut chart = host.scan()?;
    /// let answer = host.metadata(&chart, Duration::from_secs(2));
    /// answer.apply(&mut chart);
    /// for container in &chart.containers {
    ///     let labels = answer.of(container).map(|metadata| &metadata.labels);
    ///     println!("{}: {labels:?}", container.id);
    /// }
    /// # Ok::<(), portolan::Error>(())
    /// ```
    #[must_use]
    pub fn metadata(&self, chart: &Inventory, deadline: Duration) -> Answer {
        self.runtimes().ask(chart, deadline)
    }
}
