//! The files of Kubernetes with containerd, of `ctr` and of nerdctl.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use super::{Enquiry, Source, Stdio, descriptors, nowhere, stdio};
use crate::logs::{Format, Result};

/// Where the kubelet keeps a link for each container: `POD_NAMESPACE_NAME-ID.log`.
const LINKS: &str = "/var/log/containers";
/// nerdctl's data: a directory for each daemon, in it one for each container.
const NERDCTL: &str = "/var/lib/nerdctl";
/// More names than this are not looked through.
const MAX_NAMES: usize = 64 * 1024;

impl Enquiry<'_> {
    pub(super) fn pod(&self) -> Result<Stdio> {
        if let Some(found) = self.kubelets_link().or_else(|| self.pods_directory()) {
            return Ok(found);
        }
        if self.container.kind == portolan_scan::cgroup::Kind::Sandbox {
            return Ok(nowhere(
                "it is the sandbox of a pod, which says nothing",
                "the runtime made it for the pod",
            ));
        }
        let why = match &self.output.directory {
            None => "the bundle of its pod names no directory of logs: whoever made it asked for none",
            Some(_) => "its pod's directory of logs has no file of it",
        };
        Ok(nowhere(why, "neither the kubelet's links nor the pod's directory have it"))
    }

    /// The kubelet's link: it has the container's whole id, and is root's in a directory of root's.
    pub(super) fn kubelets_link(&self) -> Option<Stdio> {
        let end = format!("-{}.log", self.container.id);
        let directory = self.output.reach(Path::new(LINKS));
        let name = names(&directory).find(|name| name.to_string_lossy().ends_with(&end))?;
        let target = std::fs::read_link(directory.join(&name)).ok().filter(|target| is_plain(target))?;
        let says = format!("the kubelet's link in {LINKS} leads there");
        Some(stdio(Source::File(self.file(target, Format::Cri)), says))
    }

    /// The directory of the container in that of its pod: a file for each start, by its number; the last one is this.
    pub(super) fn pods_directory(&self) -> Option<Stdio> {
        let name = self.container.name.as_deref().filter(|name| is_plain(&Path::new("/").join(name)))?;
        let own = self.output.directory.as_deref()?.join(name);
        let number = |name: &OsStr| name.to_str()?.strip_suffix(".log")?.parse::<u32>().ok();
        let last = names(&self.output.reach(&own)).filter_map(|name| number(&name)).max()?;
        let says = "the bundle of its pod's sandbox names that directory of logs".to_owned();
        Some(stdio(Source::File(self.file(own.join(format!("{last}.log")), Format::Cri)), says))
    }

    pub(super) fn containerd(&self) -> Result<Stdio> {
        if let Some(path) = self.nerdctls() {
            let says = "nerdctl keeps it there".to_owned();
            return Ok(stdio(Source::File(self.file(path, Format::JsonFile)), says));
        }
        // A shim of one container has its log open, if `--log-uri` named a file.
        let Some(monitor) = self.monitor()? else { return self.own() };
        let found = descriptors::host_files(&monitor)?;
        Ok(match found.as_slice() {
            [file] => {
                let says = format!("its shim, pid {}, has that file open", monitor.pid());
                stdio(Source::File(self.file(file.clone(), Format::Raw)), says)
            }
            _ => nowhere(
                "containerd hands the output to whoever started the container, and keeps nothing unless `--log-uri` \
                 names a file",
                &format!("its shim, pid {}, has no file open", monitor.pid()),
            ),
        })
    }

    fn nerdctls(&self) -> Option<PathBuf> {
        let id = self.container.id.as_str();
        let root = Path::new(NERDCTL);
        for daemon in names(&self.output.reach(root)) {
            let containers = root.join(daemon).join("containers");
            for namespace in names(&self.output.reach(&containers)) {
                let path = containers.join(namespace).join(id).join(format!("{id}-json.log"));
                if is_plain(&path) && self.output.reach(&path).is_file() {
                    return Some(path);
                }
            }
        }
        None
    }
}

fn names(directory: &Path) -> impl Iterator<Item = std::ffi::OsString> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().take(MAX_NAMES).flatten();
    entries.map(|entry| entry.file_name())
}

/// Absolute, and without dots.
fn is_plain(path: &Path) -> bool {
    path.is_absolute() && path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)))
}
