//! What a runtime says of one container.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use portolan_linux::error::Escaped;

/// What the runtime's API says of one container.
///
/// It is data as the runtime gave it: labels, arguments and paths are of others' making and may hold control characters,
/// which [`Display`](fmt::Display) escapes. The values of environment variables are not here at all, only their names:
/// passwords are what they are used for, and who keeps no secret can leak none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// Which runtime answered.
    pub engine: Engine,
    /// The socket that it answered on.
    pub socket: PathBuf,
    /// The user who serves that socket, as the kernel tells it (`SO_PEERCRED`, `unix(7)`).
    pub speaker: u32,
    /// Whether this is known to be so now; false when the runtime did not answer this time, and this is what it said of the
    /// same first process before.
    pub current: bool,
    /// The container's id, 64 hexadecimal digits.
    pub id: String,
    /// Its name, without the slash that Docker puts before it.
    pub name: Option<String>,
    /// The image that it was made from.
    pub image: Image,
    /// Labels, its image's among them.
    pub labels: BTreeMap<String, String>,
    /// The arguments that it was started with, after the entry point.
    pub command: Vec<String>,
    /// The program that it was started with, and its first arguments.
    pub entrypoint: Vec<String>,
    /// The working directory; none means `/`.
    pub working_directory: Option<String>,
    /// The user that its first process was started as, as a name or a number of the container, with `:GROUP` where one was
    /// given; `root` where none was.
    pub user: String,
    /// Whether the user was said, or is `root` because nothing was.
    pub user_given: bool,
    /// The names of its environment variables, in order.
    pub variables: Vec<String>,
    /// The ports that its image or its starter says it uses. Nobody checks that.
    pub exposed: Vec<Exposed>,
    /// The ports of the host that lead to ports of it.
    pub published: Vec<Published>,
    /// What the runtime mounted into it.
    pub mounts: Vec<Mount>,
    /// Its health, where it has a check.
    pub health: Option<Health>,
    /// How often the runtime started it again.
    pub restarts: u64,
    /// When the runtime starts it again.
    pub restart_policy: Option<RestartPolicy>,
    /// Its state in the runtime's own words: `running`, `paused`.
    pub state: Option<String>,
    /// When it was made.
    pub created: Option<SystemTime>,
    /// When it was last started.
    pub started: Option<SystemTime>,
    /// How its output is logged: `json-file`, `journald`.
    pub log_driver: Option<String>,
    /// The file that its output is logged to, as the daemon names it.
    pub log_path: Option<String>,
    /// The pod that it belongs to, by its labels or Podman's word.
    pub pod: Option<Pod>,
}

/// A runtime with an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Engine {
    /// Docker.
    Docker,
    /// Podman, by the API that it shares with Docker.
    Podman,
}

impl Engine {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The image of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Image {
    /// As it was named when the container was made: `nginx:1.22`.
    pub reference: Option<String>,
    /// Its id: `sha256:` and 64 hexadecimal digits, of its configuration.
    pub id: Option<String>,
    /// By which digests registries have it: `nginx@sha256:…`. None for one that was never pulled or pushed.
    pub digests: Vec<String>,
}

/// A port that a container is said to use.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Exposed {
    /// The number, inside.
    pub port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

/// A port of the host that leads to one of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Published {
    /// The host's address, in the runtime's words; none means all.
    pub host_address: Option<String>,
    /// The host's port.
    pub host_port: u16,
    /// The container's.
    pub port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

/// Something that a runtime mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mount {
    /// `bind`, `volume`, `tmpfs`.
    pub kind: Option<String>,
    /// The volume's name.
    pub name: Option<String>,
    /// Where it is on the host, as the daemon names it.
    pub source: Option<String>,
    /// Where it is inside.
    pub destination: String,
    /// Whether it can be written to.
    pub writable: bool,
}

/// What a container's own check says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// `starting`, `healthy`, `unhealthy`.
    pub status: String,
    /// How often in a row it failed.
    pub failing_streak: u64,
}

/// When a runtime starts a container again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestartPolicy {
    /// `no`, `always`, `on-failure`, `unless-stopped`.
    pub name: String,
    /// After so many failures it gives up; none for never.
    pub most: Option<u64>,
}

/// The pod of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pod {
    /// Kubernetes' uid, or Podman's id.
    pub uid: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its namespace (of Kubernetes).
    pub namespace: Option<String>,
    /// The container's name in the pod.
    pub container: Option<String>,
}

impl Pod {
    /// The pod by the labels that the kubelet gives (`io.kubernetes.*`); none where there are none.
    #[must_use]
    pub fn of_labels(labels: &BTreeMap<String, String>) -> Option<Self> {
        let of = |name: &str| labels.get(&format!("io.kubernetes.{name}")).filter(|v| !v.is_empty()).cloned();
        let pod = Self {
            uid: of("pod.uid"),
            name: of("pod.name"),
            namespace: of("pod.namespace"),
            container: of("container.name"),
        };
        (pod.uid.is_some() || pod.name.is_some()).then_some(pod)
    }
}

/// On one line, for people.
impl fmt::Display for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| Escaped(text.as_bytes()).to_string();
        write!(f, "{} calls it {}", self.engine, shown(self.name.as_deref().unwrap_or("nothing")))?;
        if let Some(image) = &self.image.reference {
            write!(f, ", of {}", shown(image))?;
        }
        if let Some(state) = &self.state {
            write!(f, ", {}", shown(state))?;
        }
        if let Some(health) = &self.health {
            write!(f, ", {}", shown(&health.status))?;
        }
        write!(f, ", user {}", shown(&self.user))?;
        for port in &self.published {
            let address = shown(port.host_address.as_deref().unwrap_or("*"));
            write!(f, ", {address}:{} to {}/{}", port.host_port, port.port, shown(&port.protocol))?;
        }
        for (name, value) in &self.labels {
            write!(f, ", {}={}", shown(name), shown(value))?;
        }
        if self.current { Ok(()) } else { f.write_str(" (as it said before)") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_names_come_from_labels() {
        let labels = [
            ("io.kubernetes.pod.name", "web-0"),
            ("io.kubernetes.pod.namespace", "shop"),
            ("io.kubernetes.pod.uid", "1-2"),
            ("io.kubernetes.container.name", "nginx"),
        ];
        let labels = labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect();
        let pod = Pod::of_labels(&labels).unwrap();
        assert_eq!((pod.uid.as_deref(), pod.name.as_deref()), (Some("1-2"), Some("web-0")));
        assert_eq!((pod.namespace.as_deref(), pod.container.as_deref()), (Some("shop"), Some("nginx")));
        assert_eq!(Pod::of_labels(&BTreeMap::new()), None);
    }
}
