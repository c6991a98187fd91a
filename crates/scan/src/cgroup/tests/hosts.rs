//! What is no container: monitors, look-alikes, logins, forgeries.

use super::{A, check, check_user};
use crate::cgroup::classify;

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
        ("/machine_100.libvirt-qemu", "host lookalike - - -"),
        ("/machine/qemu-1-vm.libvirt-qemu/vcpu0", "host lookalike - - -"),
        ("/firecracker/vm1", "host lookalike - - -"),
        ("/lsf/cluster/job.12.34", "host lookalike - - -"),
        ("/slurm/uid_1000/job_5/step_0/task_0", "host lookalike - - -"),
        ("/ecs/0123456789abcdef", "host lookalike - - -"),
        ("/system.slice/docker-0123456789ab.scope", "host lookalike - - -"),
        ("/default/box.service", "host lookalike - - -"),
        ("/kubepods/pod{uid}/{A}0", "host lookalike - - -"),
        ("/system.slice/k3s.service", "host lookalike - - -"),
    ]);
    check_user(&[
        ("/init.scope", "host lookalike - - -"),
        ("/libpod-{A}{B}", "host lookalike - - -"),
        ("/libpod-{A}g.scope", "host lookalike - - -"),
        ("/app.slice/vte-spawn-{uid}.scope", "host lookalike - - -"),
        ("/app.slice/docker-{A}.scope", "host forged - - -"),
        ("/kubepods/pod{uid}/{A}", "host forged - - -"),
        ("/app.slice/{A}", "host forged - - -"),
        // Podman puts a container directly below the manager when it has no slice; Docker does not.
        ("/docker-{A}.scope", "host forged - - -"),
    ]);
}

#[test]
fn logins() {
    let slices = "3:pids:/user.slice/user-0.slice\n2:memory:/user.slice\n";
    let session = "1:name=systemd:/user.slice/user-0.slice/session-4.scope\n";
    check(&[
        ("/user.slice/user-1000.slice/session-3.scope", "host lookalike - - -"),
        (session, "host lookalike - - -"),
        (&format!("{slices}{session}"), "host host - - -"),
        (&format!("2:memory:/system.slice\n{session}"), "host lookalike - - -"),
        (&format!("{slices}1:name=systemd:/user.slice/user-0.slice/session-x.scope"), "host lookalike - - -"),
        (&format!("{slices}{session}0::/docker/{{A}}"), "docker container {A} - -"),
    ]);
    assert!(classify(session.as_bytes()).is_login());
    assert!(classify(format!("{slices}{session}").as_bytes()).is_login());
    assert!(!classify(b"0::/system.slice/session-4.service").is_login());
    assert!(!classify(b"0::/init.scope").is_login());
    let container = format!("0::/docker/{A}/user.slice/user-0.slice/session-4.scope");
    assert!(!classify(container.as_bytes()).is_login());
}

#[test]
fn no_id_has_another_length_or_alphabet() {
    let broken = |id: &str| {
        check(&[
            (&format!("/docker/{id}"), "host lookalike - - -"),
            (&format!("/system.slice/docker-{id}.scope"), "host lookalike - - -"),
            (&format!("/kubepods/pod{{uid}}/{id}"), "host lookalike - - -"),
            (&format!("/kubepods.slice/kubepods-pod{{u_d}}.slice/crio-{id}.scope"), "host lookalike - - -"),
            (&format!("/kubepods-pod{{u_d}}.slice:cri-containerd:{id}"), "host lookalike - - -"),
            (&format!("/libpod_parent/libpod-{id}"), "host lookalike - - -"),
        ]);
    };
    for digits in [1, 12, 32, 63, 65, 128] {
        broken(&"a".repeat(digits));
    }
    broken(&A.to_uppercase());
    broken(&format!("{}g", &A[1..]));
    for suffix in [".service", ".mount", ".swap", ".socket", ".slice", ".automount"] {
        check(&[
            (&format!("/system.slice/{{A}}{suffix}"), "host lookalike - - -"),
            (&format!("/system.slice/docker-{{A}}{suffix}"), "host lookalike - - -"),
            (&format!("/kubepods/pod{{uid}}/crio-{{A}}{suffix}"), "host lookalike - - -"),
            (&format!("/docker/{{A}}/system.slice/x-{{B}}{suffix}"), "docker container {A} - -"),
        ]);
    }
}
