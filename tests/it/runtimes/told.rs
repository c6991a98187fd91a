//! What a runtime tells of a container, and whether the command agrees.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::chart::Chart;
use super::rootfs::{CONFIG, PAGE, PASSWD, is_open_on_host};
use super::view::View;
use crate::command::run;
use crate::oracle;

const PATIENCE: Duration = Duration::from_secs(5);

/// A container as its runtime knows it, with a web server on its loopback.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// What the chart has to call the runtime.
    pub(super) runtime: &'static str,
    pub(super) id: String,
    /// What the chart has to call the container; `None` when the chart cannot know a name.
    pub(super) name: Option<String>,
    /// Its first process, as a pid of the host.
    pub(super) pid: i32,
    pub(super) port: u16,
    /// Where inside the files of `rootfs` lie; empty for a root file system of its own.
    base: &'static str,
    /// The pod that it belongs to, as the chart has to tell it; not looked at when nothing is told.
    pod: Option<Value>,
    /// From where the command looks at it.
    view: View,
}

impl Told {
    /// A container with a root file system of its own, looked at from the host.
    pub(super) fn new(
        runtime: &'static str,
        id: impl Into<String>,
        name: Option<String>,
        pid: i32,
        port: u16,
    ) -> Self {
        let (pod, view) = (None, View::host());
        Self { runtime, id: id.into(), name, pid, port, base: "", pod, view }
    }

    /// Its files lie below a directory.
    pub(super) fn below(self, base: &'static str) -> Self {
        Self { base, ..self }
    }

    /// It belongs to this pod.
    pub(super) fn in_pod(self, pod: Value) -> Self {
        Self { pod: Some(pod), ..self }
    }

    /// The same container, looked at from elsewhere.
    pub(super) fn seen_by(&self, view: &View) -> Self {
        Self { view: view.clone(), ..self.clone() }
    }

    /// Holds the chart, the files and the port of the container against what is told; gives the chart.
    #[track_caller]
    pub(super) fn check(&self) -> Chart {
        self.wait_listening();
        let chart = Chart::seen_by(&self.view);
        self.check_container(&chart);
        self.check_listeners(&chart);
        for target in self.targets() {
            assert_eq!(self.cat(&target, "/etc/app/app.conf"), CONFIG, "{target}");
        }
        self.check_files();
        self.check_port();
        chart
    }

    /// All that the container may be called on the command line.
    pub(super) fn targets(&self) -> Vec<String> {
        let mut targets = vec![self.id.clone(), self.by_pid()];
        targets.extend(self.name.clone());
        if self.id.len() == 64 {
            targets.push(self.id[..12].to_owned());
        }
        targets
    }

    /// Its first process, as the command there calls it.
    fn by_pid(&self) -> String {
        format!("pid:{}", self.view.pid(self.pid))
    }

    /// Waits until the web server listens, as `ss` sees it.
    #[track_caller]
    pub(super) fn wait_listening(&self) {
        let start = Instant::now();
        while !oracle::listeners(self.pid).iter().any(|(_, port)| *port == self.port) {
            assert!(start.elapsed() < PATIENCE, "nobody listens in {self:?}");
            sleep(Duration::from_millis(10));
        }
    }

    #[track_caller]
    pub(super) fn check_container(&self, chart: &Chart) {
        let container = chart.container_of(self.pid);
        let known = |key: &str| container[key].clone();
        assert_eq!(
            (known("runtime"), known("id"), known("name")),
            (json!(self.runtime), json!(self.id), json!(self.name)),
            "{container:#}"
        );
        assert_eq!(container["kind"], "container", "{container:#}");
        if let Some(pod) = &self.pod {
            assert_eq!(container["pod"], *pod, "{container:#}");
        }
        assert_eq!(container["init"]["start_time"], oracle::start_time(self.pid));
        for kind in ["mnt", "net", "pid", "user"] {
            assert_eq!(container["namespaces"][kind], oracle::namespace(self.pid, kind), "{kind}");
        }
    }

