use super::*;

const UID: &str = "1c9f4a5e-0000-4000-8000-123456789abc";

fn id(c: &str) -> String {
    c.repeat(64)
}

/// Lines of `root point type options`.
fn text(lines: &[&str]) -> Vec<u8> {
    let mut text = String::from("1 0 0:2 / /proc rw - proc proc rw\n");
    for line in lines {
        let [root, point, kind, options] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        text += &format!("2 1 254:0 {root} {point} rw,relatime master:1 - {kind} /dev/x {options}\n");
    }
    text.into_bytes()
}

fn said(lines: &[&str]) -> Option<Evidence> {
    marks(&text(lines)).and_then(Marks::evidence)
}

#[test]
fn docker() {
    let a = id("a");
    for root in ["/var/lib/docker/containers", "/docker/containers", "/containers"] {
        let found = said(&[&format!("{root}/{a}/hostname /etc/hostname ext4 rw")]).unwrap();
        assert_eq!((found.runtime, found.id.as_deref()), (Runtime::Docker, Some(a.as_str())), "{root}");
        assert_eq!(found.trust, Trust::Mounts);
    }
    let layers = "/ / overlay rw,lowerdir=/d/overlay2/l/A:/d/overlay2/l/B,upperdir=/d/overlay2/c/diff";
    let found = said(&[layers]).unwrap();
    assert_eq!((found.runtime, found.id), (Runtime::Docker, None));
    let nerdctl =
        said(&[&format!("/var/lib/nerdctl/1935db59/containers/default/{a}/hostname /etc/hostname ext4 rw")]);
    let nerdctl = nerdctl.unwrap();
    assert_eq!((nerdctl.runtime, nerdctl.id), (Runtime::Containerd, Some(a)));
}

#[test]
fn kubernetes_with_containerd() {
    let found = said(&[
        &format!("/c/io.containerd.grpc.v1.cri/sandboxes/{}/hostname /etc/hostname ext4 rw", id("5")),
        &format!("/var/lib/kubelet/pods/{UID}/etc-hosts /etc/hosts ext4 rw"),
        &format!("/kubelet/pods/{UID}/containers/app/0a1b2c3d /dev/termination-log ext4 rw"),
        "/ / overlay rw,upperdir=/c/io.containerd.snapshotter.v1.overlayfs/snapshots/3/fs",
    ])
    .unwrap();
    assert_eq!((found.runtime, found.id), (Runtime::CriContainerd, None));
    assert_eq!(found.sandbox, Some(id("5")));
    assert_eq!((found.pod.unwrap().uid.as_str(), found.name.as_deref()), (UID, Some("app")));
    // On the host's network, and without a host name: the pod's volumes remain.
    let volume = format!("/var/lib/kubelet/pods/{UID}/volumes/kubernetes.io~projected/t /var/run/s tmpfs rw");
    let found = said(&[&volume]).unwrap();
    assert_eq!((found.runtime, found.pod.unwrap().uid.as_str()), (Runtime::Kubernetes, UID));
}

#[test]
fn containers_storage() {
    let file = |id: &str, name: &str, point: &str| {
        format!("/run/containers/storage/overlay-containers/{id}/userdata/{name} {point} tmpfs rw")
    };
    let own = file(&id("6"), ".containerenv", "/run/.containerenv");
    let shared = file(&id("7"), "hosts", "/etc/hosts");
    // In a pod of Podman the hosts file is that of the pod's first container.
    let found = said(&[&shared, &own]).unwrap();
    assert_eq!((found.runtime, found.id), (Runtime::Podman, Some(id("6"))));
    let found = said(&[&shared]).unwrap();
    assert_eq!((found.runtime, found.id), (Runtime::Podman, None));
    let crio = said(&[&shared, &format!("/kubelet/pods/{UID}/etc-hosts /etc/hosts ext4 rw")]).unwrap();
    assert_eq!((crio.runtime, crio.id, crio.sandbox), (Runtime::CriO, None, Some(id("7"))));
}

