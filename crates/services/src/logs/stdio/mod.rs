//! Where a container's standard output and error go, without asking any daemon.
//!
//! | runtime | what tells |
//! |---|---|
//! | Docker | its record of the container: the driver, and the file |
//! | Podman, CRI-O | the command line of the container's conmon |
//! | containerd for Kubernetes | the kubelet's link with the container's id; or the pod's directory of logs in the bundle of its sandbox |
//! | containerd by `ctr`, nerdctl | what the shim, or nerdctl, keeps |
//! | LXC | its configuration: the console's file |
//! | systemd-nspawn | where its own standard output goes |
//! | anything else | where the first process's standard output goes |
//!
//! A driver that keeps nothing is said to be one. What a user's own runtime names is read only if that user owns it.
//!
//! - `containerd`: the files of Kubernetes, `ctr` and nerdctl
//! - `descriptors`: where a process's own standard output goes

mod containerd;
mod descriptors;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use portolan_linux::Process;
use portolan_linux::error::Escaped;
use portolan_scan::{Container, Driver, Output, Runtime, output};

pub use descriptors::of_process;

use super::{Format, Result};

/// Where a container's output goes, and why we think so.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Stdio {
    /// Where.
    pub source: Source,
    /// What told, as clauses.
    pub evidence: Vec<String>,
}

/// Where output goes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Source {
    /// Into a file that the runtime writes.
    File(LogFile),
    /// Into the journal; entries with these fields, each `NAME=VALUE`.
    Journal(Vec<String>),
    /// Into a file of the container's own, by its path inside: the helper reads it.
    Inside(Vec<u8>),
    /// Nowhere that can be read, and why.
    Nowhere(String),
}

/// A file that a runtime writes a container's output to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LogFile {
    /// Its path, as the runtime sees it.
    pub path: PathBuf,
    /// How it is written.
    pub format: Format,
    /// Whether the container writes to a terminal, so that its lines end in `\r\n`.
    pub terminal: bool,
    /// The user who has to own it; 0 when root named it, and it may be anybody's.
    pub user: u32,
    /// Whether somebody else than root could plant things on its path: no symbolic link is followed on the way, and no
    /// file system entered that can make a reader wait.
    pub strictly: bool,
    /// What the runtime recorded: keeps its root directory open, where that is not ours.
    output: Option<Arc<Output>>,
}

impl LogFile {
    /// A file that root named.
    #[must_use]
    pub fn new(path: &Path, format: Format) -> Self {
        let path = path.to_owned();
        Self { path, format, terminal: false, user: 0, strictly: false, output: None }
    }

    /// The path by which this process reaches it, as long as this value lives.
    #[must_use]
    pub fn reach(&self) -> PathBuf {
        self.output.as_ref().map_or_else(|| self.path.clone(), |output| output.reach(&self.path))
    }
}

/// Looks up where a container's output goes.
///
/// # Errors
/// [`TargetGone`](portolan_linux::ErrorKind::TargetGone) when the container has ended,
/// [`MissingPrivilege`](portolan_linux::ErrorKind::MissingPrivilege). That its output is kept nowhere is no error.
///
/// # Example
/// ```no_run
/// let chart = portolan_scan::scan(&portolan_scan::ScanOptions::default())?;
/// println!("{:?}", portolan_services::logs::stdio::of(chart.find("web")?)?.source);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn of(container: &Container) -> Result<Stdio> {
    let output = Arc::new(output::of(container)?);
    let enquiry = Enquiry { container, output };
    let mut stdio = enquiry.ask()?;
    for record in enquiry.output.records.iter().rev() {
        let path = Escaped(record.as_os_str().as_encoded_bytes());
        stdio.evidence.insert(0, format!("{path} was read"));
    }
    Ok(stdio)
}

pub(super) struct Enquiry<'a> {
    container: &'a Container,
    output: Arc<Output>,
}

