//! Every rule and every look-alike, on paths made up here.

use super::{Classification, Kind, Runtime, classify};

const A: &str = "a0b1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8e9f";
const B: &str = "00ff11ee22dd33cc44bb55aa6699778800ff11ee22dd33cc44bb55aa66997788";
const UID: &str = "11111111-2222-3333-4444-555555555555";
const TASK: &str = "0123456789abcdef0123456789abcdef";
const STEP: &str = "k3v9xq0a7b2m5n8p1r4t6w0yz";

/// Puts the ids in place of their names.
fn fill(text: &str) -> String {
    text.replace("{A}", A)
        .replace("{B}", B)
        .replace("{uid}", UID)
        .replace("{u_d}", &UID.replace('-', "_"))
        .replace("{task}", TASK)
        .replace("{step}", STEP)
}

/// `runtime kind id pod name`, with `-` for what is absent.
fn summary(c: &Classification) -> String {
    let text = |field: &Option<String>| field.clone().unwrap_or_else(|| "-".to_owned());
    format!("{} {} {} {} {}", c.runtime, c.kind, text(&c.container_id), text(&c.pod_uid), text(&c.name))
}

fn check(cases: &[(&str, &str)]) {
    for (path, expected) in cases {
        let path = fill(path);
        // A case is the path of a `0::` line, or whole lines.
        let text = if path.contains("::") || path.contains('\n') { path } else { format!("0::{path}\n") };
        assert_eq!(summary(&classify(text.as_bytes())), fill(expected), "{text}");
    }
}

const USER: &str = "/user.slice/user-1000.slice/user@1000.service";

fn check_user(cases: &[(&str, &str)]) {
    for (path, expected) in cases {
        check(&[(&format!("{USER}{path}"), expected)]);
    }
}

#[test]
fn docker_and_buildkit() {
    check(&[
        ("/docker/{A}", "docker container {A} - -"),
        ("/docker/{A}/sub/cgroup", "docker container {A} - -"),
        ("/system.slice/docker-{A}.scope", "docker container {A} - -"),
        ("/my.slice/docker-{A}.scope/init.scope", "docker container {A} - -"),
        ("/docker/{A}/docker/{B}", "docker container {B} - -"),
        ("/docker/{A}/syscont-cgroup-root/init.scope", "docker container {A} - -"),
        ("/docker/{A}/system.slice/var-lib-x.mount", "docker container {A} - -"),
        ("/wsl-user/distro-7/docker/{A}", "docker container {A} - -"),
        ("/docker/buildkit/{step}", "buildkit container {step} - -"),
        ("/docker/buildkit/{A}", "buildkit container {A} - -"),
        ("/docker/{A}/buildkit/{step}", "buildkit container {step} - -"),
        ("/system.slice/docker-{step}.scope", "buildkit container {step} - -"),
        ("/system.slice:docker:{step}", "buildkit container {step} - -"),
    ]);
}

#[test]
fn pods_of_every_driver() {
    check(&[
        ("/kubepods/pod{uid}/{A}", "kubernetes container {A} {uid} -"),
        ("/kubepods/besteffort/pod{task}/{A}", "kubernetes container {A} {task} -"),
        ("/kubepods/kubepods/burstable/pod{uid}/{A}/kube-proxy", "kubernetes container {A} {uid} -"),
        ("/docker/{B}/kubelet/kubepods/pod{uid}/{A}", "kubernetes container {A} {uid} -"),
        ("/ecs/{task}/{task}-77/kubepods/pod{uid}/{A}", "kubernetes container {A} {uid} -"),
        (
            "/kubepods.slice/kubepods-pod{u_d}.slice/cri-containerd-{A}.scope",
            "cri-containerd container {A} {uid} -",
        ),
        (
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{u_d}.slice/docker-{A}.scope",
            "docker container {A} {uid} -",
        ),
        ("/kubepods-pod{u_d}.slice:cri-containerd:{A}", "cri-containerd container {A} {uid} -"),
        (
            "/x.slice/containerd.service/kubepods-burstable-pod{u_d}.slice:cri-containerd:{A}",
            "cri-containerd container {A} {uid} -",
        ),
        ("/system.slice/cri-containerd-{A}.scope", "cri-containerd container {A} - -"),
        ("/kubepods/pod{uid}/crio-{A}", "cri-o container {A} {uid} -"),
        ("/kubepods.slice/kubepods-pod{u_d}.slice/crio-{A}.scope/container", "cri-o container {A} {uid} -"),
        ("/kubepods/pod{uid}/kata_{A}", "kata sandbox {A} {uid} -"),
        ("/kata_overhead/{A}", "kata sandbox {A} - -"),
        ("/kubepods/burstable/pod{uid}", "kubernetes sandbox - {uid} -"),
        ("/kubepods/pod{uid}/{A}/docker/{B}", "docker container {B} {uid} -"),
    ]);
}

