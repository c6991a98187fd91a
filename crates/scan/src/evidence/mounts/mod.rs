//! What is mounted in a container tells who made it: engines mount files of their own directories over
//! `/etc/hostname` and its like, and the directory has the id in it.
//!
//! The text is `/proc/PID/mountinfo` of a process that is not in the host's mount namespace. The root field is
//! relative to its file system, so only the end of it is compared. All of it can be forged from a user namespace
//! that mounts what its user sees: it is asked last, and cannot contradict anything.

mod root;

pub(crate) use portolan_linux::mount_info::{Mount, parse};

use portolan_linux::error::Escaped;

use super::{Evidence, Trust, label, pod};
use crate::cgroup::names::is_id;
use crate::cgroup::{Kind, Runtime, classify};
use crate::container::Pod;

/// More mounts than this are not looked at; a container has dozens.
const MAX_MOUNTS: usize = 4096;

/// What the mounts say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    runtime: Option<Runtime>,
    id: Option<String>,
    sandbox: Option<String>,
    pod: Option<String>,
    /// The container's name in its pod, or the machine's.
    name: Option<String>,
    kind: Option<Kind>,
    /// What decided, for the sentence.
    by: Option<&'static str>,
    /// Directories of cgroup file systems that are mounted, as lines of `/proc/PID/cgroup`: when the host reads
    /// them, they are the container's own cgroup. Empty when none is below the root.
    cgroup: Vec<u8>,
}

/// Reads the mounts of a process; nothing when no mark is among them.
pub(crate) fn marks(text: &[u8]) -> Option<Marks> {
    let mut marks = Marks::default();
    let mut storage = Storage::default();
    let mut root = None;
    for mount in parse(text).take(MAX_MOUNTS) {
        match &*mount.point {
            // Of several mounts on one point the last is seen.
            b"/" => root = Some(mount),
            b"/etc/hostname" | b"/etc/hosts" | b"/etc/resolv.conf" => {
                marks.engine(&mount.root);
                marks.kubelet(&mount.root);
                storage.see(&mount);
            }
            b"/run/.containerenv" => storage.see(&mount),
            b"/run/host/incoming" => marks.nspawn(&mount.root),
            b"/app" => marks.flatpak(&mount.root),
            b"/var/lib/snapd/hostfs" => marks.say(Runtime::Snap, "snapd's view of the host"),
            point if point.starts_with(b"/sys/fs/cgroup") => marks.cgroup(&mount),
            _ => marks.kubelet(&mount.root),
        }
    }
    storage.conclude(&mut marks);
    if let Some(mount) = root {
        root::read(&mut marks, &mount);
    }
    (marks != Marks::default()).then_some(marks)
}

impl Marks {
    /// The evidence; a mounted cgroup is asked when nothing else tells.
    pub(crate) fn evidence(self) -> Option<Evidence> {
        let Some(by) = self.by else { return self.of_cgroup() };
        let says = match (&self.id, &self.sandbox) {
            (None, None) => format!("its mounts look like it: {by}"),
            _ => format!("its mounts name it: {by}"),
        };
        Some(Evidence {
            id: self.id,
            sandbox: self.sandbox,
            name: self.name,
            kind: self.kind,
            pod: self.pod.map(|uid| Pod { uid, ..Pod::default() }),
            ..Evidence::new(Trust::Mounts, self.runtime.unwrap_or(Runtime::Unknown), says)
        })
    }

    fn of_cgroup(&self) -> Option<Evidence> {
        let cgroup = classify(&self.cgroup);
        if cgroup.runtime == Runtime::Unknown || !cgroup.is_container() {
            return None;
        }
        let path = Escaped(&cgroup.path);
        let says = format!("the cgroup {path} is mounted in it and says so: {}", cgroup.rule);
        Some(Evidence {
            kind: Some(cgroup.kind),
            id: cgroup.container_id,
            name: cgroup.name,
            pod: cgroup.pod_uid.map(|uid| Pod { uid, ..Pod::default() }),
            ..Evidence::new(Trust::Mounts, cgroup.runtime, says)
        })
    }

    fn say(&mut self, runtime: Runtime, by: &'static str) {
        self.runtime.get_or_insert(runtime);
        self.by.get_or_insert(by);
    }

    /// Docker, nerdctl and containerd for Kubernetes, from the file over `/etc/hostname`, `hosts` or `resolv.conf`.
    fn engine(&mut self, root: &[u8]) {
        let mut elements = root.rsplit(|b| *b == b'/').skip(1);
        let (Some(id), Some(parent)) = (elements.next(), elements.next()) else { return };
        let (above, further) = (elements.next().unwrap_or_default(), elements.next().unwrap_or_default());
        if !is_id(id) {
            return;
        }
        let id = label::name(id);
        match (parent, above, further) {
            (b"containers", ..) => {
                self.say(Runtime::Docker, "a file of Docker's directory of containers");
                self.id = self.id.take().or(id);
            }
            (b"sandboxes", ..) => {
                self.say(Runtime::CriContainerd, "a file of containerd's directory of sandboxes");
                self.sandbox = self.sandbox.take().or(id);
            }
            (_, b"containers", _) | (_, b"etchosts", _) if !above.is_empty() => {
                self.say(Runtime::Containerd, "a file of nerdctl's directory of containers");
                self.id = self.id.take().or(id);
            }
            _ => {}
        }
    }

