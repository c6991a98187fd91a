//! The facade over files of a directory of its own; the records of real runtimes are tried by the suites.

use std::os::unix::fs::MetadataExt as _;

use super::*;

/// A directory that is removed when the test ends.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("portolan-records-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        Self(directory.canonicalize().unwrap())
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &[u8]) -> PathBuf {
        let file = self.at(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        file
    }

    pub(crate) fn user(&self) -> u32 {
        std::fs::metadata(&self.0).unwrap().uid()
    }

    pub(crate) fn owner(&self) -> Owner {
        Owner::User(self.user())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn me() -> Process {
    Process::open(std::process::id().cast_signed()).unwrap()
}

fn question<'a>(
    runtime: Runtime,
    id: &'a str,
    monitor: &'a Monitor,
    me: &'a Process,
    user: u32,
) -> Question<'a> {
    let (monitor, keeper) = (Some(monitor), None);
    Question { runtime, id, monitor, keeper, init: me, mount_info: Some(b""), user: Some(user) }
}

#[test]
fn podmans_list_is_read_once() {
    let (scratch, me) = (Scratch::new("podman"), me());
    let (a, b, c) = ("a".repeat(64), "b".repeat(64), "c".repeat(64));
    let list = scratch.write(
        "overlay-containers/containers.json",
        format!(r#"[{{"id":"{a}","names":["one"]}},{{"id":"{b}","names":["two"]}}]"#).as_bytes(),
    );
    let monitor = |id: &str| {
        let bundle = scratch.at(&format!("overlay-containers/{id}/userdata"));
        Monitor::parse(format!("conmon\0-c\0{id}\0-b\0{}\0", bundle.display()).as_bytes()).unwrap()
    };
    let mut records = Records::new(View::own());
    let mut of = |id: &str| records.of(&question(Runtime::Podman, id, &monitor(id), &me, scratch.user()));
    let found = of(&a);
    assert_eq!(found.name.as_deref(), Some("one"));
    let source = found.source.clone().unwrap();
    assert_eq!((source.seen.as_path(), source.user), (list.as_path(), scratch.user()));
    assert_eq!(Stamp::of(&source.path), Some(source.stamp));
    let evidence = found.evidence(&a).unwrap();
    assert_eq!(evidence.trust, if scratch.user() == 0 { Trust::Cgroup } else { Trust::User });
    assert!(evidence.says.contains("overlay-containers/containers.json says so"));
    std::fs::remove_file(&list).unwrap();
    assert_eq!(of(&b).name.as_deref(), Some("two"), "the list is not read again");
    let none = of(&c);
    assert_eq!((none.source.as_ref(), none.evidence(&c)), (None, None));
    assert_eq!(none.tried[0], (list, "the container is not in it"));
    assert_eq!(none.tried[1].1, "it is not there");
}

#[test]
fn bundles_lie_beside_the_shims() {
    let (scratch, me) = (Scratch::new("bundle"), me());
    let (id, sandbox) = ("a".repeat(64), "b".repeat(64));
    let tasks = "io.containerd.runtime.v2.task/k8s.io";
    let file = scratch.write(
        &format!("{tasks}/{id}/config.json"),
        br#"{"annotations":{"io.kubernetes.cri.container-type":"container","io.kubernetes.cri.container-name":"app"}}"#,
    );
    let shim = format!("containerd-shim-runc-v2\0-namespace\0k8s.io\0-id\0{sandbox}\0");
    let mut monitor = Monitor::parse(shim.as_bytes()).unwrap();
    monitor.bundle = Some(scratch.at(&format!("{tasks}/{sandbox}")));
    let mut records = Records::new(View::own());
    let mut of = |id: &str| records.of(&question(Runtime::CriContainerd, id, &monitor, &me, scratch.user()));
    let found = of(&id);
    assert_eq!((found.name.as_deref(), found.source.unwrap().seen), (Some("app"), file));
    let none = of("other");
    assert_eq!(none.source, None);
    assert_eq!(none.tried.len(), 1, "{:?}", none.tried);
    assert!(of("../x").tried.is_empty(), "such an id is no part of a path");
}

#[test]
fn lxc_by_its_configuration() {
    let (scratch, me) = (Scratch::new("lxc"), me());
    scratch.write("web/config", b"lxc.uts.name = web\n");
    let title = format!("[lxc monitor] {} web\0", scratch.at("").display());
    let title = title.replace("/ web", " web");
    let monitor = Monitor::parse(title.as_bytes()).unwrap();
    let mut records = Records::new(View::own());
    let mut of = |id: &str| records.of(&question(Runtime::Lxc, id, &monitor, &me, scratch.user()));
    assert_eq!(of("web").name.as_deref(), Some("web"));
    assert_eq!(of("web-1").name.as_deref(), Some("web"), "the second cgroup of that name");
    assert_eq!(of("db").source, None);
}

#[test]
fn the_records_of_others_say_nothing() {
    let (scratch, me) = (Scratch::new("others"), me());
    let monitor = Monitor::parse(b"bwrap\0x\0").unwrap();
    let mut records = Records::new(View::own());
    for runtime in [Runtime::Flatpak, Runtime::Host, Runtime::None, Runtime::Bubblewrap] {
        assert_eq!(records.of(&question(runtime, "x", &monitor, &me, scratch.user())), Found::default());
    }
    // This process is nobody's container.
    for runtime in [Runtime::Unknown, Runtime::Runc, Runtime::SystemdNspawn, Runtime::Docker] {
        let id = "f".repeat(64);
        assert_eq!(records.of(&question(runtime, &id, &monitor, &me, scratch.user())).source, None);
    }
}

#[test]
fn the_working_directory() {
    assert_eq!(working_directory(&me()), std::env::current_dir().ok());
}
