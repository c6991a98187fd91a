//! What is told of each container and its services, in words; how it is laid out is another matter.

use std::collections::HashSet;
use std::sync::Arc;

use portolan::{Container, Inventory, Listener, Protocol, Service, Survey};

use super::{called, number_of, short};
use crate::words;

/// The chart of a host, for people.
#[derive(Debug)]
pub(crate) struct Page {
    pub(super) groups: Vec<Group>,
    pub(super) summary: String,
}

/// How much is told.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Detail {
    /// Why everything is taken for what it is.
    pub(crate) evidence: bool,
}

/// A container, or the host.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    /// What else is to be known of it, a word each.
    pub(super) about: Vec<String>,
    pub(super) evidence: Vec<String>,
    pub(super) services: Vec<Entry>,
    /// Listeners that belong to no service.
    pub(super) others: Vec<String>,
}

/// A service.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) pid: String,
    pub(super) reached: Vec<String>,
    pub(super) config: Vec<String>,
    pub(super) status: Vec<String>,
    pub(super) data: Vec<String>,
    pub(super) logs: Vec<String>,
    pub(super) needs: Vec<String>,
    pub(super) faults: Vec<String>,
    pub(super) evidence: Vec<String>,
}

/// More than this is too much of one thing; JSON has all.
const MOST: usize = 10;

impl Page {
    /// Containers in the chart's order, then what is in network namespaces of nobody, then the host's own.
    pub(crate) fn of(chart: &Inventory, survey: Option<&Survey>, detail: Detail) -> Self {
        let none = Survey::default();
        let services = &survey.unwrap_or(&none).services;
        let of_services: HashSet<i32> = services.iter().flat_map(|s| s.processes.iter().copied()).collect();
        let free = |l: &&Listener| l.owner.is_none_or(|owner| !of_services.contains(&owner.pid));
        let group = |name, about, evidence, own: Vec<&Arc<Service>>, others: Vec<&Listener>| Group {
            name,
            about,
            evidence: if detail.evidence { evidence } else { Vec::new() },
            services: own.into_iter().map(|service| Entry::of(service, detail)).collect(),
            others: others.into_iter().map(other).collect(),
        };
        let mut groups: Vec<Group> = Vec::new();
        for container in &chart.containers {
            let id = Some(&container.id);
            let own = services.iter().filter(|s| s.container.as_ref() == id).collect();
            let others = chart.listeners_of(&container.id).filter(free).collect();
            groups.push(group(called(container), about(container), container.evidence.clone(), own, others));
        }
        let of_none = chart.listeners.iter().filter(|l| l.container.is_none()).filter(free);
        let (hosts, strays): (Vec<_>, Vec<_>) = of_none.partition(|l| l.netns == chart.host.net);
        for others in strays.chunk_by(|a, b| a.netns == b.netns) {
            let name = others.first().map_or_else(String::new, |l| format!("(netns {})", l.netns));
            groups.push(group(name, Vec::new(), Vec::new(), Vec::new(), others.to_vec()));
        }
        let own: Vec<_> = services.iter().filter(|s| s.container.is_none()).collect();
        if !own.is_empty() || !hosts.is_empty() {
            groups.push(group("(host)".to_owned(), Vec::new(), Vec::new(), own, hosts));
        }
        let took = chart.elapsed.saturating_add(survey.map(|s| s.elapsed).unwrap_or_default());
        let mut counts = vec![number_of(chart.containers.len(), "container")];
        if survey.is_some() {
            counts.push(number_of(services.len(), "service"));
        }
        counts.push(number_of(chart.listeners.len(), "listener"));
        let summary = format!("{}, {:.1} ms", counts.join(", "), took.as_secs_f64() * 1e3);
        Self { groups, summary }
    }
}

fn about(container: &Container) -> Vec<String> {
    let mut about = vec![container.runtime.to_string()];
    if called(container) != short(&container.id) {
        about.push(short(&container.id));
    }
    about.extend(container.image.clone());
    if let Some(pod) = &container.pod {
        let name = pod.name.as_ref().unwrap_or(&pod.uid);
        let namespace = pod.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        about.push(format!("pod {namespace}{name}"));
    }
    if container.kind.as_str() != "container" {
        about.push(container.kind.as_str().to_owned());
    }
    about.push(format!("pid {}", container.init.pid));
    about
}

/// A listener that belongs to no service, on a line.
fn other(listener: &Listener) -> String {
    let address = match listener.protocol {
        Protocol::Tcp => listener.place(),
        other => format!("{other} {}", listener.place()),
    };
    let owner = match (listener.owner, &listener.command) {
        (Some(owner), Some(command)) => format!("  {command} (pid {})", owner.pid),
        (Some(owner), None) => format!("  pid {}", owner.pid),
        _ => String::new(),
    };
    format!("{address}  {}{owner}", listener.reach)
}

impl Entry {
    fn of(service: &Service, detail: Detail) -> Self {
        let configuration = &service.configuration;
        let logs: Vec<words::Log> = service.logs.iter().map(words::log).collect();
        Self {
            name: words::name(service),
            version: service.version.as_ref().map(|version| version.text.clone()).unwrap_or_default(),
            pid: service.process.pid.to_string(),
            reached: shortened(service.endpoints.iter().map(words::endpoint).collect()),
            config: words::files(&configuration.files),
            status: shortened(configuration.status.iter().map(words::status).collect()),
            data: configuration.data_directory.iter().map(|path| words::path(path)).collect(),
            logs: shortened(logs).into_iter().flat_map(|log| log.0).collect(),
            needs: words::needs(configuration).into_iter().collect(),
            faults: shortened(configuration.faults.iter().map(ToString::to_string).collect()),
            evidence: match (detail.evidence, &service.version) {
                (false, _) => Vec::new(),
                (true, None) => service.evidence.clone(),
                (true, Some(version)) => {
                    let told = format!("its version is told by {}", version.source);
                    service.evidence.iter().cloned().chain([told]).collect()
                }
            },
        }
    }
}

/// The first of them, and how many more there are.
fn shortened<T: From<String>>(mut lines: Vec<T>) -> Vec<T> {
    let more = lines.len().saturating_sub(MOST);
    // One line for one more would save nothing.
    if more > 1 {
        lines.truncate(MOST);
        lines.push(format!("and {more} more").into());
    }
    lines
}
