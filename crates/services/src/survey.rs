//! What runs on a host: the chart's processes and listeners, joined with rules, configurations and logs.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portolan_files::Files;
use portolan_linux::error::{Escaped, Feature};
use portolan_linux::{ErrorKind, NamespaceId, Process, ProcessId};
use portolan_scan::{Container, Inventory, Listener, Member};

use crate::config::{self, Reader};
use crate::configuration::Configuration;
use crate::endpoint;
use crate::inside::Inside;
use crate::launch::Launch;
use crate::recognise::group::{self, Group};
use crate::recognise::{Facts, Recogniser, Verdict};
use crate::rules::Rules;
use crate::service::{Confidence, LogFile, Service};

/// How services are surveyed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SurveyOptions {
    /// What is recognised.
    pub rules: Rules,
    /// Whether configurations are read.
    pub configurations: bool,
}

impl Default for SurveyOptions {
    fn default() -> Self {
        Self { rules: Rules::built_in(), configurations: true }
    }
}

/// The services of a host at one moment.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Survey {
    /// By container and kind; the host's own last.
    pub services: Vec<Service>,
    /// What could not be looked at.
    pub faults: Vec<SurveyFault>,
    /// How long it took.
    pub elapsed: Duration,
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
}

/// What is known of a process.
#[derive(Debug)]
struct Known {
    /// [`Member::arguments`], which another program has elsewhere.
    arguments: u64,
    name: Vec<u8>,
    launch: Launch,
    ports: Vec<u16>,
    verdict: Option<Verdict>,
}

impl Surveyor {
    /// Nothing has been looked at yet.
    #[must_use]
    pub fn new(options: SurveyOptions) -> Self {
        Self { recogniser: Recogniser::new(&options.rules), options, known: HashMap::new() }
    }

    /// Says what runs on the host of this chart. Without `files`, nothing is read inside of containers.
    pub fn survey(&mut self, chart: &Inventory, files: Option<&Files>) -> Survey {
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
        let scene = Scene::of(chart);
        self.look(chart, &scene);
        let verdicts = self.verdicts(chart, &scene);
        let groups = group::join(&chart.processes, &verdicts);
        let kept: Vec<Group<'_>> = groups.into_iter().filter(|group| scene.matters(group)).collect();
        let mut views: HashMap<View, Vec<usize>> = HashMap::new();
        let mut drafts: Vec<Draft<'_>> = Vec::new();
        for group in kept {
            let Ok(process) = Process::reopen(group.first.id) else { continue };
            let launch =
                self.known.get(&group.first.id).map(|known| known.launch.clone()).unwrap_or_default();
            let launch = launch.with_surroundings(&process);
            let view = view(&group, &launch, &scene);
            views.entry(view.clone()).or_default().push(drafts.len());
            let rule = &group.verdict.rule;
            let reader = config::reader(rule.reader.as_deref().unwrap_or(&rule.kind));
            drafts.push(Draft { group, launch, reader, configuration: Configuration::default() });
        }
        if let Some(files) = files.filter(|_| self.options.configurations) {
            for (view, places) in &views {
                read(files, view, places, &mut drafts, &mut survey.faults);
            }
        }
        survey.services = drafts.into_iter().map(|draft| draft.finish(&scene)).collect();
        survey.services.sort_by(|a, b| {
            let key = |s: &Service| (s.container.is_none(), s.container.clone(), s.kind.clone(), s.process);
            key(a).cmp(&key(b))
        });
        survey.elapsed = start.elapsed();
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
                    known.verdict = self.recogniser.judge(&facts);
                    known.ports = ports;
                }
                continue;
            }
            let Ok(process) = Process::reopen(member.id) else { continue };
            let launch = Launch::of(&process);
            let verdict = self.recogniser.judge(&Facts { launch: &launch, ports: &ports });
            let (arguments, name) = (member.arguments, member.name().to_vec());
            self.known.insert(member.id, Known { arguments, name, launch, ports, verdict });
        }
    }

    /// What each process is; one that listens and that no rule knows is unknown.
    fn verdicts(&self, chart: &Inventory, scene: &Scene<'_>) -> HashMap<ProcessId, Verdict> {
        let mut verdicts = HashMap::new();
        for member in &chart.processes {
            let Some(known) = self.known.get(&member.id) else { continue };
            let verdict = known.verdict.clone().or_else(|| {
                let listens = scene.listeners_of(member.id).any(|l| l.port().is_some());
                listens
                    .then(|| self.recogniser.unknown(&Facts { launch: &known.launch, ports: &known.ports }))
            });
            if let Some(verdict) = verdict {
                verdicts.insert(member.id, verdict);
            }
        }
        verdicts
    }
}

/// The chart, by what is asked of it.
struct Scene<'a> {
    containers: HashMap<ProcessId, &'a Container>,
    members: HashMap<i32, &'a Member>,
    listeners: HashMap<ProcessId, Vec<&'a Listener>>,
}

impl<'a> Scene<'a> {
    fn of(chart: &'a Inventory) -> Self {
        let mut listeners: HashMap<ProcessId, Vec<&Listener>> = HashMap::new();
        for listener in &chart.listeners {
            if let Some(owner) = listener.owner {
                listeners.entry(owner).or_default().push(listener);
            }
        }
        Self {
            containers: chart.containers.iter().map(|c| (c.init, c)).collect(),
            members: chart.processes.iter().map(|m| (m.id.pid, m)).collect(),
            listeners,
        }
    }

