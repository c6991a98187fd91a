//! The answer of a scan.

use std::time::Duration;

use portolan_linux::NamespaceId;

use crate::container::{Container, Namespaces};
use crate::fault::Fault;
use crate::listener::Listener;
use crate::member::Member;
use crate::source::Source;
use crate::{Error, Result};

/// The chart of a host at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Inventory {
    /// The host's own namespaces.
    pub host: Namespaces,
    /// The containers, by runtime and name.
    pub containers: Vec<Container>,
    /// The listeners of all network namespaces, each once.
    pub listeners: Vec<Listener>,
    /// The processes, by their numbers; kernel threads and those that have ended are left out.
    pub processes: Vec<Member>,
    /// The network namespaces that were asked.
    pub network_namespaces: Vec<NamespaceId>,
    /// What could not be looked at.
    pub faults: Vec<Fault>,
    /// What may be there and was not seen.
    pub unseen: Unseen,
    /// How the kernel was asked.
    pub source: Source,
    /// How long the scan took.
    pub elapsed: Duration,
}

/// What a scan could not look at: that it does not show them does not mean that they are gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unseen {
    /// Network namespaces whose listeners are not, or not all, in the chart.
    pub namespaces: Vec<NamespaceId>,
    /// Processes that were there and could not be looked at.
    pub processes: Vec<i32>,
}

impl Inventory {
    /// The container that a person means: by its id; or by its name or a prefix of its id, if that means one only.
    ///
    /// Names that a container gives itself (its host name) count only when no runtime's name or id fits, so that a
    /// container cannot put itself in another's place.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound), [`ErrorKind::Ambiguous`](crate::ErrorKind::Ambiguous)
    /// with the ids that fit.
    pub fn find(&self, target: &str) -> Result<&Container> {
        if let Some(exact) = self.containers.iter().find(|c| c.id == target) {
            return Ok(exact);
        }
        let given = |c: &&Container| c.name.as_deref() == Some(target) || c.id.starts_with(target);
        let own = |c: &&Container| c.hostname.as_deref() == Some(target);
        if target.is_empty() {
            return Err(Error::not_found(target));
        }
        let mut fitting: Vec<&Container> = self.containers.iter().filter(given).collect();
        if fitting.is_empty() {
            fitting = self.containers.iter().filter(own).collect();
        }
        match fitting.as_slice() {
            [one] => Ok(one),
            [] => Err(Error::not_found(target)),
            many => Err(Error::ambiguous(target, many.iter().map(|c| c.id.clone()).collect())),
        }
    }

    /// Of the same host, with nothing on it.
    pub(crate) fn emptied(&self) -> Self {
        Self {
            host: self.host,
            containers: Vec::new(),
            listeners: Vec::new(),
            processes: Vec::new(),
            network_namespaces: Vec::new(),
            faults: Vec::new(),
            unseen: Unseen::default(),
            source: self.source.clone(),
            elapsed: Duration::ZERO,
        }
    }

    /// The listeners that belong to a container.
    pub fn listeners_of<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Listener> {
        self.listeners.iter().filter(move |l| l.container.as_deref() == Some(id))
    }
}

#[cfg(test)]
mod tests {
    use portolan_linux::{NamespaceId, ProcessId};

    use super::*;
    use crate::ErrorKind;
    use crate::cgroup::{Kind, Runtime};

    fn chart(containers: &[(&str, Option<&str>, Option<&str>)]) -> Inventory {
        let ns = NamespaceId::new(1);
        let namespaces = Namespaces { mnt: ns, net: ns, pid: ns, user: ns };
        let container = |(id, name, hostname): &(&str, Option<&str>, Option<&str>)| Container {
            runtime: Runtime::Docker,
            kind: Kind::Container,
            id: (*id).to_owned(),
            name: name.map(str::to_owned),
            hostname: hostname.map(str::to_owned),
            pod: None,
            image: None,
            init: ProcessId { pid: 1, start_time: 1 },
            namespaces,
            processes: 1,
            evidence: Vec::new(),
            claimed: false,
        };
        Inventory {
            host: namespaces,
            containers: containers.iter().map(container).collect(),
            listeners: Vec::new(),
            processes: Vec::new(),
            network_namespaces: Vec::new(),
            faults: Vec::new(),
            unseen: Unseen::default(),
            source: Source::SystemCalls { without_bpf: None },
            elapsed: Duration::ZERO,
        }
    }

    #[test]
    fn ids_names_and_prefixes() {
        let chart = chart(&[
            ("abc1", Some("web"), Some("h1")),
            ("abd2", Some("db"), Some("web")),
            ("web9", None, None),
        ]);
        assert_eq!(chart.find("abc1").unwrap().id, "abc1");
        assert_eq!(chart.find("db").unwrap().id, "abd2");
        assert_eq!(chart.find("abd").unwrap().id, "abd2");
        assert_eq!(chart.find("h1").unwrap().id, "abc1");
        assert_eq!(chart.find("ab").unwrap_err().kind(), ErrorKind::Ambiguous);
        // A name of one and an id prefix of another: no guessing.
        assert_eq!(chart.find("web").unwrap_err().kind(), ErrorKind::Ambiguous);
        assert_eq!(chart.find("nope").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(chart.find("").unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_container_cannot_take_anothers_name() {
        let chart = chart(&[("abc1", Some("web"), None), ("def2", None, Some("web"))]);
        assert_eq!(chart.find("web").unwrap().id, "abc1");
    }
}
