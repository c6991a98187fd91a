use std::path::Path;

use super::*;

const UID: &str = "1c9f4a5e-0000-4000-8000-123456789abc";

fn id(c: &str) -> String {
    c.repeat(64)
}

/// A command line, its arguments parted by blanks here.
fn said(line: &str) -> Option<Monitor> {
    Monitor::parse(format!("{line} ").replace(' ', "\0").as_bytes())
}

#[test]
fn shims() {
    let of = |namespace: &str, id: &str| {
        said(&format!(
            "/usr/bin/containerd-shim-runc-v2 -namespace {namespace} -id {id} -address /run/c.sock"
        ))
    };
    let docker = of("moby", &id("a")).unwrap();
    assert_eq!((docker.runtime, docker.id), (Runtime::Docker, Some(id("a"))));
    // One shim for each pod: its id is the sandbox's.
    let pod = of("k8s.io", &id("b")).unwrap();
    assert_eq!((pod.runtime, pod.id, pod.sandbox), (Runtime::CriContainerd, None, Some(id("b"))));
    let plain = of("default", "rt-ctr1").unwrap();
    assert_eq!((plain.runtime, plain.id.as_deref()), (Runtime::Containerd, Some("rt-ctr1")));
    assert_eq!(plain.namespace.as_deref(), Some("default"));
    assert_eq!(of("garden", "h").unwrap().runtime, Runtime::Garden);
    assert_eq!(of("buildkit", "h").unwrap().runtime, Runtime::BuildKit);
    assert_eq!(of("moby", "../../x"), None);
    let kata = said(&format!(
        "containerd-shim-kata-v2 -namespace k8s.io -address s -publish-binary /bin/containerd -id {}",
        id("c")
    ));
    let kata = kata.unwrap();
    assert_eq!((kata.runtime, kata.sandbox), (Runtime::Kata, Some(id("c"))));
    let gvisor = said(&format!("containerd-shim-runsc-v1 --namespace=moby --id={}", id("c"))).unwrap();
    assert_eq!((gvisor.runtime, gvisor.id), (Runtime::GVisor, Some(id("c"))));
}

#[test]
fn old_shims() {
    let line = format!("containerd-shim -namespace moby -workdir /var/lib/c/io.c.v1.linux/moby/{}", id("d"));
    assert_eq!(said(&line).unwrap().id, Some(id("d")));
    let line = format!("docker-containerd-shim {0} /var/run/docker/libcontainerd/{0} docker-runc", id("e"));
    let oldest = said(&line).unwrap();
    assert_eq!((oldest.runtime, oldest.id), (Runtime::Docker, Some(id("e"))));
    assert!(oldest.bundle.unwrap().starts_with("/var/run/docker/libcontainerd"));
}

#[test]
fn what_is_no_shim() {
    let line = format!("containerd-shim-runc-v2 -namespace moby -id {} -address s start", id("a"));
    assert_eq!(said(&line), None, "it makes a shim and ends");
    assert_eq!(said("containerd-shim-runc-v2 -namespace moby"), None);
    assert_eq!(said("containerd-shimmy -namespace moby -id a"), None);
    assert_eq!(said("containerd -namespace moby -id a"), None);
    assert_eq!(said("docker-containerd-shim short /b runc"), None);
    assert_eq!(Monitor::parse(b""), None);
    assert_eq!(Monitor::parse(&[0; 64]), None);
    assert_eq!(Monitor::parse(&[0xff; 8192]), None);
}

#[test]
fn conmons_of_podman() {
    let line = format!(
        "/usr/bin/conmon --api-version 1 -c {0} -u {1} -r /usr/bin/runc -b /s/overlay-containers/{0}/userdata \
         -n web -s -l k8s-file:/s/ctr.log --exit-dir /run/libpod/exits --exit-command-arg -n \
         --exit-command-arg other --exit-command-arg container",
        id("5"),
        id("6")
    );
    let monitor = said(&line).unwrap();
    assert_eq!((monitor.runtime, monitor.id), (Runtime::Podman, Some(id("5"))));
    assert_eq!(monitor.name.as_deref(), Some("web"), "what follows --exit-command-arg is another's");
    assert_eq!(monitor.logs, [("k8s-file".to_owned(), Some("/s/ctr.log".into()))]);
    assert!(monitor.bundle.unwrap().ends_with("userdata"));
    assert_eq!(monitor.pod, None);
    let named = said(&format!("conmon --cid {} --name a\nb -l journald", id("5"))).unwrap();
    assert_eq!(named.name.as_deref(), Some(r"a\x0ab"));
    assert_eq!(named.logs, [("journald".to_owned(), None)]);
    let plain =
        said(&format!("conmon -c {0} -l /var/log/pods/x/0.log -l journald: -l none", id("5"))).unwrap();
    let logs: Vec<_> = plain.logs.iter().map(|(driver, file)| (driver.as_str(), file.is_some())).collect();
    assert_eq!(logs, [("k8s-file", true), ("journald", false), ("none", false)]);
}