    fn listeners_of(&self, process: ProcessId) -> impl Iterator<Item = &'a Listener> {
        self.listeners.get(&process).into_iter().flatten().copied()
    }

    fn ports(&self, member: &Member) -> Vec<u16> {
        let mut ports: Vec<u16> = self.listeners_of(member.id).filter_map(Listener::port).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// A program that no rule knows by itself is a service if it listens, or if a container is there for it.
    fn matters(&self, group: &Group<'_>) -> bool {
        let listens = || group.members.iter().any(|member| self.listeners_of(member.id).next().is_some());
        !group.verdict.rule.runtime || listens() || group.first.container == Some(group.first.id)
    }
}

/// Whose files are read: of a mount namespace as its first process sees it, or of one process with a root of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct View {
    mnt: NamespaceId,
    root: PathBuf,
    process: ProcessId,
}

/// A service sees the files of its namespace. One that changed its root later was configured before that.
fn view(group: &Group<'_>, launch: &Launch, scene: &Scene<'_>) -> View {
    let own = View { mnt: group.first.mnt, root: launch.root.clone(), process: group.first.id };
    if launch.root == Path::new("/") {
        return own;
    }
    let mut at = group.first;
    while let Some(parent) = scene.members.get(&at.parent)
        && parent.mnt == at.mnt
        && parent.container == at.container
        && parent.id.start_time <= at.id.start_time
        && parent.id != at.id
    {
        at = parent;
        let root = Process::reopen(at.id).and_then(|process| process.root_path());
        if root.is_ok_and(|root| root == b"/") {
            return View { mnt: at.mnt, root: "/".into(), process: at.id };
        }
    }
    own
}

/// A service as it grows.
struct Draft<'a> {
    group: Group<'a>,
    launch: Launch,
    reader: Option<&'static Reader>,
    configuration: Configuration,
}

/// Reads the configurations of the services that see the same files.
fn read(
    files: &Files,
    view: &View,
    places: &[usize],
    drafts: &mut [Draft<'_>],
    faults: &mut Vec<SurveyFault>,
) {
    let process = match Process::reopen(view.process) {
        Ok(process) => process,
        Err(error) => {
            let message = Escaped(error.to_string().as_bytes()).to_string();
            faults.push(SurveyFault { kind: error.kind(), pid: view.process.pid, message });
            return;
        }
    };
    let mut inside = Inside::new(files, &process);
    let with_reader = |place: &usize| Some((drafts.get(*place)?, drafts.get(*place)?.reader?));
    let wanted: Vec<_> = places
        .iter()
        .filter_map(with_reader)
        .flat_map(|(draft, reader)| (reader.foresee)(&draft.launch))
        .collect();
    inside.foresee(&wanted);
    for place in places {
        if let Some(draft) = drafts.get_mut(*place)
            && let Some(reader) = draft.reader
        {
            draft.configuration = (reader.read)(&draft.launch, &mut inside);
        }
    }
}

impl Draft<'_> {
    fn finish(self, scene: &Scene<'_>) -> Service {
        let Self { group, configuration, .. } = self;
        let rule = &group.verdict.rule;
        let container = group.first.container.and_then(|init| scene.containers.get(&init));
        let listeners: Vec<&Listener> =
            group.members.iter().flat_map(|member| scene.listeners_of(member.id)).collect();
        let mut evidence = group.verdict.evidence.clone();
        let mut confidence = group.verdict.confidence;
        if let Some(port) = listeners.iter().filter_map(|l| l.port()).find(|port| rule.ports.contains(port)) {
            evidence.push(format!("it listens on {port}, as {} does", rule.title));
            confidence = raised(confidence);
        }
        if let Some(file) = configuration.files.first() {
            use std::os::unix::ffi::OsStrExt as _;
            evidence.push(format!("its configuration is {}", Escaped(file.path.as_os_str().as_bytes())));
            confidence = raised(confidence);
        }
        let logs = configuration.logs.iter().map(|log| LogFile {
            path: log.path.clone(),
            purpose: log.purpose,
            format: log.format.clone(),
            host_path: None,
            open: false,
        });
        let mut processes: Vec<i32> = group.members.iter().map(|member| member.id.pid).collect();
        processes.sort_unstable();
        Service {
            kind: rule.kind.clone(),
            aliases: rule.aliases.clone(),
            category: rule.category.clone(),
            name: group.verdict.name.clone(),
            container: container.map(|container| container.id.clone()),
            process: group.first.id,
            processes,
            netns: listeners.first().map_or(group.first.net, |listener| listener.netns),
            version: None,
            endpoints: endpoint::of(&listeners, &configuration, &rule.ports),
            logs: logs.collect(),
            configuration,
            evidence,
            confidence,
        }
    }
}

/// A program that something else agrees with; what proves nothing by itself does not become certain by it.
fn raised(confidence: Confidence) -> Confidence {
    if confidence == Confidence::Low { Confidence::Low } else { Confidence::High }
}