impl Enquiry<'_> {
    fn ask(&self) -> Result<Stdio> {
        if self.output.inside {
            return Ok(nowhere(
                "its runtime runs in a container itself, whose files are not the host's: ask there",
                "its monitor is in a pid namespace of its own",
            ));
        }
        match self.container.runtime {
            Runtime::Docker | Runtime::Ecs => self.docker(),
            Runtime::Podman | Runtime::CriO => self.conmon(),
            Runtime::CriContainerd => self.pod(),
            Runtime::Containerd => self.containerd(),
            Runtime::Lxc => self.lxc(),
            Runtime::SystemdNspawn => self.monitors(),
            Runtime::Kubernetes | Runtime::Unknown | Runtime::GVisor | Runtime::Kata => {
                if self.output.drivers.iter().any(|driver| driver.name == "k8s-file") {
                    self.conmon()
                } else if !self.output.drivers.is_empty() {
                    self.docker()
                } else if let Some(found) = self.kubelets_link().or_else(|| self.pods_directory()) {
                    Ok(found)
                } else {
                    self.own()
                }
            }
            _ => self.own(),
        }
    }

    /// Docker's drivers. Those that send the output away have a copy of it since version 20.10, unless it is turned off.
    fn docker(&self) -> Result<Stdio> {
        let Some(Driver { name, file, .. }) = self.output.drivers.first() else {
            return Ok(nowhere(
                "Docker's record of it cannot be read, which names its log driver",
                "no record was found",
            ));
        };
        let directory = self.output.directory.as_deref().unwrap_or(Path::new("/nonexistent"));
        let says = format!("its log driver is {name}");
        let keeps = |path: PathBuf, format| stdio(Source::File(self.file(path, format)), says.clone());
        Ok(match (name.as_str(), file) {
            ("json-file", Some(file)) => keeps(file.clone(), Format::JsonFile),
            ("json-file", None) => {
                let name = format!("{}-json.log", self.container.id);
                keeps(directory.join(name), Format::JsonFile)
            }
            ("local", _) => keeps(directory.join("local-logs/container.log"), Format::Local),
            ("journald", _) => self.journal("dockerd", says),
            ("none", _) => nowhere("its log driver is none, which keeps nothing", &says),
            _ => {
                let copy = directory.join("container-cached.log");
                if self.output.reach(&copy).exists() {
                    keeps(copy, Format::Local)
                } else {
                    let why =
                        format!("its log driver {name} sends the output away, and Docker keeps no copy here");
                    nowhere(&why, &says)
                }
            }
        })
    }

    /// What conmon was told: a file is better than the journal, which others write to as well.
    fn conmon(&self) -> Result<Stdio> {
        let drivers = &self.output.drivers;
        let says = |driver: &Driver| format!("its conmon was started with the log driver {}", driver.name);
        for driver in drivers {
            if let Some(file) = &driver.file {
                return Ok(stdio(Source::File(self.file(file.clone(), Format::Cri)), says(driver)));
            }
        }
        for driver in drivers {
            match driver.name.as_str() {
                "journald" => return Ok(self.journal("conmon", says(driver))),
                "passthrough" => return self.own(),
                "none" | "off" | "null" => {
                    return Ok(nowhere("its log driver is none, which keeps nothing", &says(driver)));
                }
                _ => {}
            }
        }
        Ok(nowhere("its conmon cannot be seen, which is told where its log goes", "no log was named"))
    }

    /// Entries of one container, written by a program that root, or the container's own user, runs.
    fn journal(&self, program: &str, says: String) -> Stdio {
        let fields = [
            format!("CONTAINER_ID_FULL={}", self.container.id),
            format!("_COMM={program}"),
            format!("_UID={}", self.output.user),
        ];
        stdio(Source::Journal(fields.to_vec()), says)
    }

    fn lxc(&self) -> Result<Stdio> {
        if let Some(Driver { file: Some(file), .. }) = self.output.drivers.first() {
            let file = LogFile { terminal: true, ..self.file(file.clone(), Format::Raw) };
            return Ok(stdio(Source::File(file), "its console has that log file".to_owned()));
        }
        if let Some(found) = self.console_of_monitor()? {
            return Ok(found);
        }
        Ok(nowhere(
            "LXC keeps what is written to a container's console, and only with lxc.console.logfile, which it has not; \
             what its services log is inside",
            "its monitor writes no file of a console",
        ))
    }

    /// LXD and Incus configure LXC by their own ways; the monitor has the file open.
    fn console_of_monitor(&self) -> Result<Option<Stdio>> {
        let Some(monitor) = self.monitor()? else { return Ok(None) };
        let found = descriptors::host_files(&monitor)?;
        let file = found.into_iter().find(|path| path.file_name().is_some_and(|name| name == "console.log"));
        Ok(file.map(|path| {
            let file = LogFile { terminal: true, ..self.file(path, Format::Raw) };
            stdio(Source::File(file), "its monitor has that file open".to_owned())
        }))
    }

    /// A machine's console is copied to the standard output of its monitor.
    fn monitors(&self) -> Result<Stdio> {
        match self.monitor()? {
            Some(monitor) => {
                let mut found = of_process(&monitor)?;
                found.evidence.insert(0, format!("its monitor is pid {}", monitor.pid()));
                if let Source::File(file) = &mut found.source {
                    file.terminal = true;
                }
                Ok(found)
            }
            None => {
                Ok(nowhere("its monitor cannot be seen, which copies its console", "no monitor was found"))
            }
        }
    }

    fn monitor(&self) -> Result<Option<Process>> {
        Ok(self.output.monitor.map(Process::reopen).transpose()?)
    }

    /// Where the first process's own standard output goes.
    fn own(&self) -> Result<Stdio> {
        of_process(&Process::reopen(self.container.init)?)
    }

    /// A user's own runtime runs among mounts that the user chose: what it names is looked for among ours, and with
    /// more care.
    fn file(&self, path: PathBuf, format: Format) -> LogFile {
        let users = self.output.user != 0;
        LogFile {
            path,
            format,
            terminal: self.output.terminal.unwrap_or(false),
            user: self.output.user,
            strictly: users,
            output: Some(Arc::clone(&self.output)).filter(|_| !users),
        }
    }
}

pub(super) fn stdio(source: Source, says: String) -> Stdio {
    Stdio { source, evidence: vec![says] }
}

pub(super) fn nowhere(why: &str, says: &str) -> Stdio {
    stdio(Source::Nowhere(why.to_owned()), says.to_owned())
}
