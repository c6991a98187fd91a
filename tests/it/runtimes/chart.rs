//! The JSON of `portolan scan`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::view::View;
use crate::oracle::Address;

/// A chart as a script sees it.
#[derive(Debug)]
pub(super) struct Chart {
    json: Value,
    view: View,
}

impl Chart {
    /// Charts the host now. Faults are told on standard error and are no failure.
    #[track_caller]
    pub(super) fn now() -> Self {
        Self::seen_by(&View::host())
    }

    /// Charts what can be seen from somewhere.
    #[track_caller]
    pub(super) fn seen_by(view: &View) -> Self {
        Self::by(view, "auto")
    }

    /// The same, by this source.
    #[track_caller]
    pub(super) fn by(view: &View, source: &str) -> Self {
        let ran = view.portolan(["scan", "--json", "--source", source]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let json: Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!(json["schema"], "portolan.inventory/1");
        Self { json, view: view.clone() }
    }

    /// How the kernel was asked.
    pub(super) fn source(&self) -> &str {
        self.json["source"].as_str().unwrap()
    }

    pub(super) fn containers(&self) -> &[Value] {
        self.json["containers"].as_array().unwrap()
    }

    pub(super) fn listeners(&self) -> &[Value] {
        self.json["listeners"].as_array().unwrap()
    }

    /// What could not be done, each once.
    pub(super) fn operations_of_faults(&self) -> BTreeSet<&str> {
        // Processes of other tests come and go.
        let stays = |fault: &&Value| !fault["message"].as_str().unwrap().contains("the process is gone");
        self.faults().iter().filter(stays).map(|fault| fault["operation"].as_str().unwrap()).collect()
    }

    pub(super) fn faults(&self) -> &[Value] {
        self.json["faults"].as_array().unwrap()
    }

    /// Whether a process of the host is the first of any container.
    #[track_caller]
    pub(super) fn is_first(&self, pid: i32) -> bool {
        let pid = self.view.pid(pid);
        self.containers().iter().any(|c| c["init"]["pid"] == pid)
    }

    /// The container that has this process of the host as its first.
    #[track_caller]
    pub(super) fn container_of(&self, pid: i32) -> &Value {
        let pid = self.view.pid(pid);
        let mut found = self.containers().iter().filter(|c| c["init"]["pid"] == pid);
        let container = found.next().unwrap_or_else(|| panic!("no container has pid {pid} first: {self:#?}"));
        assert!(found.next().is_none(), "two containers have pid {pid} first: {self:#?}");
        container
    }

    /// The TCP addresses of one network namespace.
    pub(super) fn addresses(&self, netns: u64) -> BTreeSet<Address> {
        let address = |l: &Value| {
            let port = l["port"].as_u64().unwrap().try_into().unwrap();
            (l["address"].as_str().unwrap().parse().unwrap(), port)
        };
        let here = |l: &&Value| l["netns"] == netns && l["protocol"] == "tcp";
        self.listeners().iter().filter(here).map(address).collect()
    }
}