    #[track_caller]
    fn check_listeners(&self, chart: &Chart) {
        let netns = oracle::namespace(self.pid, "net");
        assert_eq!(chart.addresses(netns), oracle::listeners(self.pid));
        let listener = self.listener(chart);
        for (key, value) in [
            ("protocol", json!("tcp")),
            ("address", json!("127.0.0.1")),
            ("container", json!(self.id)),
            ("reach", json!("loopback")),
            ("pid", json!(self.view.pid(self.pid))),
        ] {
            assert_eq!(listener[key], value, "{key} in {listener:#}");
        }
    }

    /// The web server's listener.
    #[track_caller]
    pub(super) fn listener<'a>(&self, chart: &'a Chart) -> &'a Value {
        let netns = oracle::namespace(self.pid, "net");
        let mut ours = chart.listeners().iter().filter(|l| l["port"] == self.port && l["netns"] == netns);
        let listener = ours.next().unwrap_or_else(|| panic!("port {} is not charted: {chart:#?}", self.port));
        assert!(ours.next().is_none(), "port {} is charted twice: {chart:#?}", self.port);
        listener
    }

    /// A file of `rootfs`, by its path in there.
    #[track_caller]
    pub(super) fn cat(&self, target: &str, path: &str) -> String {
        self.view.portolan(["cat", target, &format!("{}{path}", self.base)]).text()
    }

    #[track_caller]
    fn check_files(&self) {
        let base = self.base;
        let found = self.view.portolan(["glob", &self.id, &format!("{base}/etc/app/conf.d/*.conf")]);
        let wanted = format!("{base}/etc/app/conf.d/a.conf\n{base}/etc/app/conf.d/b.conf\n");
        assert_eq!(found.text(), wanted);
        if base.is_empty() {
            // Both targets are absolute: the one is not there on the host, the other is another file.
            assert_eq!(self.cat(&self.id, "/etc/app/current.conf"), CONFIG);
            assert_eq!(self.cat(&self.id, "/etc/app/users"), PASSWD);
        }
    }

    /// The page comes through the command, and the host has no such port.
    #[track_caller]
    fn check_port(&self) {
        assert!(!is_open_on_host(self.port), "the host has port {} too", self.port);
        for target in [self.id.clone(), self.by_pid()] {
            assert!(self.get(&target, &[]).ends_with(&format!("\r\n\r\n{PAGE}")), "{target}");
        }
    }

    /// What the web server answers.
    #[track_caller]
    pub(super) fn get(&self, target: &str, options: &[&str]) -> String {
        let mut dial = self.view.command(["dial", target, &format!("127.0.0.1:{}", self.port)]);
        run(dial.args(options), b"GET /index.html HTTP/1.0\r\n\r\n").text()
    }

    /// Looked at from outside of the machine that it is in: which and where it is, if not what it is called.
    #[track_caller]
    pub(super) fn check_nested(&self) {
        let chart = Chart::seen_by(&self.view);
        let container = chart.container_of(self.pid);
        let known = (&container["runtime"], &container["id"], &container["kind"]);
        assert_eq!(known, (&json!(self.runtime), &json!(self.id), &json!("container")), "{container:#}");
        assert_eq!(self.listener(&chart)["container"], self.id);
        assert_eq!(self.cat(&self.id, "/etc/app/app.conf"), CONFIG);
        self.check_port();
    }

    /// Nothing answers to the container's names any more.
    #[track_caller]
    pub(super) fn check_gone(&self) {
        for target in &self.targets() {
            let ran = self.view.portolan(["cat", target, "/etc/app/app.conf"]);
            let line = ran.failed(1);
            assert!(target.starts_with("pid:") || line.contains(target), "{line}");
        }
        let chart = Chart::now();
        assert!(chart.containers().iter().all(|c| c["init"]["pid"] != self.pid), "{chart:#?}");
        assert!(chart.containers().iter().all(|c| c["id"] != self.id));
    }
}
