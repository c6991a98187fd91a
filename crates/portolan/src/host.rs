//! The three doors in one value.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::OnceLock;

use portolan_dial::Dialer;
use portolan_files::{Content, Files, GlobOptions, Matches, ReadOptions};
use portolan_linux::Process;
use portolan_scan::{Inventory, ScanOptions, Scanner};
use portolan_services::logs::{Log, Options, Stdio, stdio};
use portolan_services::{Survey, SurveyOptions, Surveyor};

use crate::{Result, Target};

/// A Linux host, as an agent on it sees it. Make one and keep it.
#[derive(Debug, Default)]
pub struct Host {
    scan: ScanOptions,
    /// Made when it is first needed: without a helper, all but reading works.
    files: OnceLock<Files>,
}

impl Host {
    /// This host. Nothing is looked at yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// This host, with a helper that the agent found itself.
    #[must_use]
    pub fn with_files(files: Files) -> Self {
        Self { files: OnceLock::from(files), ..Self::default() }
    }

    /// This host, scanned with other options than the usual.
    #[must_use]
    pub fn with_scan_options(self, scan: ScanOptions) -> Self {
        Self { scan, ..self }
    }

    /// What charts this host again and again for less, and watches it.
    ///
    /// ```no_run
    /// use portolan::{Host, WatchOptions};
    ///
    /// for update in Host::new().scanner().watch(WatchOptions::default()) {
    ///     print!("{}", update?.diff);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn scanner(&self) -> Scanner {
        Scanner::new(self.scan.clone())
    }

    /// Charts the host as it is now.
    ///
    /// # Errors
    /// Only when `/proc` cannot be read; everything less is a fault in the chart.
    pub fn scan(&self) -> Result<Inventory> {
        Ok(portolan_scan::scan(&self.scan)?)
    }

    /// Says what runs on the host of this chart. Without a helper, services are recognised, and what would have been read
    /// inside is a fault. Who asks again keeps a [`Surveyor`], which keeps what did not change.
    ///
    /// ```no_run
    /// let host = portolan::Host::new();
    /// for service in host.survey(&host.scan()?).services {
    ///     println!("{} {:?}", service.kind, service.endpoints.first());
    /// }
    /// # Ok::<(), portolan::Error>(())
    /// ```
    #[must_use]
    pub fn survey(&self, chart: &Inventory) -> Survey {
        Surveyor::new(SurveyOptions::default()).survey(chart, self.files().ok())
    }

    /// What a name stands for: `pid:N`, or the name, id or unique id prefix of a container in a fresh chart.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), [`Ambiguous`](crate::ErrorKind::Ambiguous),
    /// [`TargetGone`](crate::ErrorKind::TargetGone).
    pub fn target(&self, name: &str) -> Result<Target> {
        match Target::of_pid(name)? {
            Some(target) => Ok(target),
            None => Target::find(&self.scan()?, name),
        }
    }

    /// The door to files. The helper is found and sealed when this is first called.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when there is no helper.
    pub fn files(&self) -> Result<&Files> {
        match self.files.get() {
            Some(files) => Ok(files),
            None => {
                let files = Files::new()?;
                Ok(self.files.get_or_init(|| files))
            }
        }
    }

    /// Reads a file inside; see [`Files::read`].
    ///
    /// # Errors
    /// As [`Files::read`], and [`Unsupported`](crate::ErrorKind::Unsupported) when there is no helper.
    pub fn read(&self, target: &Target, path: impl AsRef<Path>, options: &ReadOptions) -> Result<Content> {
        Ok(self.files()?.read(&target.process, path, options)?)
    }

    /// Expands a pattern inside; see [`Files::glob`].
    ///
    /// # Errors
    /// As [`Files::glob`], and [`Unsupported`](crate::ErrorKind::Unsupported) when there is no helper.
    pub fn glob(
        &self,
        target: &Target,
        pattern: impl AsRef<OsStr>,
        options: &GlobOptions,
    ) -> Result<Matches> {
        Ok(self.files()?.glob(&target.process, pattern, options)?)
    }

    /// A dialer into the target's network; see [`Dialer::new`].
    ///
    /// # Errors
    /// As [`Dialer::new`].
    pub fn dialer(&self, target: &Target) -> Result<Dialer> {
        Ok(Dialer::new(Process::reopen(target.process.id())?)?)
    }

    /// Where the target's standard output and error go; see [`stdio::of`]. A process that is in no container is asked
    /// itself.
    ///
    /// # Errors
    /// As [`stdio::of`] and [`scan`](Self::scan). That the output is kept nowhere is no error.
    pub fn stdio(&self, target: &Target) -> Result<Stdio> {
        if let Some(container) = &target.container {
            return Ok(stdio::of(container)?);
        }
        match portolan_scan::explain(&target.process)?.container {
            Some(id) => Ok(stdio::of(self.scan()?.find(&id)?)?),
            None => Ok(stdio::of_process(&target.process)?),
        }
    }

    /// The target's standard output and error, at their source; see [`Log::open`].
    ///
    /// ```no_run
    /// use portolan::Host;
    /// use portolan::logs::{Event, Options};
    ///
    /// let host = Host::new();
    /// let mut log = host.logs(&host.target("web-1")?, &Options::default())?;
    /// for event in log.poll()?.events {
    ///     if let Event::Entry(entry) = event {
    ///         println!("{} {}", entry.stamp, String::from_utf8_lossy(&entry.bytes));
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`stdio`](Self::stdio) and [`Log::open`].
    pub fn logs(&self, target: &Target, options: &Options) -> Result<Log> {
        Ok(Log::open(&self.stdio(target)?, options)?)
    }
}
