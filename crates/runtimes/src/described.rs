//! A runtime's types into ours.

use std::path::Path;

use bollard::models::{ContainerConfig, ContainerInspectResponse, HostConfig, MountPoint, PortMap};

use crate::metadata::{Engine, Exposed, Health, Image, Metadata, Mount, Pod, Published, RestartPolicy};
use crate::moment::moment;

/// What an answer says of a container, without the digests of its image; and the number of its first process there.
pub(crate) fn described(
    id: &str,
    said: ContainerInspectResponse,
    engine: Engine,
    socket: &Path,
    speaker: u32,
) -> (Metadata, i64) {
    let config = said.config.unwrap_or_default();
    let host = said.host_config.unwrap_or_default();
    let state = said.state.unwrap_or_default();
    let ports = said.network_settings.and_then(|network| network.ports).unwrap_or_default();
    let labels = config.labels.clone().unwrap_or_default().into_iter().collect();
    let user = given(config.user.clone());
    let mut variables: Vec<String> = config.env.iter().flatten().map(|variable| name_of(variable)).collect();
    variables.sort();
    let health = state.health.as_ref().and_then(|health| {
        let status = health.status?.to_string();
        let failing_streak = whole(health.failing_streak);
        // Both say so where there is no check.
        (!status.is_empty() && status != "none").then_some(Health { status, failing_streak })
    });
    let metadata = Metadata {
        engine,
        socket: socket.to_owned(),
        speaker,
        current: true,
        id: id.to_owned(),
        name: given(said.name.map(|name| name.strip_prefix('/').map_or(name.clone(), str::to_owned))),
        image: Image { reference: given(config.image.clone()), id: given(said.image), digests: Vec::new() },
        pod: Pod::of_labels(&labels),
        labels,
        exposed: exposed(&config),
        published: published(&ports),
        command: config.cmd.unwrap_or_default(),
        entrypoint: config.entrypoint.unwrap_or_default(),
        working_directory: given(config.working_dir),
        user_given: user.is_some(),
        user: user.unwrap_or_else(|| "root".to_owned()),
        variables,
        mounts: said.mounts.unwrap_or_default().into_iter().filter_map(mount).collect(),
        health,
        restarts: whole(said.restart_count),
        restart_policy: restart_policy(&host),
        state: state.status.map(|status| status.to_string()).and_then(|status| given(Some(status))),
        created: said.created.as_deref().and_then(moment),
        started: state.started_at.as_deref().and_then(moment),
        log_driver: host.log_config.and_then(|log| given(log.typ)),
        log_path: given(said.log_path),
    };
    (metadata, state.pid.unwrap_or(0))
}

/// Go's empty text is nothing said.
fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn whole(number: Option<i64>) -> u64 {
    number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
}

/// The name alone: the value may be a secret.
fn name_of(variable: &str) -> String {
    variable.split('=').next().unwrap_or_default().to_owned()
}

/// `80/tcp`; without a protocol it is TCP.
fn port(text: &str) -> Option<(u16, String)> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    Some((number.parse().ok()?, protocol.to_owned()))
}

fn exposed(config: &ContainerConfig) -> Vec<Exposed> {
    let ports = config.exposed_ports.iter().flatten().filter_map(|text| port(text));
    let mut all: Vec<Exposed> = ports.map(|(port, protocol)| Exposed { port, protocol }).collect();
    all.sort();
    all
}

fn published(ports: &PortMap) -> Vec<Published> {
    let bound = ports.iter().filter_map(|(text, hosts)| Some((port(text)?, hosts.as_ref()?)));
    let mut all: Vec<Published> = bound
        .flat_map(|((port, protocol), hosts)| {
            hosts.iter().filter_map(move |host| {
                let host_port = host.host_port.as_ref()?.parse().ok()?;
                Some(Published {
                    host_address: given(host.host_ip.clone()),
                    host_port,
                    port,
                    protocol: protocol.clone(),
                })
            })
        })
        .collect();
    all.sort();
    all
}

fn mount(point: MountPoint) -> Option<Mount> {
    Some(Mount {
        kind: given(point.typ.as_ref().map(ToString::to_string)),
        name: given(point.name),
        source: given(point.source),
        destination: given(point.destination)?,
        writable: point.rw.unwrap_or(false),
    })
}

fn restart_policy(host: &HostConfig) -> Option<RestartPolicy> {
    let policy = host.restart_policy.as_ref()?;
    let name = policy.name.map(|name| name.to_string()).filter(|name| !name.is_empty());
    let most = policy.maximum_retry_count.and_then(|most| u64::try_from(most).ok()).filter(|most| *most > 0);
    // Docker says "no", Podman nothing, and both mean that.
    Some(RestartPolicy { name: name.unwrap_or_else(|| "no".to_owned()), most })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_said_is_nothing_known() {
        let (metadata, pid) =
            described("ab", ContainerInspectResponse::default(), Engine::Podman, Path::new("/s"), 1000);
        assert_eq!((metadata.user.as_str(), metadata.user_given, pid), ("root", false, 0));
        assert_eq!((metadata.name, metadata.health, metadata.restart_policy), (None, None, None));
    }

    #[test]
    fn values_of_variables_are_not_kept() {
        let config = ContainerConfig {
            env: Some(vec!["PASSWORD=hunter2".to_owned(), "A=b=c".to_owned(), "BARE".to_owned()]),
            ..Default::default()
        };
        let said = ContainerInspectResponse { config: Some(config), ..Default::default() };
        let (metadata, _) = described("ab", said, Engine::Docker, Path::new("/s"), 0);
        assert_eq!(metadata.variables, ["A", "BARE", "PASSWORD"]);
        assert!(!format!("{metadata:?}").contains("hunter2"));
    }

    #[test]
    fn ports_health_and_policy() {
        let json = r#"{"RestartCount": 3, "NetworkSettings": {"Ports": {
                "443/tcp": null,
                "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}],
                "53/udp": [{"HostIp": "", "HostPort": "53"}, {"HostIp": "", "HostPort": "many"}]}},
            "Config": {"ExposedPorts": {"443/tcp": {}, "80/tcp": {}, "53/udp": {}}},
            "HostConfig": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5}},
            "State": {"Pid": 7, "Health": {"Status": "unhealthy", "FailingStreak": 4, "Log": null}}}"#;
        let (metadata, pid) =
            described("ab", serde_json::from_str(json).unwrap(), Engine::Docker, Path::new("/s"), 0);
        let published = |host: Option<&str>, host_port, port, protocol: &str| Published {
            host_address: host.map(str::to_owned),
            host_port,
            port,
            protocol: protocol.to_owned(),
        };
        let wanted = [
            published(None, 53, 53, "udp"),
            published(Some("0.0.0.0"), 8080, 80, "tcp"),
            published(Some("::"), 8080, 80, "tcp"),
        ];
        assert_eq!(metadata.published, wanted);
        assert_eq!(metadata.exposed.iter().map(|e| e.port).collect::<Vec<_>>(), [53, 80, 443]);
        assert_eq!(metadata.health, Some(Health { status: "unhealthy".to_owned(), failing_streak: 4 }));
        assert_eq!(
            metadata.restart_policy,
            Some(RestartPolicy { name: "on-failure".to_owned(), most: Some(5) })
        );
        assert_eq!((metadata.restarts, pid), (3, 7));
    }

    #[test]
    fn ports() {
        assert_eq!(port("80/tcp"), Some((80, "tcp".to_owned())));
        assert_eq!(port("53"), Some((53, "tcp".to_owned())));
        assert_eq!(port("70000/tcp"), None);
        assert_eq!(port("-/tcp"), None);
    }
}
