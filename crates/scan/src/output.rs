//! Where a container's output goes, as its runtime recorded it: asked when it is needed, and of one container, so that
//! a scan does not pay for it.
//!
//! The records are those that names come from, and are believed under the same conditions (see `records`): root's, or
//! for a rootless container its own user's. What is found here is what was asked of the runtime; whether the file is
//! there, and who writes to it, is looked at by who reads it.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use portolan_linux::{Home, Process, ProcessId};
use serde_json::Value;

use crate::cgroup::Runtime;
use crate::container::Container;
use crate::evidence::label;
use crate::evidence::monitor::{Monitor, fits_program, may_speak};
use crate::fault::Faults;
use crate::records::view::{Owner, View};
use crate::records::{MAX_RECORD, bundle, docker, working_directory};
use crate::{Error, Result, walk};

/// So far up the tree of processes is looked for a monitor.
const GENERATIONS: usize = 16;
/// More lines than this of LXC's configuration are not read.
const MAX_LINES: usize = 4096;

/// What a runtime recorded of a container's output.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Output {
    /// The process that looks after the container from outside: a shim, a conmon, LXC's monitor, nspawn.
    pub monitor: Option<ProcessId>,
    /// The user whose word all of this is: 0 for root. What another user's record names is to be read only where that
    /// user owns it.
    pub user: u32,
    /// Whether the monitor runs in a container itself: its paths are that container's, and nothing here names one then.
    pub inside: bool,
    /// The root directory of the monitor, where it is not ours: paths begin there.
    pub root: Option<OwnedFd>,
    /// What the output is handed to, where a record tells.
    pub drivers: Vec<Driver>,
    /// The directory that belongs to the container alone (Docker, LXC), or in which its pod's logs lie (containerd).
    pub directory: Option<PathBuf>,
    /// Whether it has a terminal, which makes one stream of both, where a record tells.
    pub terminal: Option<bool>,
    /// The records that told.
    pub records: Vec<PathBuf>,
}

/// A driver of logs, by the name that the runtime has for it, and its file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Driver {
    /// As in `json-file`, `local`, `journald`, `k8s-file`, `none`; `console` for LXC. Escaped.
    pub name: String,
    /// The file, where it is named.
    pub file: Option<PathBuf>,
}

impl Output {
    /// A path of the record's, as we reach it. It holds as long as this value does.
    #[must_use]
    pub fn reach(&self, path: &Path) -> PathBuf {
        match &self.root {
            None => path.to_owned(),
            Some(root) => Path::new("/proc/self/fd")
                .join(root.as_raw_fd().to_string())
                .join(path.strip_prefix("/").unwrap_or(path)),
        }
    }
}

/// Looks up where a container's output goes. What no record tells is left empty.
///
/// # Errors
/// [`TargetGone`](crate::ErrorKind::TargetGone) when the container has ended,
/// [`MissingPrivilege`](crate::ErrorKind::MissingPrivilege).
///
/// # Example
/// ```no_run
/// let chart = portolan_scan::scan(&portolan_scan::ScanOptions::default())?;
/// for container in &chart.containers {
///     for driver in portolan_scan::output::of(container)?.drivers {
///         println!("{}: {} {:?}", container.id, driver.name, driver.file);
///     }
/// }
/// # Ok::<(), portolan_scan::Error>(())
/// ```
pub fn of(container: &Container) -> Result<Output> {
    let init = Process::reopen(container.init).map_err(Error::of_process)?;
    let mut output = Output::default();
    let found = monitor(&init).map_err(Error::of_process)?;
    let mut view = View::own();
    if let Some((monitor, keeper)) = &found {
        output.monitor = Some(keeper.id());
        output.user = keeper.owner().map_err(Error::of_process)?;
        let home = Home::here().map_err(Error::of_process)?;
        let host = walk::host_namespaces(home.id(), &mut Faults::default());
        let own = walk::namespaces(keeper).map_err(Error::of_process)?;
        output.inside = own.pid != host.pid;
        if output.inside {
            return Ok(output);
        }
        if own.mnt != host.mnt {
            view = View::of(keeper).map_err(Error::of_process)?;
            output.root = Some(keeper.root().map_err(Error::of_process)?);
        }
        output.drivers = monitor.logs.iter().map(|(name, file)| driver(name, file.clone())).collect();
    }
    let found = found.as_ref().map(|(monitor, keeper)| (monitor, keeper));
    let mut enquiry = Enquiry { container, init: &init, view, found, output };
    enquiry.ask();
    Ok(enquiry.output)
}

fn driver(name: &str, file: Option<PathBuf>) -> Driver {
    Driver { name: name.to_owned(), file }
}

/// The nearest monitor above a process whose word counts for it.
fn monitor(init: &Process) -> portolan_linux::Result<Option<(Monitor, Process)>> {
    let owner = init.owner()?;
    let mut parent = init.stat().parent;
    for _ in 0..GENERATIONS {
        let Ok(process) = Process::open(parent) else { return Ok(None) };
        if Monitor::is_likely(&process.stat().command)
            && let Some(monitor) = process.command_line().ok().and_then(|line| Monitor::parse(&line))
        {
            let user = process.owner()?;
            let program = process.program().is_ok_and(|file| fits_program(&monitor, &file));
            let map = || init.id_maps().map(|(users, _)| users).unwrap_or_default();
            let counts = user == 0 || user == owner || may_speak(user, owner, &map());
            return Ok((program && counts).then_some((monitor, process)));
        }
        parent = process.stat().parent;
    }
    Ok(None)
}

