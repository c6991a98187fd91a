//! Docker's own record of a container: its name and image, without the daemon.
//!
//! Docker mounts `/etc/hostname` from the container's directory below its data root, so the mount tells where the
//! record `config.v2.json` lies, whatever the data root is. A container can mount what it likes over its own
//! `/etc/hostname`; the record counts only when root owns it and it names the container that we ask for.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use portolan_linux::Process;
use portolan_linux::error::Escaped;
use serde_json::Value;

use crate::mounts::{self, Mount};

/// What the record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) name: Option<String>,
    pub(crate) image: Option<String>,
}

const RECORD: &str = "config.v2.json";
/// Docker's default data root, for a container that mounts nothing from it.
const DEFAULT: &str = "/var/lib/docker/containers";
/// Labels and environment can be long; a record is never longer than this.
const MAX_SIZE: u64 = 1024 * 1024;

pub(crate) fn record(id: &str, process: &Process) -> Option<Record> {
    let directory = directory(id, process).unwrap_or_else(|| Path::new(DEFAULT).join(id));
    let mut file =
        File::options().read(true).custom_flags(nonblocking()).open(directory.join(RECORD)).ok()?;
    let meta = file.metadata().ok()?;
    if !meta.is_file() || meta.uid() != 0 || meta.len() > MAX_SIZE {
        return None;
    }
    let mut text = Vec::new();
    file.by_ref().take(MAX_SIZE).read_to_end(&mut text).ok()?;
    parse(id, &text)
}

/// `O_NONBLOCK`, so that a FIFO in its place holds nobody up (its number is the same on all but three old
/// architectures, none of which has a namespace to enter).
fn nonblocking() -> i32 {
    0o4000
}

fn parse(id: &str, text: &[u8]) -> Option<Record> {
    let json: Value = serde_json::from_slice(text).ok()?;
    if json.get("ID")?.as_str()? != id {
        return None;
    }
    let safe = |text: &str| Escaped(text.as_bytes()).to_string();
    let name = json.get("Name").and_then(Value::as_str).map(|name| safe(name.trim_start_matches('/')));
    let image = json.pointer("/Config/Image").and_then(Value::as_str).map(safe);
    Some(Record { name: name.filter(|n| !n.is_empty()), image })
}

/// The container's directory, as the host sees it.
fn directory(id: &str, process: &Process) -> Option<PathBuf> {
    let text = process.mount_info().ok()?;
    // The last of several mounts on one point is the one that is seen.
    let inside = mounts::parse(&text).rev().find(|m| m.point == b"/etc/hostname")?;
    let root = inside.root.strip_suffix(b"/hostname")?;
    if !root.ends_with(format!("/containers/{id}").as_bytes()) {
        return None;
    }
    let own = Process::open(std::process::id().cast_signed()).and_then(|p| p.mount_info()).ok()?;
    mounts::parse(&own).filter(|m| m.device == inside.device).find_map(|mount| on_host(&mount, root))
}

/// Where a directory of a file system appears below one of its mounts on the host.
fn on_host(mount: &Mount, directory: &[u8]) -> Option<PathBuf> {
    let below = directory.strip_prefix(mount.root.as_slice()).filter(|below| {
        // A prefix of names, not of letters.
        mount.root == b"/" || below.is_empty() || below.first() == Some(&b'/')
    })?;
    let below = below.strip_prefix(b"/").unwrap_or(below);
    Some(Path::new(OsStr::from_bytes(&mount.point)).join(OsStr::from_bytes(below)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let text = br#"{"ID":"abc","Name":"/web\n1","Config":{"Image":"nginx:1.22"}}"#;
        let record = parse("abc", text).unwrap();
        assert_eq!(record.name.as_deref(), Some(r"web\x0a1"));
        assert_eq!(record.image.as_deref(), Some("nginx:1.22"));
        assert_eq!(parse("abd", text), None, "the record of another container");
        assert_eq!(parse("abc", b"{"), None);
        assert_eq!(parse("abc", br#"{"ID":"abc"}"#), Some(Record { name: None, image: None }));
    }

    #[test]
    fn places() {
        let mount = |root: &str, point: &str| Mount {
            device: b"8:1".to_vec(),
            root: root.into(),
            point: point.into(),
        };
        let path = |m: &Mount| on_host(m, b"/lib/docker/containers/abc");
        assert_eq!(path(&mount("/", "/var")).unwrap(), Path::new("/var/lib/docker/containers/abc"));
        assert_eq!(path(&mount("/lib/docker", "/d")).unwrap(), Path::new("/d/containers/abc"));
        assert_eq!(path(&mount("/lib/doc", "/d")), None);
        assert_eq!(path(&mount("/other", "/d")), None);
    }
}