#[test]
fn podman_and_containerd() {
    check(&[
        ("/libpod_parent/libpod-{A}", "podman container {A} - -"),
        ("/libpod_parent/{B}/libpod-{A}", "podman container {A} - -"),
        ("/machine.slice/libpod-{A}.scope/container", "podman container {A} - -"),
        ("/machine.slice/machine-libpod_pod_{B}.slice/libpod-{A}.scope", "podman container {A} - -"),
        ("/system.slice/ceph-{uid}@mon.x.service/libpod-payload-{A}", "podman container {A} - -"),
        ("/system.slice/nerdctl-{A}.scope", "containerd container {A} - -"),
        ("/default/{A}", "containerd container {A} - -"),
        ("/default/my_task.1", "containerd container my_task.1 - -"),
        ("/k8s.io/probe", "containerd container probe - -"),
    ]);
    check_user(&[
        ("/user.slice/libpod-{A}.scope/container", "podman container {A} - -"),
        ("/user.slice/docker-{A}.scope", "docker container {A} - -"),
        ("/app.slice/web.service/libpod-payload-{A}", "podman container {A} - -"),
    ]);
}

#[test]
fn system_containers() {
    check(&[
        ("/lxc.payload.web/system.slice/cron.service", "lxc container web - web"),
        ("/a.grp/lxc.payload.my-box-1", "lxc container my-box-1 - my-box-1"),
        ("/lxc.payload/old", "lxc container old - old"),
        ("/lxc/101/ns/init.scope", "lxc container 101 - 101"),
        ("/lxc/{uid}", "lxc container {uid} - {uid}"),
        (
            r"/machine.slice/machine-lxc\x2d12\x2dmy\x2dbox.scope/libvirt",
            "libvirt-lxc container my-box - my-box",
        ),
        ("/machine/box.libvirt-lxc", "libvirt-lxc container box - box"),
        ("/machine/lxc-3-box.libvirt-lxc", "libvirt-lxc container box - box"),
        ("/libvirt/lxc/box", "libvirt-lxc container box - box"),
        (
            r"/machine.slice/machine-a\x2db.lan.scope/payload/init.scope",
            "systemd-nspawn container a-b.lan - a-b.lan",
        ),
        ("/machine.slice/systemd-nspawn@box-2.service", "systemd-nspawn container box-2 - box-2"),
        ("/machine.slice/systemd-nspawn@b.service/payload/x", "systemd-nspawn container b - b"),
        (
            r"/machine.slice/machine-rkt\x2d11111111\x2d2222\x2d3333\x2d4444\x2d555555555555.scope/system.slice/db.service",
            "rkt container {uid} - db",
        ),
    ]);
    check_user(&[
        ("/app.slice/lxc-my-box-0.scope/lxc.payload.my-box", "lxc container my-box - my-box"),
        ("/app.slice/lxc-my-box-0.scope", "lxc container my-box - my-box"),
        ("/app.slice/lxc-my-box-0.scope/lxc.monitor.my-box", "host monitor - - -"),
    ]);
}

#[test]
fn platforms() {
    check(&[
        ("/ecs/{task}/{A}", "ecs container {A} - -"),
        ("/ecs/blue/{uid}/{A}", "ecs container {A} - -"),
        ("/ecs/{task}/{task}-1234567890", "ecs container {task}-1234567890 - -"),
        ("/ecstasks.slice/ecstasks-{task}.slice/docker-{A}.scope", "ecs container {A} - -"),
        ("/ecs/{task}/{A}/docker/{B}", "docker container {B} - -"),
        ("/garden/01234567-89ab-cdef-0123-4567", "garden container 01234567-89ab-cdef-0123-4567 - -"),
        (
            "/garden/bad/01234567-89ab-cdef-0123-4567/init",
            "garden container 01234567-89ab-cdef-0123-4567 - -",
        ),
        ("/system.slice/garden.service/garden-2/{uid}/x", "garden container {uid} - -"),
        ("/mesos/{uid}/leaf", "mesos container {uid} - -"),
        ("/nomad.slice/share.slice/{uid}.web.scope", "nomad container {uid} - web"),
        ("/nomad/{uid}.db-1", "nomad container {uid} - db-1"),
        ("/system.slice/runit.service/bpm-nats.2ejob", "bpm container bpm-nats.2ejob - nats.job"),
        ("/system.slice/self-bpm-bpm-nats.scope", "bpm container bpm-nats - nats"),
        ("/apptainer/4711", "apptainer container 4711 - -"),
        ("/system.slice/singularity-4711.scope", "apptainer container 4711 - -"),
    ]);
}

