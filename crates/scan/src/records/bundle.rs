//! OCI bundles: the `config.json` that an engine writes for its OCI runtime, whose annotations tell what the
//! container is to Kubernetes (containerd, CRI-O) or to nerdctl.
//!
//! A shim of containerd has the bundle as its working directory. In Kubernetes it is the sandbox's, and those of
//! the pod's other containers lie beside it. The same file holds the container's whole environment: nothing but the
//! annotations is kept.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Found, json, kubernetes};
use crate::cgroup::names::is_id;
use crate::cgroup::{Kind, Runtime};
use crate::evidence::label;

const CONFIG: &str = "config.json";

/// Where containerd keeps its state, by who ships it.
const STATES: &[&str] = &[
    "/run/containerd",
    "/run/docker/containerd/daemon",
    "/run/k3s/containerd",
    "/var/snap/microk8s/common/run/containerd",
    "/run/k0s/containerd",
];
const TASKS: &str = "io.containerd.runtime.v2.task";

/// Where a bundle of containerd can lie: beside the working directory of its shim, or in the usual places.
pub(crate) fn places_of_containerd(id: &str, namespace: Option<&str>, shims: Option<&Path>) -> Vec<PathBuf> {
    if !label::is_element(id) {
        return Vec::new();
    }
    let beside = shims.and_then(Path::parent).map(|parent| parent.join(id).join(CONFIG));
    let namespaces = match namespace {
        Some(namespace) => vec![namespace],
        None => vec!["k8s.io", "default"],
    };
    let usual = STATES.iter().flat_map(|state| {
        let tasks = Path::new(state).join(TASKS);
        namespaces.iter().map(move |ns| tasks.join(ns).join(id).join(CONFIG)).collect::<Vec<_>>()
    });
    // A shim knows its state directory; nothing else is asked then.
    match beside {
        Some(beside) => vec![beside],
        None => usual.collect(),
    }
}

/// Where a bundle of CRI-O can lie.
pub(super) fn places_of_crio(id: &str, bundle: Option<&Path>) -> Vec<PathBuf> {
    let usual = ["/run/containers/storage", "/var/lib/containers/storage"].into_iter();
    let usual =
        usual.map(|root| Path::new(root).join("overlay-containers").join(id).join("userdata").join(CONFIG));
    let told = bundle.filter(|bundle| bundle.components().any(|e| e.as_os_str() == id));
    told.map(|bundle| bundle.join(CONFIG)).into_iter().chain(usual.filter(|_| is_id(id.as_bytes()))).collect()
}

/// Reads the annotations; nothing when they are of another container.
pub(super) fn parse(id: &str, text: &[u8]) -> Option<Found> {
    let json: Value = serde_json::from_slice(text).ok()?;
    if names_another(id, &json) {
        return None;
    }
    let Some(annotations) = json.get("annotations").filter(|a| a.is_object()) else {
        return Some(Found::default());
    };
    let value = |key: &str| json::text(annotations, key);
    let image = |key: &str| annotations.get(key)?.as_str().and_then(|image| label::image(image.as_bytes()));
    let mut found = Found { pod: kubernetes::pod(value), ..Found::default() };
    if let Some(kind) = value("io.kubernetes.cri.container-type") {
        found.runtime = Some(Runtime::CriContainerd);
        found.kind = Some(kind_of(&kind));
        found.name = value("io.kubernetes.cri.container-name");
        found.image = image("io.kubernetes.cri.image-name");
        found.sandbox = value("io.kubernetes.cri.sandbox-id");
    } else if let Some(kind) = value("io.kubernetes.cri-o.ContainerType") {
        if value("io.kubernetes.cri-o.ContainerID").is_some_and(|other| other != id) {
            return None;
        }
        found.runtime = Some(Runtime::CriO);
        found.kind = Some(kind_of(&kind));
        found.name = value("io.kubernetes.container.name").filter(|_| found.kind != Some(Kind::Sandbox));
        found.image = image("io.kubernetes.cri-o.ImageName").or_else(|| image("io.kubernetes.cri-o.Image"));
        found.sandbox = value("io.kubernetes.cri-o.SandboxID");
        let log = annotations.get("io.kubernetes.cri-o.LogPath").and_then(Value::as_str);
        found.log = log.and_then(|log| label::path(log.as_bytes()));
    } else if let Some(name) = value("nerdctl/name") {
        found.runtime = Some(Runtime::Containerd);
        found.name = Some(name);
        found.says.push("nerdctl made it".to_owned());
    }
    // The sandbox's own annotations name itself.
    if found.kind == Some(Kind::Sandbox) && found.sandbox.as_deref().is_some_and(|sandbox| sandbox != id) {
        return None;
    }
    Some(found)
}

fn kind_of(word: &str) -> Kind {
    if word == "sandbox" { Kind::Sandbox } else { Kind::Container }
}

