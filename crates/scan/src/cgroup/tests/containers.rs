//! Containers of every runtime, by the forms of their paths.

use super::{check, check_user};

#[test]
fn docker_and_buildkit() {
    check(&[
        ("/docker/{A}", "docker container {A} - -"),
        ("/docker/{A}/sub/cgroup", "docker container {A} - -"),
        ("/system.slice/docker-{A}.scope", "docker container {A} - -"),
        ("/my.slice/docker-{A}.scope/init.scope", "docker container {A} - -"),
        ("/docker/{A}/docker/{B}", "docker container {B} - -"),
        ("/docker-{A}", "docker container {A} - -"),
        ("/system.slice:docker:{A}", "docker container {A} - -"),
        ("/:docker:{A}", "docker container {A} - -"),
        ("/docker/{A}.scope", "docker container {A} - -"),
        // Docker's first driver had LXC make the container.
        ("/lxc/{A}", "docker container {A} - -"),
        ("/docker/{A}/syscont-cgroup-root/init.scope", "docker container {A} - -"),
        ("/docker/{A}/system.slice/var-lib-x.mount", "docker container {A} - -"),
        ("/wsl-user/distro-7/docker/{A}", "docker container {A} - -"),
        ("/docker/buildkit/{step}", "buildkit container {step} - -"),
        ("/docker/buildkit/{A}", "buildkit container {A} - -"),
        ("/docker/{A}/buildkit/{step}", "buildkit container {step} - -"),
        ("/system.slice/docker-{step}.scope", "buildkit container {step} - -"),
        ("/system.slice:docker:{step}", "buildkit container {step} - -"),
        ("/my.slice/my.slice:docker:{step}", "buildkit container {step} - -"),
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
        ("/kata_overhead/kubepods/burstable/pod{uid}/{A}", "kata sandbox {A} {uid} -"),
        ("/kata_overhead/kubepods-pod{u_d}.slice:cri-containerd:{A}", "kata sandbox {A} {uid} -"),
        ("/kata-overhead.slice/runtime-rs-{A}.scope", "kata sandbox {A} - -"),
        ("/kata-overhead.slice:runtime-rs:{A}", "kata sandbox {A} - -"),
        ("/kubepods/burstable/pod{uid}", "kubernetes sandbox - {uid} -"),
        (
            "/kubepods/kubepods-besteffort/kubepods-besteffort-pod{u_d}/{A}",
            "kubernetes container {A} {uid} -",
        ),
        ("/kubepods/besteffort/pod123/{A}", "kubernetes container {A} - -"),
        ("/kubepods/besteffort/pod123/docker-{A}.scope", "docker container {A} - -"),
        ("/kubelet.slice/kubelet-kubepods.slice/{A}", "kubernetes container {A} - -"),
        ("/kubepods/pod{uid}/{A}/job/{B}", "unknown container {B} {uid} -"),
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
        ("/containerd/{A}", "containerd container {A} - -"),
        ("/lxc.payload.box/default/web", "containerd container web - -"),
        ("/lxc/box/default/web", "containerd container web - -"),
        ("/machine.slice/machine-box.scope/payload/default/web", "containerd container web - -"),
        ("/machine.slice/machine-box.scope/default/web", "containerd container web - -"),
        ("/default/my_task.1", "containerd container my_task.1 - -"),
        ("/k8s.io/probe", "containerd container probe - -"),
    ]);
    check_user(&[
        ("/user.slice/libpod-{A}.scope/container", "podman container {A} - -"),
        ("/libpod-{A}.scope", "podman container {A} - -"),
        ("/libpod-{A}", "podman container {A} - -"),
        ("/user.slice/user-libpod_pod_{B}.slice/libpod-{A}.scope", "podman container {A} - -"),
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
        ("/lxc.payload/{A}", "lxc container {A} - {A}"),
        ("/libvirt/lxc/{A}", "libvirt-lxc container {A} - {A}"),
        (r"/machine.slice/machine-lxc\x2dbox.scope", "libvirt-lxc container box - box"),
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
        ("/system.slice/runc-bpm-nats.scope", "bpm container bpm-nats - nats"),
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
