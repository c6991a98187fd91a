//! What the agent is asked, and what it tells.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use portolan::ErrorKind;
use serde_json::{Value, json};

use super::agent;

/// One request, to be put to the agent.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) order: Value,
    /// About which container, if not about the hostile one.
    pub(super) pid: Option<i32>,
    /// As many helpers are stuck afterwards, all together.
    pub(super) stuck: usize,
    /// The server ends meanwhile, and with it the socket to it.
    pub(super) ends_server: bool,
}

impl Ask {
    pub(super) fn read(path: impl AsRef<Path>) -> Self {
        let path = agent::latin(path.as_ref().as_os_str().as_bytes());
        let order = json!({ "asks": [{ "path": path, "timeout_ms": 2000 }] });
        Self { order, pid: None, stuck: 0, ends_server: false }
    }

    pub(super) fn glob(pattern: impl AsRef<Path>) -> Self {
        Self::read(pattern).set("glob", true)
    }

    fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.order["asks"][0][name] = value.into();
        self
    }

    pub(super) fn of(mut self, pid: i32) -> Self {
        self.pid = Some(pid);
        self
    }

    pub(super) fn timeout(self, timeout: Duration) -> Self {
        self.set("timeout_ms", u64::try_from(timeout.as_millis()).unwrap())
    }

    pub(super) fn any_file_system(self) -> Self {
        self.set("any", true)
    }

    pub(super) fn pid_namespace(self) -> Self {
        self.set("pid_namespace", true)
    }

    pub(super) fn prefix(self, max_bytes: u64) -> Self {
        self.set("prefix", true).set("max_bytes", max_bytes)
    }

    /// Through a helper of this binary, started for this request.
    pub(super) fn helper(mut self, path: &Path) -> Self {
        self.order["helper"] = path.display().to_string().into();
        self
    }

    /// While the agent has no descriptor left.
    pub(super) fn exhausted(mut self) -> Self {
        self.order["exhaust"] = true.into();
        self
    }

    /// Helpers hang afterwards: so many, with those from before.
    pub(super) fn leaves(mut self, stuck: usize) -> Self {
        self.stuck = stuck;
        self
    }

    /// The server is ended meanwhile: the agent has no socket to it until it needs one again.
    pub(super) fn ends_server(mut self) -> Self {
        self.ends_server = true;
        self
    }
}

/// What came of a request.
#[derive(Debug)]
pub(super) struct Told(pub(super) Value);

impl Told {
    pub(super) fn took(&self) -> Duration {
        Duration::from_micros(self.0["micros"].as_u64().unwrap())
    }

    /// The kind of error, as its `Debug` has it.
    pub(super) fn kind(&self) -> Option<&str> {
        self.0["kind"].as_str()
    }

    #[track_caller]
    pub(super) fn refused(&self, kind: ErrorKind) {
        self.refused_as(&[kind]);
    }

    /// One of these.
    #[track_caller]
    pub(super) fn refused_as(&self, kinds: &[ErrorKind]) {
        let fits = kinds.iter().any(|kind| self.kind() == Some(&format!("{kind:?}")));
        assert!(fits, "not {kinds:?} but {}", self.shown());
    }

    #[track_caller]
    pub(super) fn gives(&self, bytes: &[u8]) {
        assert!(self.bytes() == bytes && self.0["truncated"] == false, "{}", self.shown());
    }

    #[track_caller]
    pub(super) fn bytes(&self) -> Vec<u8> {
        agent::from_latin(
            self.0["bytes"].as_str().unwrap_or_else(|| panic!("nothing was read: {}", self.shown())),
        )
    }

    /// The paths of a pattern.
    #[track_caller]
    pub(super) fn entries(&self) -> Vec<Vec<u8>> {
        let entries = self.0["entries"].as_array().unwrap_or_else(|| panic!("no paths: {}", self.shown()));
        entries.iter().map(|entry| agent::from_latin(entry.as_str().unwrap())).collect()
    }

    /// Why there are not all of them.
    pub(super) fn incomplete(&self) -> Option<&str> {
        self.0["incomplete"].as_str()
    }

    pub(super) fn field(&self, name: &str) -> &Value {
        &self.0[name]
    }

    pub(super) fn shown(&self) -> String {
        let text = self.0.to_string();
        text.chars().take(600).collect()
    }
}

/// How often which outcome came.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) outcomes: BTreeMap<String, u64>,
    pub(super) longest: u64,
}

impl Tally {
    /// Nothing else came than these.
    #[track_caller]
    pub(super) fn only(&self, outcomes: &[&str]) {
        let others = self.outcomes.keys().filter(|key| !outcomes.contains(&key.as_str()));
        assert_eq!(others.count(), 0, "{self:?}");
    }

    pub(super) fn count(&self, outcome: &str) -> u64 {
        self.outcomes.get(outcome).copied().unwrap_or(0)
    }
}
