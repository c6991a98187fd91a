//! What a runtime tells of a container, and whether the command agrees.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::chart::Chart;
use super::rootfs::{CONFIG, PAGE, PASSWD, is_open_on_host};
use crate::command::{command, portolan, run};
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
    pub(super) base: &'static str,
}

impl Told {
    /// Holds the chart, the files and the port of the container against what is told; gives the chart.
    #[track_caller]
    pub(super) fn check(&self) -> Chart {
        self.wait_listening();
        let chart = Chart::now();
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
        let mut targets = vec![self.id.clone(), format!("pid:{}", self.pid)];
        targets.extend(self.name.clone());
        if self.id.len() == 64 {
            targets.push(self.id[..12].to_owned());
        }
        targets
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
            ("pid", json!(self.pid)),
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
        portolan(["cat", target, &format!("{}{path}", self.base)]).text()
    }

    #[track_caller]
    fn check_files(&self) {
        let base = self.base;
        let found = portolan(["glob", &self.id, &format!("{base}/etc/app/conf.d/*.conf")]);
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
        for target in [&self.id, &format!("pid:{}", self.pid)] {
            assert!(self.get(target, &[]).ends_with(&format!("\r\n\r\n{PAGE}")), "{target}");
        }
    }

    /// What the web server answers.
    #[track_caller]
    pub(super) fn get(&self, target: &str, options: &[&str]) -> String {
        let mut dial = command(["dial", target, &format!("127.0.0.1:{}", self.port)]);
        run(dial.args(options), b"GET /index.html HTTP/1.0\r\n\r\n").text()
    }

    /// Nothing answers to the container's names any more.
    #[track_caller]
    pub(super) fn check_gone(&self) {
        for target in &self.targets() {
            let ran = portolan(["cat", target, "/etc/app/app.conf"]);
            let line = ran.failed(1);
            assert!(target.starts_with("pid:") || line.contains(target), "{line}");
        }
        let chart = Chart::now();
        assert!(chart.containers().iter().all(|c| c["init"]["pid"] != self.pid), "{chart:#?}");
        assert!(chart.containers().iter().all(|c| c["id"] != self.id));
    }
}