    /// The kubelet's directory of a pod: `pods/UID/etc-hosts`, `pods/UID/volumes/...`,
    /// `pods/UID/containers/NAME/FILE`.
    fn kubelet(&mut self, root: &[u8]) {
        let elements: Vec<&[u8]> = root.split(|b| *b == b'/').take(64).collect();
        for place in elements.windows(3) {
            let [b"pods", uid, what] = place else { continue };
            let known =
                matches!(*what, b"etc-hosts" | b"volumes" | b"volume-subpaths" | b"containers" | b"plugins");
            let Some(uid) = pod::uid(uid).filter(|_| known) else { continue };
            self.pod.get_or_insert(uid);
            self.say(Runtime::Kubernetes, "a file of the kubelet's directory of its pod");
            if *what == b"containers"
                && let [.., b"containers", name, _] = elements.as_slice()
            {
                self.name = self.name.take().or_else(|| label::name(name));
            }
            return;
        }
    }

    /// `.../systemd/nspawn/propagate/NAME`, which every machine has.
    fn nspawn(&mut self, root: &[u8]) {
        let mut elements = root.rsplit(|b| *b == b'/');
        if let (Some(name), Some(b"propagate"), Some(b"nspawn")) =
            (elements.next(), elements.next(), elements.next())
            && let Some(name) = label::name(name)
        {
            self.say(Runtime::SystemdNspawn, "systemd-nspawn's directory for it");
            self.id.get_or_insert_with(|| name.clone());
            self.name.get_or_insert(name);
        }
    }

    /// `.../flatpak/app/ID/...` or, installed by a user, the same below their home.
    fn flatpak(&mut self, root: &[u8]) {
        let mut elements = root.split(|b| *b == b'/').skip_while(|e| *e != b"flatpak").skip(1);
        if let (Some(b"app"), Some(id)) = (elements.next(), elements.next()) {
            self.say(Runtime::Flatpak, "the application's directory of Flatpak");
            self.name = label::name(id);
            self.kind = Some(Kind::SandboxedProcess);
        }
    }

    /// The root of a cgroup mount. Rootless engines mount the host's whole tree, and a container that reads its own
    /// sees `/`: neither says anything.
    fn cgroup(&mut self, mount: &Mount<'_>) {
        const MAX: usize = 64 * 1024;
        let below = mount.root.len() > 1 && mount.root.starts_with(b"/") && !mount.root.contains(&b'\n');
        if !matches!(mount.kind, b"cgroup" | b"cgroup2") || !below || self.cgroup.len() > MAX {
            return;
        }
        self.cgroup.extend_from_slice(b"0::");
        self.cgroup.extend_from_slice(&mount.root);
        self.cgroup.push(b'\n');
    }
}

/// Files of containers/storage, which Podman and CRI-O share: `<driver>-containers/ID/userdata/FILE`.
#[derive(Debug, Default)]
struct Storage {
    /// From `/run/.containerenv`, which Podman makes for each container.
    own: Option<String>,
    /// From `/etc/hostname` and others, which a pod's containers share with its first.
    shared: Option<String>,
}

impl Storage {
    fn see(&mut self, mount: &Mount<'_>) {
        let mut elements = mount.root.rsplit(|b| *b == b'/').skip(1);
        if let (Some(b"userdata"), Some(id), Some(store)) =
            (elements.next(), elements.next(), elements.next())
            && is_id(id)
            && store.ends_with(b"-containers")
        {
            let own = *mount.point == *b"/run/.containerenv";
            let place = if own { &mut self.own } else { &mut self.shared };
            *place = place.take().or_else(|| label::name(id));
        }
    }

    fn conclude(self, marks: &mut Marks) {
        let by = "a file of a containers' storage";
        if marks.pod.is_some() {
            // Where the kubelet is, it is CRI-O, and the files are the sandbox's.
            if let Some(id) = self.shared.or(self.own) {
                marks.runtime = Some(Runtime::CriO);
                marks.by = Some(by);
                marks.sandbox = Some(id);
            }
        } else if let Some(id) = self.own {
            marks.say(Runtime::Podman, by);
            marks.id = marks.id.take().or(Some(id));
        } else if self.shared.is_some() {
            // It may be the id of the pod's first container.
            marks.say(Runtime::Podman, by);
        }
    }
}

#[cfg(test)]
mod tests;
