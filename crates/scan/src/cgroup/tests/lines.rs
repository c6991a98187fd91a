//! Readers in namespaces of their own, and files whose lines differ.

use super::{check, fill};
use crate::cgroup::classify;

#[test]
fn readers_in_a_container_of_their_own() {
    check(&[
        ("/../{A}", "unknown container {A} - -"),
        ("/../../docker/{A}", "docker container {A} - -"),
        ("/../../pod{uid}/{A}", "kubernetes container {A} {uid} -"),
        ("/../../../burstable/pod{task}/{A}", "kubernetes container {A} {task} -"),
        ("/../crio-{A}.scope", "cri-o container {A} - -"),
        ("../../libpod-{A}.scope", "podman container {A} - -"),
        ("/../..", "host host - - -"),
        ("/../../init.scope", "host host - - -"),
        ("/../../kube.slice/containerd.service", "host lookalike - - -"),
        ("/../kata_{A}", "kata sandbox {A} - -"),
        ("/../{uid}", "unknown container {uid} - -"),
        ("/../{task}-12", "ecs container {task}-12 - -"),
        ("/../lxc.payload.web/init.scope", "lxc container web - web"),
        ("/../../../../system.slice/docker-{A}.scope", "docker container {A} - -"),
        ("/", "none container - - -"),
    ]);
}

#[test]
fn the_most_specific_line_wins() {
    check(&[
        ("2:cpu:/docker/{A}\n1:name=systemd:/\n0::/system.slice/docker.service", "docker container {A} - -"),
        (
            "2:cpu:/kubepods/pod{uid}/{A}\n0::/system.slice/docker-{B}.scope",
            "kubernetes container {A} {uid} -",
        ),
        (
            "2:cpu:/kubepods/pod{uid}/{A}\n0::/docker/{B}/system.slice/containerd.service",
            "kubernetes container {A} {uid} -",
        ),
        ("11:perf_event:\nnonsense\n2:cpu\n3:pids:/docker/{A}", "docker container {A} - -"),
        ("1:name=systemd:/mesos_executors.slice\n2:memory:/mesos/{uid}\n0::/", "mesos container {uid} - -"),
        // One controller alone somewhere else is the doing of whoever started the container manager.
        ("3:memory:/vendor/{task}\n2:cpu:/\n1:name=systemd:/", "none container - - -"),
        ("3:memory:/vendor/{task}/box\n2:cpu:/box\n0::/box", "unknown container box - -"),
        ("3:memory:/../../vendor/{task}\n2:cpu:/../..\n0::/../..", "host host - - -"),
        ("2:cpu:/libpod_parent/conmon\n0::/", "host monitor - - -"),
    ]);
}

#[test]
fn damaged_captures_are_read_as_far_as_they_go() {
    check(&[
        ("2:cpu:/docker/{A}\r\n0::/\r\n", "docker container {A} - -"),
        ("  3:cpu:/docker/{A}   \n\t2:cpu:/\n", "docker container {A} - -"),
        ("0::kubelet/kubepods/burstable/pod{uid}/{A}\n", "kubernetes container {A} {uid} -"),
        ("0::docker/{A}\n", "docker container {A} - -"),
        // Without its front a path is no ground for a guess.
        ("0::nonsense\n", "none container - - -"),
        ("0::some/where\n", "none container - - -"),
        ("0::system.slice/x.service\n", "none container - - -"),
        ("x:y:docker/{A}\n", "none container - - -"),
        // The last line is cut in the middle of the id.
        ("3:cpu:/docker/{A}\n2:memory:/docker/a0b1", "docker container {A} - -"),
        ("3:cpu:/docker/{A}\n2:memory", "docker container {A} - -"),
    ]);
}

#[test]
fn the_deciding_path_is_kept_as_printed() {
    let text = fill("2:cpu:/docker/{A} (deleted)\n0::/");
    let found = classify(text.as_bytes());
    assert_eq!(found.path, fill("/docker/{A} (deleted)").as_bytes());
    assert!(found.is_container());
    assert!(!found.rule.is_empty());
    assert!(!classify(b"0::/\n").is_container());
    assert!(!classify(b"0::/lxc.monitor.web\n").is_container());
}
