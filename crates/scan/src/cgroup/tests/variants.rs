//! Every form of a container's path in every surrounding it may be found in: the answer is the same.

use super::{A, B, UID, fill, summary};
use crate::cgroup::classify;

/// One path of each runtime, and what it says.
const FORMS: &[(&str, &str)] = &[
    ("/docker/{A}", "docker container {A} - -"),
    ("/system.slice/docker-{A}.scope", "docker container {A} - -"),
    ("/docker/buildkit/{step}", "buildkit container {step} - -"),
    ("/default/web", "containerd container web - -"),
    ("/system.slice/nerdctl-{A}.scope", "containerd container {A} - -"),
    ("/kubepods/burstable/pod{uid}/{A}", "kubernetes container {A} {uid} -"),
    ("/kubepods/pod{task}/{A}", "kubernetes container {A} {task} -"),
    (
        "/kubepods.slice/kubepods-pod{u_d}.slice/cri-containerd-{A}.scope",
        "cri-containerd container {A} {uid} -",
    ),
    ("/podruntime.slice/kubepods-pod{u_d}.slice:cri-containerd:{A}", "cri-containerd container {A} {uid} -"),
    ("/kubepods/pod{uid}/crio-{A}", "cri-o container {A} {uid} -"),
    ("/kubepods/pod{uid}/kata_{A}", "kata sandbox {A} {uid} -"),
    ("/kata_overhead/{A}", "kata sandbox {A} - -"),
    ("/libpod_parent/libpod-{A}", "podman container {A} - -"),
    ("/machine.slice/libpod-{A}.scope", "podman container {A} - -"),
    ("/system.slice/web.service/libpod-payload-{A}", "podman container {A} - -"),
    ("/lxc.payload.web", "lxc container web - web"),
    ("/lxc/101", "lxc container 101 - 101"),
    (r"/machine.slice/machine-lxc\x2d1\x2dweb.scope", "libvirt-lxc container web - web"),
    (r"/machine.slice/machine-my\x2dbox.scope", "systemd-nspawn container my-box - my-box"),
    ("/machine.slice/systemd-nspawn@box.service", "systemd-nspawn container box - box"),
    ("/garden/good/{uid}", "garden container {uid} - -"),
    ("/ecs/{task}/{A}", "ecs container {A} - -"),
    ("/ecs/{task}/{task}-77", "ecs container {task}-77 - -"),
    ("/ecstasks.slice/ecstasks-{task}.slice/docker-{A}.scope", "ecs container {A} - -"),
    ("/nomad.slice/share.slice/{uid}.web.scope", "nomad container {uid} - web"),
    ("/mesos/{uid}", "mesos container {uid} - -"),
    ("/apptainer/4711", "apptainer container 4711 - -"),
];

/// What containers and their runtimes add below, by rule never a container of its own.
const BELOW: &[&str] = &[
    "",
    "/container",
    "/init",
    "/init.scope",
    "/leaf",
    "/kube-proxy",
    "/.lxc",
    "/libvirt",
    "/syscont-cgroup-root",
    "/syscont-cgroup-root/init.scope",
    "/system.slice/cron.service",
    "/user.slice/user-1000.slice/session-2.scope",
    "/user.slice/user-1000.slice/user@1000.service/init.scope",
    "/system.slice/docker.service",
    "/system.slice/var-lib-x.mount",
];

/// Systems that hold others: what is around is not the answer.
const AROUND: &[&str] = &[
    "",
    "/docker/{B}",
    "/system.slice/docker-{B}.scope",
    "/payload",
    "/machine.slice/machine-outer.scope/payload",
    "/lxc.payload.outer",
    "/lxc/outer",
    "/wsl-user/distro-7",
    "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{B}.scope",
    "/..",
    "/../../..",
];

fn same(text: &str, expected: &str) {
    let text = fill(text);
    assert_eq!(summary(&classify(text.as_bytes())), fill(expected), "{text}");
}

#[test]
fn what_is_below_a_container_does_not_matter() {
    for (form, expected) in FORMS {
        for below in BELOW {
            // An application of rkt or a unit of a machine is not asked for here.
            same(&format!("0::{form}{below}\n"), expected);
        }
        if !form.contains(".service") && !form.contains("machine-") {
            same(&format!("0::{form}/payload\n"), expected);
        }
    }
}

#[test]
fn what_is_around_a_container_does_not_matter() {
    for (form, expected) in FORMS {
        for around in AROUND {
            same(&format!("0::{around}{form}\n"), expected);
            same(&format!("0::{around}{form}/init.scope\n"), expected);
        }
    }
}