/// Whether the cgroup that the bundle asks for has the id of another container.
fn names_another(id: &str, json: &Value) -> bool {
    let path = json.pointer("/linux/cgroupsPath").and_then(Value::as_str).unwrap_or_default();
    let last = path.rsplit(['/', ':']).next().unwrap_or_default();
    is_id(id.as_bytes()) && is_id(last.as_bytes()) && last != id
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "1c9f4a5e-0000-4000-8000-123456789abc";

    fn bundle(cgroup: &str, annotations: &str) -> Vec<u8> {
        format!(
            r#"{{"process":{{"env":["A=secret"]}},"linux":{{"cgroupsPath":"{cgroup}"}},"annotations":{{{annotations}}}}}"#
        )
        .into_bytes()
    }

    #[test]
    fn of_containerd() {
        let (id, sandbox) = ("a".repeat(64), "b".repeat(64));
        let of = |kind: &str| {
            let pod =
                r#""io.kubernetes.cri.sandbox-name":"web","io.kubernetes.cri.sandbox-namespace":"prod""#;
            format!(
                r#""io.kubernetes.cri.container-type":"{kind}","io.kubernetes.cri.container-name":"app",{pod},
                "io.kubernetes.cri.sandbox-uid":"{UID}","io.kubernetes.cri.sandbox-id":"{sandbox}",
                "io.kubernetes.cri.image-name":"r/i:1""#
            )
        };
        let found = parse(&id, &bundle(&format!("/k/{id}"), &of("container"))).unwrap();
        assert_eq!((found.runtime, found.kind), (Some(Runtime::CriContainerd), Some(Kind::Container)));
        assert_eq!((found.name.as_deref(), found.image.as_deref()), (Some("app"), Some("r/i:1")));
        assert_eq!(found.sandbox.as_ref(), Some(&sandbox));
        let pod = found.pod.as_ref().unwrap();
        assert_eq!(
            (pod.uid.as_str(), pod.name.as_deref(), pod.namespace.as_deref()),
            (UID, Some("web"), Some("prod"))
        );
        assert!(!format!("{found:?}").contains("secret"));
        assert_eq!(parse(&sandbox, &bundle("x", &of("sandbox"))).unwrap().kind, Some(Kind::Sandbox));
        assert_eq!(parse(&id, &bundle("x", &of("sandbox"))), None, "the sandbox of another");
        assert_eq!(parse(&id, &bundle(&format!("s.slice:cri-containerd:{sandbox}"), "")), None);
    }

    #[test]
    fn of_crio_and_nerdctl() {
        let id = "a".repeat(64);
        let annotations = |of: &str| {
            format!(
                r#""io.kubernetes.cri-o.ContainerType":"container","io.kubernetes.cri-o.ContainerID":"{of}",
                "io.kubernetes.container.name":"app","io.kubernetes.pod.uid":"{UID}",
                "io.kubernetes.cri-o.ImageName":"r/i:1","io.kubernetes.cri-o.LogPath":"/var/log/pods/x/0.log""#
            )
        };
        let found = parse(&id, &bundle("x", &annotations(&id))).unwrap();
        assert_eq!((found.runtime, found.name.as_deref()), (Some(Runtime::CriO), Some("app")));
        assert_eq!((found.pod.unwrap().uid.as_str(), found.image.as_deref()), (UID, Some("r/i:1")));
        assert!(found.log.unwrap().starts_with("/var/log/pods"));
        assert_eq!(parse(&id, &bundle("x", &annotations("other"))), None);
        let found = parse("web", &bundle("/default/web", r#""nerdctl/name":"n""#)).unwrap();
        assert_eq!((found.runtime, found.name.as_deref()), (Some(Runtime::Containerd), Some("n")));
        assert_eq!(parse("web", &bundle("/default/web", "")).unwrap(), Found::default());
        for bad in [&b""[..], b"{", &[b'{'; 9000]] {
            assert_eq!(parse("web", bad), None);
        }
    }

    #[test]
    fn where_they_lie() {
        let shims = Path::new("/run/c/io.containerd.runtime.v2.task/k8s.io/sandbox");
        assert_eq!(
            places_of_containerd("id", None, Some(shims)),
            [Path::new("/run/c/io.containerd.runtime.v2.task/k8s.io/id/config.json")]
        );
        let usual = places_of_containerd("id", Some("n"), None);
        assert!(
            usual.contains(&PathBuf::from("/run/containerd/io.containerd.runtime.v2.task/n/id/config.json"))
        );
        assert!(places_of_containerd("../x", None, Some(shims)).is_empty());
        let id = "a".repeat(64);
        let told = format!("/s/overlay-containers/{id}/userdata");
        assert_eq!(places_of_crio(&id, Some(Path::new(&told)))[0], Path::new(&told).join(CONFIG));
        assert!(places_of_crio(&id, Some(Path::new("/s/other")))[0].starts_with("/run"));
        assert!(places_of_crio("../x", None).is_empty());
    }
}