#[test]
fn conmons_that_say_nothing() {
    assert_eq!(said(&format!("conmon -n web -c {}", "5".repeat(63))), None);
    assert_eq!(said(&format!("conmon -- -c {}", id("5"))), None);
    assert_eq!(said("conmon"), None);
    assert_eq!(said("conmon -c"), None);
    let unnamed = said(&format!("conmon -c {} -n", id("5"))).unwrap();
    assert_eq!(unnamed.name, None);
}

#[test]
fn conmons_of_crio() {
    let conmon =
        |name: &str| said(&format!("conmon -c {} -n {name} --exit-dir /var/run/crio/exits", id("7")));
    let monitor = conmon(&format!("k8s_app_web-0_prod_{UID}_1")).unwrap();
    assert_eq!((monitor.runtime, monitor.kind), (Runtime::CriO, Some(Kind::Container)));
    assert_eq!(monitor.name.as_deref(), Some("app"));
    let pod = monitor.pod.unwrap();
    assert_eq!((pod.uid.as_str(), pod.name.as_deref()), (UID, Some("web-0")));
    assert_eq!(conmon(&format!("k8s_POD_web-0_prod_{UID}_1")).unwrap().kind, Some(Kind::Sandbox));
    assert_eq!(conmon("x").unwrap().runtime, Runtime::CriO);
    let of_pod = |directory: &str| {
        said(&format!("/usr/libexec/conmonrs --runtime /bin/crun --runtime-dir {directory} --x y"))
    };
    let pod =
        of_pod(&format!("/var/lib/containers/storage/overlay-containers/{}/userdata", id("8"))).unwrap();
    assert_eq!((pod.sandbox, pod.id), (Some(id("8")), None));
    assert_eq!(of_pod(&format!("/x/{}/userdata", id("8"))), None);
    assert_eq!(of_pod("/"), None);
}

#[test]
fn lxc_monitors() {
    let of = |title: &str| Monitor::parse(format!("[lxc monitor] {title}\0\0\0\0").as_bytes());
    let plain = of("/var/lib/lxc web").unwrap();
    assert_eq!((plain.runtime, plain.id.as_deref()), (Runtime::Lxc, Some("web")));
    assert_eq!(plain.directory.as_deref(), Some(Path::new("/var/lib/lxc")));
    assert_eq!(of("/a b/c web").unwrap().directory.as_deref(), Some(Path::new("/a b/c")));
    assert_eq!(of("/var/lib/incus/containers p_web").unwrap().what, "the LXC monitor of Incus");
    assert_eq!(of("/var/snap/lxd/common/lxd/containers web").unwrap().what, "the LXC monitor of LXD");
    assert_eq!(of("web"), None);
    assert_eq!(of("/var/lib/lxc "), None);
    assert_eq!(of(""), None);
}

#[test]
fn machines_of_nspawn() {
    let name = |line: &str| said(&format!("/usr/bin/systemd-nspawn {line}")).unwrap().name;
    let some = |name: &str| Some(name.to_owned());
    assert_eq!(name("-q -D /d/tree -M web --register=no /bin/sleep -M other"), some("web"));
    assert_eq!(name("--quiet --keep-unit --boot --machine=web"), some("web"));
    assert_eq!(name("--machine web -b"), some("web"));
    assert_eq!(name("-qbD /d/tree"), some("tree"));
    assert_eq!(name("-bMweb -D /d/tree"), some("web"));
    assert_eq!(name("--setenv A=b --bind -M -i /d/disk.raw"), some("disk"));
    assert_eq!(name("-x -D /d/tree"), None, "a name of its own is added");
    assert_eq!(name("-D /d/tree -- -M web"), some("tree"));
    assert_eq!(name("-M"), None);
    let monitor = said("systemd-nspawn -D /d/tree").unwrap();
    assert_eq!(monitor.directory.as_deref(), Some(Path::new("/d/tree")));
}

