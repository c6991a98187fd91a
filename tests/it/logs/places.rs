//! Files of containers, and the paths that the host has for them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use portolan::Process as Target;
use portolan::logs::open::{DESCRIPTORS, LogFile, log_files};
use portolan::logs::{Mapping, Place as Found};
use portolan_world::need::Need;
use portolan_world::require;

use crate::runtimes::place::Place;
use crate::runtimes::process::Process;
use crate::runtimes::rootfs;
use crate::runtimes::tool::{told, tool};

/// A process with an overlay for its root, a volume, memory, and log files open in each of them.
struct Scene {
    process: Process,
    place: Place,
}

impl Scene {
    fn start(what: &str) -> Self {
        let place = Place::new(what);
        let lower = place.directory("lower");
        rootfs::programs(&lower);
        for directory in ["var/log", "memory", "volume"] {
            fs::create_dir_all(lower.join(directory)).unwrap();
        }
        fs::write(lower.join("var/log/old.log"), "of the image\n").unwrap();
        for directory in ["upper", "work", "merged", "volume/deep"] {
            place.directory(directory);
        }
        fs::write(place.at("secret"), "of the host\n").unwrap();
        let at = |name: &str| place.at(name);
        let layers = format!("lowerdir={},upperdir={},workdir={}", at("lower"), at("upper"), at("work"));
        told(tool("mount").args(["-t", "overlay", "overlay", "-o", &layers, &at("merged")]));
        let inner = format!(
            "cd {} && mount --bind {} volume && mount -t tmpfs memory memory && mkdir old && pivot_root . old && \
             exec /bin/busybox sh -c 'busybox umount -l /old; {SCRIPT}'",
            at("merged"),
            at("volume"),
        );
        let mut command = tool("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &inner]);
        let process = Process::start(&mut command, Signal::SIGTERM, &place.path().join("said"));
        let mut scene = Self { process, place };
        let pid = scene.process.pid();
        scene.process.wait_for("sleeper", || {
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            line.starts_with(b"sleep\0").then_some(())
        });
        scene
    }

    fn target(&self) -> Target {
        Target::open(self.process.pid()).unwrap()
    }

    /// The files, by their paths inside.
    fn files(&self) -> BTreeMap<String, (LogFile, Found)> {
        let (target, mapping) = (self.target(), Mapping::new().unwrap());
        let found = log_files(&target, DESCRIPTORS).unwrap();
        assert!(!found.incomplete);
        let named = found.files.into_iter().map(|file| {
            let place = mapping.of_file(&target, &file).unwrap();
            (String::from_utf8(file.path.clone()).unwrap(), (file, place))
        });
        named.collect()
    }
}

const SCRIPT: &str = "mkdir /made; exec sleep 100000 3>>/made/new.log 4>>/var/log/old.log 5>>/volume/deep/bound.log \
    6>>/memory/gone.log 7>>/volume/deleted.log 8>/var/log/written.log 9>/volume/no-log";

fn is_same(path: &Path, file: &LogFile) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.ino() == file.identity.unwrap().inode)
}

#[test]
fn files_of_a_container_are_found_on_the_host() {
    require!(Need::Root, Need::Overlay, Need::Program("busybox"));
    let scene = Scene::start("found");
    fs::remove_file(scene.place.at("volume/deleted.log")).unwrap();
    let files = scene.files();
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let expected = [
        "/made/new.log",
        "/memory/gone.log",
        "/var/log/old.log",
        "/var/log/written.log",
        "/volume/deep/bound.log",
        "/volume/deleted.log",
    ];
    assert_eq!(names, expected, "what is opened to write and has no log's name is none");
    let host = |inside: &str| match &files[inside].1 {
        Found::Host(path) => path.clone(),
        other => panic!("{inside}: {other:?}"),
    };
    for (inside, outside) in [
        ("/made/new.log", "upper/made/new.log"),
        ("/var/log/written.log", "upper/var/log/written.log"),
        // Copied up when it was opened to write: the inode number is still that of the image's file.
        ("/var/log/old.log", "upper/var/log/old.log"),
        ("/volume/deep/bound.log", "volume/deep/bound.log"),
    ] {
        assert_eq!(host(inside), PathBuf::from(scene.place.at(outside)));
    }
    assert!(is_same(&host("/made/new.log"), &files["/made/new.log"].0));
    assert!(matches!(files["/memory/gone.log"].1, Found::Helper(why) if why.contains("tmpfs")));
    assert_eq!(files["/volume/deleted.log"].1, Found::Deleted);
    // The command says the same.
    let said = crate::command::portolan(["logs", &format!("pid:{}", scene.process.pid()), "--where"]).text();
    for file in ["/made/new.log", "/volume/deep/bound.log"] {
        assert!(said.contains(&format!("file: {file} is {} here\n", host(file).display())), "{said}");
    }
    assert!(said.contains("file: /volume/deleted.log was deleted"), "{said}");
}

