//! What is asked of a runtime.
//!
//! bollard's client goes through our own connections, and asks only what is small and no secret: it writes whole answers
//! to the debug log of whoever logs, and a container's and an image's variables are in theirs. Those are read here, into
//! bollard's types, after a look at how many values they have: a few bytes of JSON can be hundreds in memory.

use std::sync::Arc;

use bollard::models::{ContainerInspectResponse, ImageInspect};
use bollard::{API_DEFAULT_VERSION, BollardRequest, ClientVersion, Docker};
use hyper::Response;
use hyper::body::Incoming;
use serde_json::Value;

use crate::fault::Trouble;
use crate::metadata::{Engine, Pod};
use crate::speaker::is_id;
use crate::transport::{Line, of_hyper, refused};

/// One container, its labels and all.
const CONTAINER: u64 = 4 * 1024 * 1024;
/// The list of the containers that run.
const LIST: u64 = 16 * 1024 * 1024;
/// Values of one answer; a container has some hundreds, and one for each label and mount.
const VALUES: usize = 20_000;
/// What a value is in memory, at most.
const VALUE: usize = 256;
/// Version and pod.
const SMALL: u64 = 256 * 1024;
/// Events of one connection; then there is another.
const EVENTS: u64 = 1024 * 1024;
/// What is asked in time by whoever waits: the caller's deadline, not the client's, counts.
const NEVER: u64 = 3600;

/// A runtime that said who it is.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) line: Arc<Line>,
    pub(crate) engine: Engine,
    docker: Docker,
    version: String,
    /// The version of Podman's own API, which has pods.
    podman: Option<String>,
}

impl Client {
    /// Asks who is there, and which API it speaks.
    pub(crate) async fn meet(line: Arc<Line>) -> Result<Self, Trouble> {
        let version: Value = read(&line.get("/version", SMALL).await?)?;
        let spoken = version.get("ApiVersion").and_then(Value::as_str).and_then(numbers);
        let spoken = spoken.ok_or_else(|| Trouble::Nonsense("it tells no version".to_owned()))?;
        let ours = (API_DEFAULT_VERSION.major_version, API_DEFAULT_VERSION.minor_version);
        // A newer daemon knows what we know; an older one refuses what it does not.
        let (major_version, minor_version) = spoken.min(ours);
        let podman = podmans(&version);
        let engine = if podman.is_some() { Engine::Podman } else { Engine::Docker };
        let through = Arc::clone(&line);
        let transport = move |request: BollardRequest| {
            let line = Arc::clone(&through);
            async move { through_line(&line, request).await }
        };
        let agreed = ClientVersion { major_version, minor_version };
        let docker =
            Docker::connect_with_custom_transport(transport, Some("http://localhost"), NEVER, &agreed)
                .map_err(|e| of_bollard(&e))?;
        Ok(Self { line, engine, docker, version: format!("v{major_version}.{minor_version}"), podman })
    }

    /// Whether it still answers.
    pub(crate) async fn ping(&self) -> Result<(), Trouble> {
        self.docker.ping().await.map(drop).map_err(|e| of_bollard(&e))
    }

    /// The ids of the containers that run.
    pub(crate) async fn running(&self) -> Result<Vec<String>, Trouble> {
        let body = self.line.get(&format!("/{}/containers/json", self.version), LIST).await?;
        let listed: Vec<Listed> = serde_json::from_slice(&body).map_err(|e| of_json(&e))?;
        Ok(listed.into_iter().filter_map(|container| container.id).filter(|id| is_id(id)).collect())
    }