#[test]
fn confined_applications() {
    check(&[
        ("/system.slice/snap.tool.daemon.service", "snap sandboxed-process - - tool.daemon"),
        ("/system.slice/snap.tool.cli-{uid}.scope", "snap sandboxed-process - - tool.cli"),
        (
            "/system.slice/snap.tool.hook.configure-{uid}.scope",
            "snap sandboxed-process - - tool.hook.configure",
        ),
        ("/docker/{A}/system.slice/snap.tool.daemon.service", "docker container {A} - -"),
    ]);
    check_user(&[
        ("/app.slice/app-flatpak-org.x.Y-42.scope", "flatpak sandboxed-process - - org.x.Y"),
        (r"/app.slice/app-flatpak-org.x\x2dz.Y@7.service", "flatpak sandboxed-process - - org.x-z.Y"),
        ("/apps.slice/snap.foo.bar.123-45.scope", "snap sandboxed-process - - foo.bar"),
    ]);
}

#[test]
fn unknown_runtimes() {
    check(&[
        ("/actions_job/{A}", "unknown container {A} - -"),
        ("/{A}", "unknown container {A} - -"),
        ("/hadoop-yarn/container_2/{A}", "unknown container {A} - -"),
        ("/{uid}", "unknown container {uid} - -"),
        ("/system.slice/worker.service/{uid}", "unknown container {uid} - -"),
        ("/my-box/container", "unknown container my-box - -"),
        ("/my-box (deleted)", "unknown container my-box - -"),
        ("/some/where/deep", "unknown container - - -"),
        ("/payload/system.slice/cron.service", "unknown container - - -"),
        ("/system.slice/run.service/payload", "unknown container - - -"),
        ("/system.slice/runc-box.scope", "unknown container box - -"),
    ]);
}

#[test]
fn monitors_are_not_containers() {
    check(&[
        ("/machine.slice/libpod-conmon-{A}.scope", "host monitor - - -"),
        ("/libpod_parent/conmon", "host monitor - - -"),
        ("/libpod_parent/{A}/conmon", "host monitor - - -"),
        ("/kubepods/pod{uid}/crio-conmon-{A}", "host monitor - - -"),
        ("/system.slice/web.service/runtime", "host monitor - - -"),
        ("/lxc.monitor.web", "host monitor - - -"),
        ("/lxc.monitor/web", "host monitor - - -"),
        ("/machine.slice/systemd-nspawn@b.service/supervisor", "host monitor - - -"),
        ("/supervisor", "host monitor - - -"),
        ("/system.slice/docker.service", "host monitor - - -"),
        ("/docker/{A}/lxc.monitor.inner", "docker container {A} - -"),
        ("/docker/{A}/system.slice/docker.service", "docker container {A} - -"),
    ]);
    check_user(&[
        ("/user.slice/podman-99.scope", "host monitor - - -"),
        ("/user.slice/podman-pause-0badcafe.scope", "host monitor - - -"),
    ]);
}

