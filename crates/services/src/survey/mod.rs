//! What runs on a host: the chart's processes and listeners, joined with rules, configurations and logs.
//!
//! - `scene`: the chart, by what is asked of it; `view`: whose files a service sees
//! - `log`: a service's logs; `read`: configurations, of several containers at once; `draft`: a service as it grows; `keep`: services of which nothing changed

mod draft;
mod keep;
mod log;
mod read;
mod scene;
mod view;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portolan_files::Files;
use portolan_linux::error::Feature;
use portolan_linux::{ErrorKind, Process, ProcessId};
use portolan_scan::{Inventory, Member};

use crate::launch::Launch;
use crate::recognise::{Facts, Recogniser, Verdict, group};
use crate::rules::Rules;
use crate::service::Service;
use draft::Draft;
use keep::Kept;
use read::Job;
use scene::Scene;
use view::View;

/// How services are surveyed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SurveyOptions {
    /// What is recognised.
    pub rules: Rules,
    /// Whether configurations are read.
    pub configurations: bool,
    /// After how long a service of which nothing changed is looked at as a whole again; five minutes by default. What
    /// cannot be seen from outside is noticed then: a log that was opened, a file that came into a directory below
    /// the one that a pattern begins with.
    pub refresh: Duration,
    /// After how long no more configurations are begun to be read; 30 seconds by default. What is left is read by the
    /// next survey.
    pub timeout: Duration,
}

impl Default for SurveyOptions {
    fn default() -> Self {
        let (refresh, timeout) = (Duration::from_secs(300), Duration::from_secs(30));
        Self { rules: Rules::built_in(), configurations: true, refresh, timeout }
    }
}

/// The services of a host at one moment.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Survey {
    /// By container and kind; the host's own last. One of which nothing changed is the same value as before.
    pub services: Vec<Arc<Service>>,
    /// What could not be looked at.
    pub faults: Vec<SurveyFault>,
    /// How long it took.
    pub elapsed: Duration,
}

/// How far a survey is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// For how many containers the reading of files has begun before, the host among them.
    pub done: usize,
    /// Of how many.
    pub total: usize,
}

impl Survey {
    fn finish(&mut self, start: Instant) {
        self.services.sort_by(|a, b| {
            let container = |s: &Service| s.container.is_none();
            (container(a), &a.container, &a.kind, a.process).cmp(&(
                container(b),
                &b.container,
                &b.kind,
                b.process,
            ))
        });
        self.elapsed = start.elapsed();
    }
}

/// Something that a survey could not look at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SurveyFault {
    /// Of what kind.
    pub kind: ErrorKind,
    /// The process that it was about; 0 for none.
    pub pid: i32,
    /// What was tried, and why it failed; escaped.
    pub message: String,
}

impl fmt::Display for SurveyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Surveys a host again and again, and keeps what did not change.
///
/// # Example
/// ```no_run
/// use portolan_services::{SurveyOptions, Surveyor};
///
/// let files = portolan_files::Files::new()?;
/// let mut surveyor = Surveyor::new(SurveyOptions::default());
/// let chart = portolan_scan::scan(&portolan_scan::ScanOptions::default())?;
/// for service in surveyor.survey(&chart, Some(&files)).services {
///     println!("{} in {:?}", service.kind, service.container);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Surveyor {
    recogniser: Recogniser,
    options: SurveyOptions,
    known: HashMap<ProcessId, Known>,
    kept: Kept,
}

/// What is known of a process.
#[derive(Debug)]
struct Known {
    /// [`Member::arguments`], which another program has elsewhere.
    arguments: u64,
    name: Vec<u8>,
    launch: Arc<Launch>,
    ports: Vec<u16>,
    verdict: Option<Arc<Verdict>>,
    /// Whether it only starts others.
    wrapper: bool,
}

impl Surveyor {
    /// Nothing has been looked at yet.
    #[must_use]
    pub fn new(options: SurveyOptions) -> Self {
        Self {
            recogniser: Recogniser::new(&options.rules),
            options,
            known: HashMap::new(),
            kept: Kept::default(),
        }
    }

    /// Says what runs on the host of this chart. Without `files`, nothing is read inside of containers.
    pub fn survey(&mut self, chart: &Inventory, files: Option<&Files>) -> Survey {
        self.survey_with(chart, files, &|_| {})
    }

