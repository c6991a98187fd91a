//! containers/storage, which Podman and CRI-O share: one file that lists all containers of a store.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Found, json};
use crate::cgroup::names::is_id;
use crate::cgroup::{Kind, Runtime};
use crate::evidence::{label, pod};

/// The lists of a store: of containers that outlast a restart of the host, and of those that do not.
const LISTS: [&str; 2] = ["containers.json", "volatile-containers.json"];
/// Where root's stores are when no monitor tells.
const DEFAULTS: [&str; 2] =
    ["/var/lib/containers/storage/overlay-containers", "/run/containers/storage/overlay-containers"];
/// More containers than this are not kept of one list.
const MAX_ENTRIES: usize = 16 * 1024;

/// Where the list can lie that has a container whose monitor was told this bundle:
/// `<store>/<driver>-containers/ID/userdata`.
pub(super) fn places(id: &str, bundle: Option<&Path>) -> Vec<PathBuf> {
    let told = bundle.and_then(|bundle| {
        let container = bundle.parent().filter(|c| c.file_name().is_some_and(|name| name == id))?;
        let store = container.parent()?;
        store.file_name()?.to_str()?.ends_with("-containers").then(|| store.to_owned())
    });
    let directories = told.map_or_else(|| DEFAULTS.map(PathBuf::from).to_vec(), |told| vec![told]);
    directories.iter().flat_map(|directory| LISTS.map(|list| directory.join(list))).collect()
}

/// All containers of a list, by id.
pub(super) fn parse(text: &[u8]) -> HashMap<String, Found> {
    let entries = json::objects(text).take(MAX_ENTRIES);
    entries.filter_map(|entry| read(&serde_json::from_slice(entry).ok()?)).collect()
}

fn read(entry: &Value) -> Option<(String, Found)> {
    let id = entry.get("id")?.as_str().filter(|id| is_id(id.as_bytes()))?.to_owned();
    let mut found = Found::default();
    let name = entry.pointer("/names/0").and_then(Value::as_str).unwrap_or_default().as_bytes();
    match pod::member(name) {
        Some(member) => {
            found.runtime = Some(Runtime::CriO);
            found.kind = Some(if member.sandbox { Kind::Sandbox } else { Kind::Container });
            found.name = Some(member.container).filter(|_| !member.sandbox);
            found.pod = Some(member.pod);
        }
        None => {
            found.runtime = Some(Runtime::Podman);
            found.kind = Some(Kind::Sandbox).filter(|_| label::is_infra(name));
            found.name = label::name(name);
        }
    }
    // A text of JSON in a string of JSON.
    let metadata = entry.get("metadata").and_then(Value::as_str).unwrap_or_default();
    if let Ok(metadata) = serde_json::from_str::<Value>(metadata) {
        let image = metadata.get("image-name").and_then(Value::as_str);
        found.image = image.and_then(|image| label::image(image.as_bytes()));
        // Only CRI-O writes the pod's sandbox here.
        found.sandbox = json::text(&metadata, "pod-id").filter(|_| found.pod.is_some());
    }
    Some((id, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let uid = "1c9f4a5e-0000-4000-8000-123456789abc";
        let text = format!(
            r#"[{{"id":"{a}","names":["web"],"metadata":"{{\"image-name\":\"localhost/deb:base\",\"name\":\"x\"}}"}},
            {{"id":"{b}","names":["k8s_app_web_prod_{uid}_0"],"metadata":"{{\"pod-id\":\"{a}\"}}"}},
            {{"id":"short","names":["no"]}},{{"names":["no"]}},{{"id":1}}]"#
        );
        let all = parse(text.as_bytes());
        assert_eq!(all.len(), 2);
        assert_eq!(
            (all[&a].name.as_deref(), all[&a].image.as_deref()),
            (Some("web"), Some("localhost/deb:base"))
        );
        assert_eq!((all[&b].name.as_deref(), all[&b].sandbox.as_deref()), (Some("app"), Some(a.as_str())));
        assert_eq!((all[&a].runtime, all[&b].runtime), (Some(Runtime::Podman), Some(Runtime::CriO)));
        assert_eq!(all[&b].pod.as_ref().unwrap().uid, uid);
        for end in 0..text.len() {
            let _ = parse(&text.as_bytes()[..end]);
        }
        assert!(parse(b"null").is_empty());
    }

    #[test]
    fn where_they_lie() {
        let id = "a".repeat(64);
        let of = |bundle: &str| places(&id, Some(Path::new(&bundle.replace("ID", &id))));
        assert_eq!(of("/s/vfs-containers/ID/userdata")[0], Path::new("/s/vfs-containers/containers.json"));
        for other in ["/s/vfs-containers/other/userdata", "/s/else/ID/userdata", "/"] {
            assert!(of(other)[0].starts_with("/var/lib/containers"), "{other}");
        }
    }
}