#[test]
fn others() {
    let libvirt = said("/usr/libexec/libvirt_lxc --name web --console 22 --security=none").unwrap();
    assert_eq!((libvirt.runtime, libvirt.name.as_deref()), (Runtime::LibvirtLxc, Some("web")));
    assert_eq!(said("libvirt_lxc --console 22"), None);
    let nomad = |json: &str| said(&format!("/usr/bin/nomad executor {json}"));
    let task = nomad(&format!(r#"{{"LogFile":"/opt/alloc/{UID}/web/executor.out","X":1}}"#)).unwrap();
    assert_eq!((task.id.as_deref(), task.name.as_deref()), (Some(UID), Some("web")));
    for bad in ["{", "{}", r#"{"LogFile":1}"#, r#"{"LogFile":"/x/web/executor.out"}"#] {
        assert_eq!(nomad(bad), None, "{bad}");
    }
    assert_eq!(said("nomad agent"), None);
    let garden = said(&format!("/var/vcap/dadoo -tty exec /bin/runc /depot/{UID}/p {UID}")).unwrap();
    assert_eq!((garden.runtime, garden.id.as_deref()), (Runtime::Garden, Some(UID)));
    assert_eq!(said(&format!("dadoo {UID}")), None);
    assert_eq!(said("bwrap --ro-bind / / sh").unwrap().runtime, Runtime::Bubblewrap);
    let instance = Monitor::parse(b"Apptainer instance: ann [web]\0").unwrap();
    assert_eq!((instance.runtime, instance.name.as_deref()), (Runtime::Apptainer, Some("web")));
    assert!(Monitor::parse(b"Singularity runtime parent\0").unwrap().name.is_none());
    assert_eq!(Monitor::parse(b"Apptainer x"), None);
}

#[test]
fn gvisor_and_foreground_runtimes() {
    let line = format!("runsc-sandbox --root=/r boot --bundle=/run/t/k8s.io/{0} --x=y {0}", id("9"));
    assert_eq!(said(&line).unwrap().sandbox, Some(id("9")));
    assert_eq!(said(&line.replace("k8s.io", "moby")).unwrap().id, Some(id("9")));
    assert_eq!(said(&line.replace(" boot ", " ")), None);
    let runc = said("runc --root /r run -b /bundle web").unwrap();
    assert_eq!((runc.runtime, runc.id.as_deref()), (Runtime::Runc, Some("web")));
    assert_eq!(runc.bundle.as_deref(), Some(Path::new("/bundle")));
    assert_eq!(said("crun run web").unwrap().runtime, Runtime::Crun);
    for none in ["runc run -d web", "runc init", "runc run", "runc exec web sh", "crun"] {
        assert_eq!(said(none), None, "{none}");
    }
}

#[test]
fn cut_anywhere() {
    let lines = [
        format!("containerd-shim-runc-v2\0-namespace\0moby\0-id\0{}\0-address\0s\0", id("a")),
        format!("conmon\0-c\0{}\0-n\0k8s_a_b_c_{UID}_0\0-l\0f:/x\0", id("a")),
        "[lxc monitor] /var/lib/lxc web\0".to_owned(),
        "systemd-nspawn\0-qbD\0/d\0-Mx\0".to_owned(),
    ];
    for line in lines {
        for end in 0..line.len() {
            let _ = Monitor::parse(&line.as_bytes()[..end]);
        }
    }
}

#[test]
fn only_its_program_is_believed() {
    let monitor = said(&format!("conmon -c {} -n web", id("5"))).unwrap();
    assert!(fits_program(&monitor, b"/usr/bin/conmon"));
    assert!(fits_program(&monitor, b"/usr/bin/conmon (deleted)"));
    assert!(!fits_program(&monitor, b"/usr/bin/su"));
    let shim = said("containerd-shim-runc-v2 -namespace moby -id a").unwrap();
    assert!(fits_program(&shim, b"/usr/bin/containerd-shim-runc-v2"));
    assert!(!fits_program(&shim, b"/usr/bin/sudo"));
    let trust = |user, program| monitor.evidence(Keeper { pid: 812, user, program, inside: false }).trust;
    assert_eq!(trust(0, true), Trust::Monitor);
    assert_eq!(trust(0, false), Trust::User);
    assert_eq!(trust(1000, true), Trust::User);
    let tool = said("bwrap --x").unwrap().evidence(Keeper { pid: 1, user: 0, program: true, inside: false });
    assert_eq!(tool.trust, Trust::User, "users start it with rights of root");
    let nested = monitor.evidence(Keeper { pid: 812, user: 0, program: true, inside: true });
    assert_eq!(nested.trust, Trust::User);
    assert!(nested.says.ends_with("from inside of another container"));
    let says = monitor.evidence(Keeper { pid: 812, user: 0, program: true, inside: false }).says;
    assert_eq!(says, "process 812, a conmon of Podman that root runs, names it and calls it web");
}

#[test]
fn users_speak_for_their_own() {
    let map = b"         0       1000          1\n         1     100000      65536\n";
    assert!(may_speak(0, 5, b""));
    assert!(may_speak(1000, 1000, b""));
    assert!(may_speak(1000, 100_032, map));
    assert!(!may_speak(1001, 100_032, map));
    assert!(!may_speak(1000, 0, b"         0          0 4294967295\n"));
    assert!(!may_speak(1000, 5, b"0 1000 x\n\xff 1000 1\n"));
}
