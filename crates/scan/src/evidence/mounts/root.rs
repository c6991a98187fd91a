//! What a container's root file system says: its type, where it lies, and the layers that it is made of.
//!
//! The ids in it are of layers, not of containers. Where nothing better is known it tells the runtime, and for
//! systems whose root is a plain directory the name.

use super::{Marks, Mount};
use crate::cgroup::Runtime;
use crate::evidence::label;

/// Reads the mount at `/`. A host can have an overlay for its root as well (live systems): this is for processes
/// that are not in its mount namespace.
pub(super) fn read(marks: &mut Marks, mount: &Mount<'_>) {
    if mount.kind == b"overlay" || mount.kind.starts_with(b"fuse") {
        layers(marks, mount.options);
    }
    directory(marks, &mount.root);
}

fn layers(marks: &mut Marks, options: &[u8]) {
    for option in options.split(|b| *b == b',') {
        let Some(at) = option.iter().position(|b| *b == b'=') else { continue };
        let (name, value) = (option.get(..at).unwrap_or_default(), option.get(at..).unwrap_or_default());
        let value = value.get(1..).unwrap_or_default();
        if !matches!(name, b"upperdir" | b"lowerdir") {
            continue;
        }
        // The layers of one engine lie together: the first is enough.
        let first = value.split(|b| *b == b':').next().unwrap_or_default();
        let has = |part: &[u8]| first.windows(part.len()).any(|w| w == part);
        if has(b"/overlay2/") {
            marks.say(Runtime::Docker, "layers of Docker in its root");
        } else if has(b"/io.containerd.snapshotter.v1.") {
            marks.say(Runtime::Containerd, "layers of a snapshotter of containerd in its root");
        } else if has(b"/storage/overlay/") {
            marks.say(Runtime::Podman, "layers of a containers' storage in its root");
        } else if has(b"/buildkit/") {
            marks.say(Runtime::BuildKit, "layers of BuildKit in its root");
        } else if has(b"/apptainer/mnt/session") || has(b"/singularity/mnt/session") {
            marks.say(Runtime::Apptainer, "layers of Apptainer in its root");
        } else if name == b"upperdir" {
            directory(marks, first);
        }
    }
}

/// A root that is a directory of the host: of LXC, of systemd-nspawn.
fn directory(marks: &mut Marks, root: &[u8]) {
    let elements: Vec<&[u8]> = root.split(|b| *b == b'/').filter(|e| !e.is_empty()).take(64).collect();
    let (runtime, name, by) = match elements.as_slice() {
        [.., b"storage-pools", _, b"containers", name, b"rootfs"] => {
            (Runtime::Lxc, name, "a root in a storage pool of LXD or Incus")
        }
        [.., b"lxc" | b"containers", name, b"rootfs"] => {
            (Runtime::Lxc, name, "a root in a directory of containers of LXC")
        }
        [.., b"lib", b"machines", name] | [b"machines", name] => {
            (Runtime::SystemdNspawn, name, "a root in systemd's directory of machines")
        }
        _ => return,
    };
    if marks.runtime.is_some_and(|known| known != runtime) {
        return;
    }
    if let Some(name) = label::name(name) {
        marks.say(runtime, by);
        marks.name.get_or_insert(name);
    }
}