struct Enquiry<'a> {
    container: &'a Container,
    init: &'a Process,
    view: View,
    found: Option<(&'a Monitor, &'a Process)>,
    output: Output,
}

impl Enquiry<'_> {
    fn ask(&mut self) {
        match self.container.runtime {
            Runtime::Lxc => self.lxc(),
            Runtime::CriContainerd => self.pod(),
            Runtime::Docker | Runtime::Ecs => self.docker(),
            Runtime::Kubernetes | Runtime::GVisor | Runtime::Kata | Runtime::Unknown
                if self.output.drivers.is_empty() =>
            {
                self.docker();
                self.pod();
            }
            _ => {}
        }
    }

    fn owner(&self) -> Owner {
        if self.output.user == 0 { Owner::Root } else { Owner::User(self.output.user) }
    }

    fn read(&mut self, path: &Path) -> Option<Vec<u8>> {
        let content = self.view.read(path, self.owner(), MAX_RECORD).ok()?;
        self.output.records.push(path.to_owned());
        Some(content.bytes)
    }

    fn docker(&mut self) {
        let id = &self.container.id;
        let inside = self.init.mount_info().unwrap_or_default();
        for place in docker::places(id, &inside, self.view.mounted()) {
            let Some(directory) = place.parent() else { continue };
            let Some(record) = self.json(&place).filter(|json| json["ID"] == *id) else { continue };
            self.output.terminal = record.pointer("/Config/Tty").and_then(Value::as_bool);
            let asked = self.json(&directory.join("hostconfig.json")).unwrap_or_default();
            let name = asked.pointer("/LogConfig/Type").and_then(Value::as_str).unwrap_or_default();
            // The record names the file of this driver only.
            let file = record.get("LogPath").and_then(Value::as_str);
            let file = file.and_then(|path| label::path(path.as_bytes()));
            if let Some(name) = label::name(name.as_bytes()).or(file.as_ref().map(|_| "json-file".to_owned()))
            {
                self.output.drivers = vec![Driver { name, file }];
            }
            self.output.directory = Some(directory.to_owned());
            return;
        }
    }

    fn json(&mut self, path: &Path) -> Option<Value> {
        serde_json::from_slice(&self.read(path)?).ok()
    }

    /// The directory of the pod's logs, which only the bundle of its sandbox names.
    fn pod(&mut self) {
        let id = &self.container.id;
        let told = self.found.and_then(|(m, keeper)| m.bundle.clone().or_else(|| working_directory(keeper)));
        let namespace = self.found.and_then(|(m, _)| m.namespace.clone());
        let places = |id: &str| bundle::places_of_containerd(id, namespace.as_deref(), told.as_deref());
        let annotation =
            |json: &Value, key: &str| json.get("annotations")?.get(key)?.as_str().map(str::to_owned);
        for place in places(id) {
            let Some(own) = self.json(&place) else { continue };
            let Some(sandbox) = annotation(&own, "io.kubernetes.cri.sandbox-id") else { continue };
            for place in places(&sandbox) {
                let directory = self
                    .json(&place)
                    .and_then(|json| annotation(&json, "io.kubernetes.cri.sandbox-log-directory"));
                if let Some(directory) = directory.and_then(|path| label::path(path.as_bytes())) {
                    self.output.directory = Some(directory);
                    return;
                }
            }
        }
    }

    fn lxc(&mut self) {
        let Some((monitor, _)) = self.found else { return };
        let Some(directory) = &monitor.directory else { return };
        let Some(name) = monitor.id.as_deref().filter(|name| label::is_element(name)) else { return };
        let own = directory.join(name);
        if let Some(text) = self.read(&own.join("config")) {
            let file = console(&text).and_then(label::path);
            self.output.drivers = vec![driver(if file.is_some() { "console" } else { "none" }, file)];
        }
        self.output.directory = Some(own);
    }
}

/// The file of the console: the last assignment counts, and an empty one takes it back (`lxc.container.conf(5)`).
fn console(text: &[u8]) -> Option<&[u8]> {
    let lines = text.split(|b| *b == b'\n').take(MAX_LINES).map(<[u8]>::trim_ascii);
    let values = lines.filter_map(|line| {
        let at = line.iter().position(|b| *b == b'=')?;
        let (key, value) = line.split_at_checked(at)?;
        (key.trim_ascii() == b"lxc.console.logfile").then(|| value.get(1..).unwrap_or_default().trim_ascii())
    });
    values.last().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consoles_of_lxc() {
        assert_eq!(console(b"lxc.uts.name = a\n lxc.console.logfile=/l/c.log \n"), Some(&b"/l/c.log"[..]));
        assert_eq!(console(b"lxc.console.logfile = /a\nlxc.console.logfile = /b"), Some(&b"/b"[..]));
        assert_eq!(console(b"lxc.console.logfile = /a\nlxc.console.logfile ="), None);
        assert_eq!(console(b"# lxc.console.logfile = /a\nlxc.console.logfiles = /b\n\xff="), None);
    }
}