    /// The same, and tells how far it is before each container whose files are read, from whichever thread reads them.
    pub fn survey_with(
        &mut self,
        chart: &Inventory,
        files: Option<&Files>,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Survey {
        let start = Instant::now();
        let mut survey = Survey::default();
        if files.is_none() && self.options.configurations {
            let message = "read configurations: there is no helper".to_owned();
            survey.faults.push(SurveyFault {
                kind: ErrorKind::Unsupported(Feature::Helper),
                pid: 0,
                message,
            });
        }
        self.kept.begin(start);
        let whole = self.kept.whole(chart);
        if let Some(services) = self.kept.all(whole, files) {
            survey.services = services;
            survey.faults.extend(self.unreadable());
            survey.finish(start);
            return survey;
        }
        let mut seen_whole = true;
        let scene = Scene::of(chart);
        self.look(chart, &scene);
        survey.faults.extend(self.unreadable());
        let verdicts = self.verdicts(chart, &scene);
        let launch = |id: ProcessId| Some(self.known.get(&id)?.launch.as_ref());
        let groups = group::join(&chart.processes, &verdicts, launch);
        let mut jobs: HashMap<View, Vec<Draft<'_>>> = HashMap::new();
        for group in groups.into_iter().filter(|group| scene.matters(group, &self.known, &verdicts)) {
            let shape = self.kept.shape(&group, &scene);
            if let Some(service) = self.kept.find(group.first.id, Some(shape), files) {
                survey.services.push(service);
                continue;
            }
            let known = self.known.get(&group.first.id);
            let (Some(known), Ok(process)) = (known, Process::reopen(group.first.id)) else {
                seen_whole = false;
                continue;
            };
            let mut launch = Launch::clone(&known.launch).with_surroundings(&process);
            launch.ports = group.members.iter().flat_map(|member| scene.ports(member)).collect();
            launch.ports.sort_unstable();
            launch.ports.dedup();
            let view = view::of(&group, &launch, &scene);
            jobs.entry(view.clone()).or_default().push(Draft::of(group, shape, view, launch));
        }
        let mut jobs: Vec<Job<'_>> = jobs.into_iter().map(|(view, drafts)| Job::of(view, drafts)).collect();
        let files = files.filter(|_| self.options.configurations);
        read::all(&mut jobs, files, start.checked_add(self.options.timeout), progress);
        for job in jobs {
            survey.faults.extend(job.fault);
            let refresh =
                if files.is_none() || job.prints.is_some() { self.options.refresh } else { Duration::ZERO };
            if let Some(prints) = job.prints {
                self.kept.learn(&job.view, prints);
            }
            for draft in job.drafts {
                let (id, shape, view) = (draft.group.first.id, draft.shape, draft.view.clone());
                let service = Arc::new(draft.finish(&scene));
                self.kept.keep(id, shape, view, &service, refresh);
                survey.services.push(service);
            }
        }
        seen_whole &= chart.processes.iter().all(|member| self.known.contains_key(&member.id));
        self.kept.end(seen_whole.then_some(whole));
        survey.finish(start);
        survey
    }

    /// Looks at the processes that are new, or that execute another program now.
    fn look(&mut self, chart: &Inventory, scene: &Scene<'_>) {
        let there: HashSet<ProcessId> = chart.processes.iter().map(|member| member.id).collect();
        self.known.retain(|id, _| there.contains(id));
        for member in &chart.processes {
            let ports = scene.ports(member);
            if let Some(known) = self.known.get_mut(&member.id)
                && known.arguments == member.arguments
                && known.name == member.name()
            {
                if known.ports != ports {
                    let facts = Facts { launch: &known.launch, ports: &ports };
                    known.verdict = self.recogniser.judge(&facts).map(Arc::new);
                    known.ports = ports;
                }
                continue;
            }
            let (arguments, name) = (member.arguments, member.name().to_vec());
            if let Some(parent) =
                self.forked(member, scene).filter(|parent| parent.ports == ports || ports.is_empty())
            {
                let (launch, verdict) = (Arc::clone(&parent.launch), parent.verdict.clone());
                let wrapper = parent.wrapper;
                self.known.insert(member.id, Known { arguments, name, launch, ports, verdict, wrapper });
                continue;
            }
            let Ok(process) = Process::reopen(member.id) else { continue };
            let mut launch = Launch::of(&process);
            if Recogniser::is_relative(&launch) {
                launch = launch.with_directory(&process);
            }
            let launch = Arc::new(launch);
            let wrapper = self.recogniser.is_wrapper(&launch);
            let verdict = self.recogniser.judge(&Facts { launch: &launch, ports: &ports }).map(Arc::new);
            self.known.insert(member.id, Known { arguments, name, launch, ports, verdict, wrapper });
        }
    }

    /// The parent of a process that executes what its parent does, because it was forked and executed nothing since: the
    /// arguments of both lie where they were put at random for the parent.
    fn forked(&self, member: &Member, scene: &Scene<'_>) -> Option<&Known> {
        let parent = scene.members.get(&member.parent)?;
        let known = self.known.get(&parent.id)?;
        let same = member.arguments != 0
            && member.arguments == known.arguments
            && member.container == parent.container
            && parent.id.start_time <= member.id.start_time;
        same.then_some(known)
    }

    /// The processes whose program could not be read; those that ended meanwhile are none.
    fn unreadable(&self) -> Option<SurveyFault> {
        let of = |known: &Known| known.launch.unreadable.filter(|kind| *kind != ErrorKind::TargetGone);
        let mut all = self.known.iter().filter_map(|(id, known)| Some((id.pid, of(known)?)));
        let first = all.next()?;
        let (mut pid, mut kind, mut others) = (first.0, first.1, 0_usize);
        for (other, its_kind) in all {
            others = others.saturating_add(1);
            if other < pid {
                (pid, kind) = (other, its_kind);
            }
        }
        let more = if others > 0 { format!(" and {others} more") } else { String::new() };
        let message = format!("read the program of pid {pid}{more}: {kind}");
        Some(SurveyFault { kind, pid, message })
    }

    /// What each process is; one that listens and that no rule knows is unknown.
    fn verdicts(&self, chart: &Inventory, scene: &Scene<'_>) -> HashMap<ProcessId, Arc<Verdict>> {
        let mut verdicts = HashMap::new();
        for member in &chart.processes {
            let Some(known) = self.known.get(&member.id) else { continue };
            let verdict = known.verdict.clone().or_else(|| {
                let listens = scene.listeners_of(member.id).any(|l| l.port().is_some());
                let facts = Facts { launch: &known.launch, ports: &known.ports };
                listens.then(|| Arc::new(self.recogniser.unknown(&facts)))
            });
            if let Some(verdict) = verdict {
                verdicts.insert(member.id, verdict);
            }
        }
        verdicts
    }
}