    /// What is known of a container; nothing when it is not this runtime's. With it, how many bytes that took.
    pub(crate) async fn container(
        &self,
        id: &str,
    ) -> Result<Option<(ContainerInspectResponse, usize)>, Trouble> {
        match self.line.get(&format!("/{}/containers/{id}/json", self.version), CONTAINER).await {
            Ok(body) => {
                let said: ContainerInspectResponse = read(&body)?;
                if said.id.as_deref() != Some(id) {
                    return Err(Trouble::Nonsense(
                        "it speaks of another container than was asked".to_owned(),
                    ));
                }
                Ok(Some((said, body.len().saturating_add(values(&body).saturating_mul(VALUE)))))
            }
            Err(Trouble::Refused { status: 404, .. }) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// By which digests registries have an image.
    pub(crate) async fn digests(&self, image: &str) -> Result<Vec<String>, Trouble> {
        if !image.bytes().all(|b| b.is_ascii_alphanumeric() || b == b':') || !(1..=200).contains(&image.len())
        {
            return Err(Trouble::Nonsense("an image has no id".to_owned()));
        }
        let body = self.line.get(&format!("/{}/images/{image}/json", self.version), CONTAINER).await?;
        Ok(read::<ImageInspect>(&body)?.repo_digests.unwrap_or_default())
    }

    /// What Podman says by its own API only; nothing of Docker.
    pub(crate) async fn podmans_own(&self, id: &str) -> Result<Option<Own>, Trouble> {
        let Some(podman) = &self.podman else { return Ok(None) };
        let body = self.line.get(&format!("/v{podman}/libpod/containers/{id}/json"), CONTAINER).await?;
        let container: Value = read(&body)?;
        let text = |value: Option<&Value>| {
            value.and_then(Value::as_str).filter(|t| !t.is_empty()).map(str::to_owned)
        };
        let log = container.get("HostConfig").and_then(|host| host.get("LogConfig"));
        let log_driver = text(log.and_then(|log| log.get("Type")));
        let log_path = text(log.and_then(|log| log.get("Path")));
        let mut own = Own { pod: None, log_driver, log_path };
        if let Some(pod) = text(container.get("Pod")).filter(|pod| is_id(pod)) {
            let body = self.line.get(&format!("/v{podman}/libpod/pods/{pod}/json"), SMALL).await?;
            let named: Value = read(&body)?;
            own.pod = Some(Pod { uid: Some(pod), name: text(named.get("Name")), ..Pod::default() });
        }
        Ok(Some(own))
    }

    /// What happens to containers, since a moment (seconds and nanoseconds since 1970, as the runtime counted them).
    pub(crate) async fn events(&self, since: Option<(i64, i64)>) -> Result<Response<Incoming>, Trouble> {
        // {"type":["container"]}
        let mut path = format!("/{}/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D", self.version);
        if let Some((seconds, nanos)) = since {
            path.push_str(&format!("&since={seconds}.{nanos:09}"));
        }
        self.line.ask(&path, EVENTS).await
    }
}

/// A container in a list, of which the id alone is wanted.
#[derive(Debug, serde::Deserialize)]
struct Listed {
    #[serde(rename = "Id")]
    id: Option<String>,
}

/// What Podman does not say, or says otherwise, by the API that it shares with Docker.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) pod: Option<Pod>,
    /// In Podman's own words: by the other API `k8s-file` is Docker's `json-file`, which is another format.
    pub(crate) log_driver: Option<String>,
    pub(crate) log_path: Option<String>,
}

/// bollard's request on a connection of ours.
async fn through_line(
    line: &Arc<Line>,
    request: BollardRequest,
) -> Result<Response<Incoming>, bollard::errors::Error> {
    let answered = line.send(request, SMALL).await;
    answered.map_err(|trouble| bollard::errors::Error::IOError { err: std::io::Error::other(trouble) })
}

fn of_bollard(error: &bollard::errors::Error) -> Trouble {
    match error {
        bollard::errors::Error::DockerResponseServerError { status_code, message } => {
            refused(*status_code, message)
        }
        bollard::errors::Error::RequestTimeoutError => Trouble::Deadline,
        other => of_hyper(other),
    }
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Trouble> {
    if values(body) > VALUES {
        return Err(Trouble::Nonsense(format!("more than {VALUES} values in one answer")));
    }
    serde_json::from_slice(body).map_err(|e| of_json(&e))
}

/// Its own words quote values, of variables, too.
fn of_json(error: &serde_json::Error) -> Trouble {
    let what = if error.is_eof() { "its JSON ends too early" } else { "its JSON is not what it should be" };
    Trouble::Nonsense(format!("{what}, at line {} column {}", error.line(), error.column()))
}

/// How many values a JSON text can have at most, without reading it into any.
fn values(json: &[u8]) -> usize {
    let (mut quoted, mut escaped, mut count) = (false, false, 1_usize);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' | b'[' | b'{' if !quoted => count = count.saturating_add(1),
            _ => {}
        }
    }
    count
}

/// The version of its own API, if this is Podman.
fn podmans(version: &Value) -> Option<String> {
    let components = version.get("Components")?.as_array()?.iter();
    let named = |part: &&Value| {
        part.get("Name").and_then(Value::as_str).is_some_and(|name| name.starts_with("Podman"))
    };
    let podman = components.take(64).find(named)?;
    let version = podman.get("Details").and_then(|details| details.get("APIVersion")).and_then(Value::as_str);
    // It goes into requests.
    let sound = |text: &&str| {
        text.len() < 32 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    Some(version.filter(sound).unwrap_or("4.0.0").to_owned())
}

fn numbers(version: &str) -> Option<(usize, usize)> {
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_of_texts() {
        assert_eq!(values(b"{}"), 2);
        assert_eq!(values(br#"{"a": [1, 2, {"b": null}], "c": ",[{\",\\"}"#), 7);
        assert!(
            read::<Vec<ContainerInspectResponse>>(format!("[{}{{}}]", "{},".repeat(VALUES)).as_bytes())
                .is_err()
        );
        assert!(read::<Value>(format!("\"{}\"", "{},".repeat(VALUES)).as_bytes()).is_ok());
    }
}