#[test]
fn machines_and_applications() {
    let found = said(&["/systemd/nspawn/propagate/web.lan /run/host/incoming tmpfs rw"]).unwrap();
    assert_eq!((found.runtime, found.id.as_deref()), (Runtime::SystemdNspawn, Some("web.lan")));
    for (root, runtime, name) in [
        ("/var/lib/machines/web", Runtime::SystemdNspawn, "web"),
        ("/var/lib/lxc/web/rootfs", Runtime::Lxc, "web"),
        ("/storage-pools/default/containers/p_web/rootfs", Runtime::Lxc, "p_web"),
    ] {
        let found = said(&[&format!("{root} / ext4 rw")]).unwrap();
        assert_eq!((found.runtime, found.name.as_deref()), (runtime, Some(name)));
    }
    let found = said(&["/var/lib/flatpak/app/org.x.Y/x86_64/stable/1/files /app ext4 ro"]).unwrap();
    assert_eq!((found.runtime, found.name.as_deref()), (Runtime::Flatpak, Some("org.x.Y")));
    let layers = "/ / overlay ro,lowerdir=/var/lib/apptainer/mnt/session/overlay-lowerdir:/x";
    assert_eq!(said(&[layers]).unwrap().runtime, Runtime::Apptainer);
}

#[test]
fn the_cgroup_as_the_host_sees_it() {
    let a = id("a");
    let found = marks(&text(&[
        &format!("/docker/{a} /sys/fs/cgroup cgroup2 rw"),
        &format!("/other/{a} /sys/fs/cgroup/x tmpfs rw"),
    ]));
    let found = found.unwrap();
    assert_eq!(found.cgroup, format!("0::/docker/{a}\n").as_bytes());
    let evidence = found.evidence().unwrap();
    assert_eq!((evidence.runtime, evidence.id, evidence.trust), (Runtime::Docker, Some(a), Trust::Mounts));
    let guess = marks(&text(&["/process/x /sys/fs/cgroup cgroup2 rw"])).unwrap();
    assert_eq!(guess.evidence(), None, "any directory of cgroups can be mounted");
    assert_eq!(marks(&text(&["/ /sys/fs/cgroup cgroup2 rw"])), None);
    assert_eq!(marks(&text(&["/../x /sys/fs/cgroup ext4 rw"])), None);
}

#[test]
fn what_says_nothing() {
    for line in [
        "/ / ext4 rw".to_owned(),
        "/ / overlay rw,lowerdir=1/fs:2/fs,upperdir=".to_owned(),
        "/ / overlay rw,upperdir".to_owned(),
        format!("/docker/containers/{}/hostname /etc/hostname ext4 rw", "a".repeat(63)),
        format!("/{}/hostname /etc/hostname ext4 rw", id("a")),
        format!("/docker/containers/{}/hostname /mnt ext4 rw", id("a")),
        "/x/pods/not-a-uid/etc-hosts /etc/hosts ext4 rw".to_owned(),
        format!("/x/pods/{UID}/else /etc/hosts ext4 rw"),
        "/nspawn/propagate/ /run/host/incoming tmpfs rw".to_owned(),
    ] {
        assert_eq!(said(&[&line]), None, "{line}");
    }
    for broken in [&b""[..], b"\n\n", b"1 2 3", &[0xff; 4096], b"2 1 0:1 / / rw - overlay", b"- - - - - -"] {
        assert_eq!(marks(broken), None);
    }
}

#[test]
fn names_are_escaped_and_lines_may_be_cut() {
    let found = said(&[r"/systemd/nspawn/propagate/a\012b /run/host/incoming tmpfs rw"]).unwrap();
    assert_eq!(found.name.as_deref(), Some(r"a\x0ab"));
    let whole = text(&[&format!("/docker/containers/{}/hostname /etc/hostname ext4 rw", id("a"))]);
    for end in 0..whole.len() {
        let _ = marks(&whole[..end]);
    }
}
