//! Reads the configurations, versions and logs of several containers at once, so that one whose files do not come does not delay the
//! others.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use portolan_files::Files;
use portolan_linux::error::Escaped;
use portolan_linux::{ErrorKind, Process};

use super::draft::Draft;
use super::log;
use super::view::View;
use super::{Progress, SurveyFault};
use crate::inside::Inside;
use crate::logs::place::Mapping;
use crate::prints::Prints;
use crate::version::Versions;

/// The services that see the same files.
pub(super) struct Job<'a> {
    pub(super) view: View,
    pub(super) drafts: Vec<Draft<'a>>,
    /// What was read; `None` until it was.
    pub(super) prints: Option<Prints>,
    pub(super) fault: Option<SurveyFault>,
}

/// So many containers are read at once. Most of that time passes in the helper.
const THREADS: usize = 4;

/// Does all jobs; after the deadline, none is begun.
pub(super) fn all(
    jobs: &mut [Job<'_>],
    files: Option<&Files>,
    until: Option<Instant>,
    progress: &(dyn Fn(Progress) + Sync),
) {
    let mapping = Mapping::new().ok();
    let threads = THREADS.min(jobs.len());
    let jobs: Vec<Mutex<&mut Job<'_>>> = jobs.iter_mut().map(Mutex::new).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let done = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(done) else { break };
            progress(Progress { done, total: jobs.len() });
            // Each is taken once: nobody else holds it.
            if let Ok(mut job) = job.lock() {
                job.read(files, mapping.as_ref(), until);
            }
        }
    };
    std::thread::scope(|scope| {
        // What cannot be started is no loss: whoever is here does all that is left.
        let start = |_| std::thread::Builder::new().spawn_scoped(scope, work).is_ok();
        let _ = (1..threads).all(start);
        work();
    });
}

impl<'a> Job<'a> {
    pub(super) fn of(view: View, drafts: Vec<Draft<'a>>) -> Self {
        Self { view, drafts, prints: None, fault: None }
    }

    fn read(&mut self, files: Option<&Files>, mapping: Option<&Mapping>, until: Option<Instant>) {
        let mut logs = log::Finder::new(mapping);
        if let Some(files) = files {
            self.read_inside(files, &mut logs, until);
        } else {
            self.drafts.iter_mut().for_each(|draft| logs.open(draft));
        }
    }

    fn read_inside(&mut self, files: &Files, logs: &mut log::Finder<'_>, until: Option<Instant>) {
        let pid = self.view.process.pid;
        if until.is_some_and(|until| Instant::now() >= until) {
            let message = format!("read configurations as pid {pid} sees them: no time was left");
            self.fault = Some(SurveyFault { kind: ErrorKind::Timeout, pid, message });
            return;
        }
        let process = match Process::reopen(self.view.process) {
            Ok(process) => process,
            Err(error) => {
                let message = Escaped(error.to_string().as_bytes()).to_string();
                self.fault = Some(SurveyFault { kind: error.kind(), pid, message });
                return;
            }
        };
        let mut inside = Inside::new(files, &process);
        let mut wanted: Vec<_> = self.drafts.iter().flat_map(Draft::foresee).collect();
        let asked: Vec<_> = self.drafts.iter().map(Draft::asked).collect();
        let versions = Versions::of(&asked);
        wanted.extend(versions.foresee());
        inside.foresee(&wanted);
        for draft in &mut self.drafts {
            draft.configure(&mut inside);
            logs.open(draft);
        }
        let asked: Vec<_> = self.drafts.iter().map(Draft::asked).collect();
        let told = versions.tell(&asked, &mut inside);
        for (draft, version) in self.drafts.iter_mut().zip(told) {
            draft.version = version;
        }
        let wanted: Vec<_> = self.drafts.iter().flat_map(log::Finder::foresee).collect();
        inside.foresee(&wanted);
        for draft in &mut self.drafts {
            logs.named(draft, &mut inside);
        }
        self.prints = Some(inside.into_prints());
    }
}