#[test]
fn links_that_a_container_plants_lead_nowhere() {
    require!(Need::Root, Need::Overlay, Need::Program("busybox"));
    let scene = Scene::start("planted");
    let before = scene.files();
    let (target, mapping) = (scene.target(), Mapping::new().unwrap());
    // The directory of the file becomes a link to one of the host's, which has a file of that name.
    let away = scene.place.directory("away");
    for (directory, file) in [("volume/deep", "bound.log"), ("merged/made", "new.log")] {
        fs::write(away.join(file), "of the host\n").unwrap();
        let directory = PathBuf::from(scene.place.at(directory));
        fs::rename(&directory, directory.with_extension("moved")).unwrap();
        symlink(&away, &directory).unwrap();
    }
    for name in ["/volume/deep/bound.log", "/made/new.log"] {
        let (file, place) = &before[name];
        assert!(matches!(place, Found::Host(_)), "{name} was {place:?}");
        let identity = file.identity.unwrap();
        let found = mapping.of_path(&target, Path::new(name), &identity).unwrap();
        assert!(!matches!(&found, Found::Host(path) if path.starts_with(&away)), "{name}: {found:?}");
        assert!(matches!(found, Found::Helper(_)), "{name}: {found:?}");
        // A file that is another one now.
        let real = fs::File::open(scene.place.at("secret")).unwrap();
        let other = portolan_linux::identity::Identity::of(&real).unwrap();
        let found = mapping.of_path(&target, Path::new(name), &other).unwrap();
        assert!(matches!(found, Found::Helper(_)), "{name}: {found:?}");
    }
    // What was opened is still found where it is, by the path that the kernel tells.
    let after = scene.files();
    let moved = after.iter().find(|(name, _)| name.ends_with("bound.log")).unwrap();
    assert_eq!(moved.1.1, Found::Host(PathBuf::from(scene.place.at("volume/deep.moved/bound.log"))));
    for path in ["relative", "/volume/../secret", ""] {
        let identity = before["/made/new.log"].0.identity.unwrap();
        assert!(matches!(mapping.of_path(&target, Path::new(path), &identity).unwrap(), Found::Helper(_)));
    }
}

#[test]
fn an_overlay_that_a_user_namespace_mounted_proves_nothing() {
    require!(Need::Root, Need::Overlay, Need::Program("busybox"));
    let place = Place::new("forged");
    // Its options name the host's directory, as the container sees another one there.
    let script = "mount -t tmpfs t /mnt && mkdir -p /mnt/l /mnt/u /mnt/w /mnt/m && \
        mount -t overlay o -o lowerdir=/mnt/l,upperdir=/mnt/u,workdir=/mnt/w,userxattr /mnt/m && \
        exec sleep 100000 3>>/mnt/m/app.log";
    let mut command = tool("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    let mut process = Process::start(&mut command, Signal::SIGTERM, &place.path().join("said"));
    let pid = process.pid();
    process.wait_for("sleeper", || {
        fs::read(format!("/proc/{pid}/cmdline")).ok()?.starts_with(b"sleep\0").then_some(())
    });
    let target = Target::open(pid).unwrap();
    let files = log_files(&target, DESCRIPTORS).unwrap().files;
    assert_eq!(files.len(), 1, "{files:?}");
    let found = Mapping::new().unwrap().of_file(&target, &files[0]).unwrap();
    assert!(matches!(found, Found::Helper(why) if why.contains("user namespace")), "{found:?}");
}
