//! Docker's own record of a container, without the daemon.
//!
//! Docker mounts `/etc/hostname` from the container's directory below its data root, so the mount tells where the
//! record `config.v2.json` lies, whatever the data root is. A container can mount what it likes over its own
//! `/etc/hostname`; the record counts only when root (or a rootless daemon's user) owns it and it names the
//! container that we ask for.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::mounted::Mounted;
use super::{Found, json, kubernetes};
use crate::cgroup::{Kind, Runtime};
use crate::evidence::{label, mounts, pod};

const RECORD: &str = "config.v2.json";
/// Docker's default data root, for a container that mounts nothing from it.
const DEFAULT: &str = "/var/lib/docker/containers";

/// Where the record can lie, the likeliest first: by the mounts of the container's first process and our own.
pub(crate) fn places(id: &str, inside: &[u8], mounted: &Mounted) -> Vec<PathBuf> {
    let mounted = directory(id, inside, mounted).map(|directory| directory.join(RECORD));
    mounted.into_iter().chain([Path::new(DEFAULT).join(id).join(RECORD)]).collect()
}

/// Reads a record; nothing when it is not this container's.
pub(super) fn parse(id: &str, text: &[u8]) -> Option<Found> {
    let json: Value = serde_json::from_slice(text).ok()?;
    if json.get("ID")?.as_str()? != id {
        return None;
    }
    let mut found = Found { runtime: Some(Runtime::Docker), ..Found::default() };
    let string = |pointer: &str| json.pointer(pointer).and_then(Value::as_str);
    found.image = string("/Config/Image").and_then(|image| label::image(image.as_bytes()));
    found.log = string("/LogPath").and_then(|log| label::path(log.as_bytes()));
    let name = string("/Name").map(|name| name.trim_start_matches('/')).unwrap_or_default();
    found.name = label::name(name.as_bytes());
    let labels = json.pointer("/Config/Labels");
    let value = |key: &str| labels.and_then(|labels| json::text(labels, key));
    match pod::member(name.as_bytes()) {
        Some(member) => {
            found.kind = Some(if member.sandbox { Kind::Sandbox } else { Kind::Container });
            found.name = Some(member.container).filter(|_| !member.sandbox);
            found.pod = Some(member.pod);
        }
        None => {
            found.pod = kubernetes::pod(value);
            if found.pod.is_some() {
                let sandbox = value("io.kubernetes.docker.type").as_deref() == Some("podsandbox");
                found.name = value("io.kubernetes.container.name").filter(|_| !sandbox);
                found.kind = Some(if sandbox { Kind::Sandbox } else { Kind::Container });
            }
        }
    }
    if let Some(task) = value("com.amazonaws.ecs.task-arn") {
        let container = value("com.amazonaws.ecs.container-name").unwrap_or_default();
        let cluster = value("com.amazonaws.ecs.cluster").unwrap_or_default();
        found.runtime = Some(Runtime::Ecs);
        found.says.push(format!(
            "it is the container {container} of the task {task} in the cluster {cluster} of ECS"
        ));
    }
    Some(found)
}

/// The container's directory, as the host sees it.
fn directory(id: &str, inside: &[u8], mounted: &Mounted) -> Option<PathBuf> {
    // The last of several mounts on one point is the one that is seen.
    let inside = mounts::parse(inside).rev().find(|m| *m.point == *b"/etc/hostname")?;
    let root = inside.root.strip_suffix(b"/hostname")?;
    if !root.ends_with(format!("/containers/{id}").as_bytes()) {
        return None;
    }
    mounted.place_of(inside.device, root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let text = br#"{"ID":"abc","Name":"/web\n1","LogPath":"/l/x.log","Config":{"Image":"nginx:1.22","Env":["A=secret"]}}"#;
        let record = parse("abc", text).unwrap();
        assert_eq!(record.name.as_deref(), Some(r"web\x0a1"));
        assert_eq!(record.image.as_deref(), Some("nginx:1.22"));
        assert_eq!(record.log.as_deref(), Some(Path::new("/l/x.log")));
        assert!(!format!("{record:?}").contains("secret"));
        assert_eq!(parse("abd", text), None, "the record of another container");
        let bare = parse("abc", br#"{"ID":"abc"}"#).unwrap();
        assert_eq!((bare.name, bare.image, bare.pod), (None, None, None));
        for bad in [&b"{"[..], b"", b"[]", br#"{"ID":1}"#, br#"{"ID":"abc"} x"#, &[b'['; 9000]] {
            assert_eq!(parse("abc", bad), None);
        }
    }

    #[test]
    fn pods_and_tasks() {
        let uid = "1c9f4a5e-0000-4000-8000-123456789abc";
        let named =
            parse("a", format!(r#"{{"ID":"a","Name":"/k8s_POD_web_prod_{uid}_0"}}"#).as_bytes()).unwrap();
        assert_eq!((named.kind, named.pod.unwrap().uid.as_str()), (Some(Kind::Sandbox), uid));
        let labels = format!(
            r#"{{"ID":"a","Name":"/x","Config":{{"Labels":{{"io.kubernetes.pod.uid":"{uid}",
            "io.kubernetes.pod.name":"web","io.kubernetes.container.name":"app"}}}}}}"#
        );
        let labelled = parse("a", labels.as_bytes()).unwrap();
        assert_eq!((labelled.kind, labelled.name.as_deref()), (Some(Kind::Container), Some("app")));
        assert_eq!(labelled.pod.unwrap().name.as_deref(), Some("web"));
        let ecs = parse(
            "a",
            br#"{"ID":"a","Name":"/ecs-x","Config":{"Labels":{"com.amazonaws.ecs.task-arn":"t","com.amazonaws.ecs.cluster":"c"}}}"#,
        );
        let ecs = ecs.unwrap();
        assert_eq!((ecs.runtime, ecs.name.as_deref()), (Some(Runtime::Ecs), Some("ecs-x")));
        assert!(ecs.says[0].contains("task t in the cluster c"));
    }

    #[test]
    fn where_they_lie() {
        let id = "4".repeat(64);
        let inside =
            format!("5 1 8:1 /lib/docker/containers/{id}/hostname /etc/hostname rw - ext4 /dev/x rw\n");
        let own = &Mounted::of(b"1 0 8:2 / / rw - ext4 /dev/y rw\n2 1 8:1 /lib /data rw - ext4 /dev/x rw\n");
        let found = places(&id, inside.as_bytes(), own);
        assert_eq!(found[0], Path::new("/data/docker/containers").join(&id).join(RECORD));
        assert!(found[1].starts_with(DEFAULT));
        assert_eq!(places(&id, b"", own).len(), 1);
        assert_eq!(places(&"5".repeat(64), inside.as_bytes(), own).len(), 1, "another's directory");
    }
}
