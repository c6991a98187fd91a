//! A service as it grows.

use portolan_scan::Listener;

use super::scene::Scene;
use super::view::View;
use crate::config::{self, Reader, Wanted, generic};
use crate::configuration::Configuration;
use crate::endpoint;
use crate::launch::Launch;
use crate::recognise::group::Group;
use crate::service::{LogFile, Service, Version};
use crate::source::Source;
use crate::version::Asked;

/// A service as it grows.
pub(super) struct Draft<'a> {
    pub(super) shape: u64,
    pub(super) view: View,
    pub(super) group: Group<'a>,
    pub(super) launch: Launch,
    pub(super) reader: Option<&'static Reader>,
    pub(super) configuration: Configuration,
    pub(super) version: Option<Version>,
    pub(super) logs: Vec<LogFile>,
}

impl<'a> Draft<'a> {
    pub(super) fn of(group: Group<'a>, shape: u64, view: View, launch: Launch) -> Self {
        let rule = &group.verdict.rule;
        let reader = config::reader(rule.reader.as_deref().unwrap_or(&rule.kind));
        Self {
            shape,
            view,
            group,
            launch,
            reader,
            configuration: Configuration::default(),
            version: None,
            logs: Vec::new(),
        }
    }

    /// What reading its configuration will most likely take.
    pub(super) fn foresee(&self) -> Vec<Wanted> {
        match self.reader {
            Some(reader) => (reader.foresee)(&self.launch),
            None => generic::foresee(&self.group.verdict.rule, &self.launch),
        }
    }

    /// Reads its configuration.
    pub(super) fn configure(&mut self, source: &mut dyn Source) {
        self.configuration = match self.reader {
            Some(reader) => (reader.read)(&self.launch, source),
            None => generic::read(&self.group.verdict.rule, &self.launch, source),
        };
    }

    /// What there is to find a version by.
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked::new(&self.group.verdict.rule, &self.group.verdict.name, &self.launch, &self.view.root)
    }

    pub(super) fn finish(self, scene: &Scene<'_>) -> Service {
        let Self { group, configuration, version, logs, .. } = self;
        let rule = &group.verdict.rule;
        let container = group.first.container.and_then(|init| scene.containers.get(&init));
        let listeners: Vec<&Listener> =
            group.members.iter().flat_map(|member| scene.listeners_of(member.id)).collect();
        let ports: Vec<u16> = listeners.iter().filter_map(|listener| listener.port()).collect();
        let image = container.and_then(|container| container.image.as_deref());
        let agrees = endpoint::agree(&listeners, &configuration);
        let file = configuration.files.first().filter(|file| agrees && file.by != generic::USUAL);
        let (evidence, confidence) =
            group.verdict.supported(&ports, image, file.map(|file| file.path.as_path()));
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
            version,
            endpoints: endpoint::of(&listeners, &configuration, &rule.ports),
            logs,
            configuration,
            evidence,
            confidence,
        }
    }
}