#[test]
fn lookalikes_and_forgeries() {
    check(&[
        ("/system.slice/{A}.service", "host lookalike - - -"),
        ("/system.slice/{A}.scope", "host lookalike - - -"),
        ("/kubepods/pod{uid}/crio-{A}.mount", "host lookalike - - -"),
        ("/system.slice/run-containerd-x-{A}-rootfs.mount", "host lookalike - - -"),
        ("/docker/{A}0", "host lookalike - - -"),
        ("/docker/0123456789ab", "host lookalike - - -"),
        ("/docker", "host lookalike - - -"),
        ("/system.slice/run-r{task}.scope", "host lookalike - - -"),
        (r"/machine.slice/machine-qemu\x2d1\x2dvm.scope/libvirt/emulator", "host lookalike - - -"),
        ("/qemu.slice/100.scope", "host lookalike - - -"),
        ("/podruntime/runtime", "host lookalike - - -"),
        ("/init", "host lookalike - - -"),
        ("/a:b", "host lookalike - - -"),
        ("/hadoop-yarn/container_2", "host lookalike - - -"),
        ("/system.slice/slurmstepd.scope/job_9/step_0", "host lookalike - - -"),
        ("/user/1000.user/c1.session", "host lookalike - - -"),
        ("/wsl-user/distro-7", "host lookalike - - -"),
        ("/gardens/01234567-89ab-cdef-0123-456", "unknown container - - -"),
        ("/user.slice/user-1000.slice/session-3.scope", "host host - - -"),
    ]);
    check_user(&[
        ("/init.scope", "host lookalike - - -"),
        ("/app.slice/vte-spawn-{uid}.scope", "host lookalike - - -"),
        ("/app.slice/docker-{A}.scope", "host forged - - -"),
        ("/kubepods/pod{uid}/{A}", "host forged - - -"),
        ("/app.slice/{A}", "host forged - - -"),
    ]);
}

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
fn the_deciding_path_is_kept_as_printed() {
    let text = fill("2:cpu:/docker/{A} (deleted)\n0::/");
    let found = classify(text.as_bytes());
    assert_eq!(found.path, fill("/docker/{A} (deleted)").as_bytes());
    assert!(found.is_container());
    assert!(!found.rule.is_empty());
    assert!(!classify(b"0::/\n").is_container());
    assert!(!classify(b"0::/lxc.monitor.web\n").is_container());
}

#[test]
fn hostile_names_are_escaped_or_refused() {
    check(&[("/lxc.payload.a\x1b[31mb", r"lxc container a\x1b[31mb - a\x1b[31mb")]);
    let found = classify(b"0::/lxc.payload.\xff\xfe\n");
    assert_eq!(found.container_id.as_deref(), Some(r"\xff\xfe"));
    let long = format!("0::/lxc/{}", "n".repeat(256));
    assert_eq!(classify(long.as_bytes()).container_id, None);
    check(&[(r"/machine.slice/machine-\x1b\x0a.scope", r"systemd-nspawn container \x1b\x0a - \x1b\x0a")]);
}

#[test]
fn hostile_texts_say_nothing() {
    let nothing = |text: &[u8]| {
        let found = classify(text);
        assert_eq!((found.runtime, found.kind), (Runtime::None, Kind::Container));
        assert_eq!((found.container_id, found.pod_uid, found.name), (None, None, None));
    };
    nothing(b"");
    nothing(b"\n\n\n");
    nothing(b"no colons at all");
    nothing(b"one:colon");
    nothing(b"\xff\xfe\x00\x80");
    nothing(b":::");
    nothing(b"0::");
    nothing(&vec![b'/'; 1 << 20]);
    nothing(&b"::".repeat(1 << 19));
    let noise: Vec<u8> = (0_u32..1 << 20).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let _ = classify(&noise);
}

#[test]
fn work_is_bounded() {
    // The container is behind the last line that is read.
    let late = format!("{}0::/docker/{A}\n", "1:cpu:/\n".repeat(10_000));
    assert_eq!(classify(late.as_bytes()).runtime, Runtime::None);
    let early = format!("0::/docker/{A}\n{}", "1:cpu:/\n".repeat(10_000));
    assert_eq!(classify(early.as_bytes()).runtime, Runtime::Docker);
    for element in ["/a", "/..", "/nomad", "/conmon", "/user@1.service", "/lxc", "/init", "/supervisor"] {
        // The kernel prints no path of more than a page.
        let deep = format!("0::/docker/{A}{}\n", element.repeat(10_000));
        assert_eq!(classify(deep.as_bytes()).runtime, Runtime::None);
        let deep = format!("0::/docker/{A}{}\n", element.repeat(200));
        assert_ne!(classify(deep.as_bytes()).runtime, Runtime::None);
    }
}

#[test]
fn strings_are_distinct() {
    let kinds = [Kind::Container, Kind::Sandbox, Kind::Monitor, Kind::LookAlike, Kind::Host, Kind::Forged];
    let words: std::collections::BTreeSet<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(words.len(), kinds.len());
    assert_eq!(format!("{:>6}|{}", Runtime::Lxc, Kind::SandboxedProcess), "   lxc|sandboxed-process");
}