#[test]
fn a_container_inside_a_pod_keeps_the_pod() {
    let pod = format!("/kubepods/burstable/pod{UID}/{B}");
    for (form, expected) in [
        ("/docker/{A}", "docker container {A} {uid} -"),
        ("/docker/{A}/init.scope", "docker container {A} {uid} -"),
        ("/system.slice/docker-{A}.scope", "docker container {A} {uid} -"),
        ("/kubepods/pod{task}/{A}", "kubernetes container {A} {task} -"),
        ("/machine.slice/libpod-{A}.scope/container", "podman container {A} {uid} -"),
    ] {
        same(&format!("0::{pod}{form}\n"), expected);
    }
}

const CONTROLLERS: &[&str] =
    &["cpuset", "cpu,cpuacct", "blkio", "memory", "devices", "freezer", "net_cls,net_prio", "pids", ""];

/// A v1 file with the path on all lines, or only on those that `has` picks.
fn v1(path: &str, has: impl Fn(&str) -> bool) -> String {
    let lines = CONTROLLERS.iter().enumerate().map(|(n, name)| {
        let path = if has(name) { path } else { "/" };
        format!("{}:{name}:{path}\n", n + 2)
    });
    let named = if has("name=systemd") { path } else { "/" };
    lines.chain([format!("1:name=systemd:{named}\n")]).collect()
}

#[test]
fn the_container_is_found_on_whatever_line_it_is() {
    for (form, expected) in FORMS {
        let everywhere = v1(form, |_| true);
        same(&everywhere, expected);
        same(everywhere.trim_end(), expected);
        same(&everywhere.replace('\n', "\r\n"), expected);
        for daemon in ["containerd", "docker", "k3s", "snap.docker.dockerd", "garden"] {
            same(&format!("{everywhere}0::/system.slice/{daemon}.service\n"), expected);
        }
        for name in CONTROLLERS.iter().chain(&["name=systemd"]) {
            same(&format!("{}0::/\n", v1(form, |n| n == *name)), expected);
        }
        same(&format!("{}0::{form}\n", v1("/", |_| true)), expected);
        let hybrid = format!("{}0::/user.slice/user-0.slice/session-1.scope\n", v1(form, |n| n != "pids"));
        same(&hybrid, expected);
        let reversed: Vec<&str> = hybrid.lines().rev().collect();
        same(&reversed.join("\n"), expected);
        same(&format!("11:perf_event:\n5\n\nrubbish\n7:cpu\n:::\n{hybrid}\n12:x"), expected);
        same(&format!("0::{form} (deleted)\n"), expected);
    }
}

#[test]
fn the_inner_container_wins_over_the_outer_on_any_line() {
    let outer = format!("/docker/{B}");
    for (form, expected) in FORMS {
        let outside = v1(&outer, |_| true);
        same(&format!("{outside}0::{outer}{form}\n"), expected);
        let inside = v1(&format!("{outer}{form}"), |_| true);
        same(&format!("{inside}0::{outer}/system.slice/containerd.service\n"), expected);
        same(&format!("0::{outer}\n{inside}"), expected);
    }
}

#[test]
fn both_drivers_name_the_same_pod() {
    for quality in ["", "burstable", "besteffort"] {
        let (dir, slice) = match quality {
            "" => (String::new(), String::new()),
            quality => (format!("{quality}/"), format!("-{quality}")),
        };
        for root in ["", "/kubelet", "/a/b"] {
            same(&format!("0::{root}/kubepods/{dir}pod{{uid}}/{{A}}\n"), "kubernetes container {A} {uid} -");
        }
        for root in ["kubepods", "kubelet-kubepods"] {
            let pod = format!("{root}{slice}-pod{{u_d}}.slice");
            for (word, runtime) in
                [("docker", "docker"), ("cri-containerd", "cri-containerd"), ("crio", "cri-o")]
            {
                let expected = format!("{runtime} container {{A}} {{uid}} -");
                same(&format!("0::/{root}.slice/{root}{slice}.slice/{pod}/{word}-{{A}}.scope\n"), &expected);
                same(&format!("0::/../../{pod}/{word}-{{A}}.scope\n"), &expected);
                same(&format!("0::/x.slice/containerd.service/{pod}:{word}:{{A}}\n"), &expected);
            }
        }
    }
    assert_ne!(A, B);
}
