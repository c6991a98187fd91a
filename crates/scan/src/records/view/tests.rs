use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::records::tests::Scratch;

#[test]
fn reads_what_is_the_owners() {
    let scratch = Scratch::new("view");
    let file = scratch.write("a/b/file", b"text");
    let view = View::own();
    let found = view.read(&file, scratch.owner(), 100).unwrap();
    assert_eq!((found.bytes.as_slice(), found.user), (&b"text"[..], scratch.user()));
    assert_eq!(Stamp::of(&found.path), Some(found.stamp));
    assert_eq!(view.stamp(&file, scratch.owner()).unwrap().stamp, found.stamp);
    assert_eq!(view.read(&file, scratch.owner(), 3).unwrap_err(), "it is too long");
    assert_eq!(view.read(&scratch.at("a/c"), scratch.owner(), 3).unwrap_err(), "it is not there");
    assert_eq!(view.read(&scratch.at("a/b"), scratch.owner(), 100).unwrap_err(), "it is no file");
    assert_eq!(view.names(&scratch.at("a"), scratch.owner(), 5), ["b"]);
    assert!(view.names(&scratch.at("a"), scratch.owner(), 0).is_empty());
    for bad in ["relative", "/", "/a/../b", ""] {
        assert!(view.read(Path::new(bad), scratch.owner(), 100).is_err(), "{bad}");
    }
}

#[test]
fn not_where_others_write() {
    let scratch = Scratch::new("view-others");
    let file = scratch.write("a/file", b"text");
    let mode = |mode| std::fs::set_permissions(scratch.at("a"), PermissionsExt::from_mode(mode)).unwrap();
    mode(0o777);
    let why = View::own().read(&file, scratch.owner(), 100).unwrap_err();
    assert_eq!(why, "its path goes through a directory that others write to");
    mode(0o1777);
    assert!(View::own().read(&file, scratch.owner(), 100).is_ok());
}

#[test]
fn not_what_is_anothers() {
    let scratch = Scratch::new("view-another");
    let file = scratch.write("a/file", b"text");
    // Only root can give files away.
    if scratch.user() == 0 {
        std::os::unix::fs::chown(&file, Some(12345), None).unwrap();
        let read = |owner| View::own().read(&file, owner, 100);
        assert_eq!(read(Owner::Root).unwrap_err(), "it is not the owner's whose word counts");
        assert!(read(Owner::User(12346)).is_err());
        assert_eq!(read(Owner::User(12345)).unwrap().user, 12345);
        std::os::unix::fs::chown(scratch.at("a"), Some(12345), None).unwrap();
        assert_eq!(read(Owner::Root).unwrap_err(), "its path goes through another's directory");
        // A user names a path of root's: what root keeps there is not about the user's containers.
        std::os::unix::fs::chown(&file, Some(0), None).unwrap();
        assert_eq!(read(Owner::User(12345)).unwrap_err(), "it is not the owner's whose word counts");
    } else {
        assert!(View::own().read(&file, Owner::Root, 100).is_err());
    }
}

#[test]
fn links() {
    let scratch = Scratch::new("view-links");
    let file = scratch.write("real/file", b"text");
    symlink("real", scratch.at("short")).unwrap();
    symlink(scratch.at("loop"), scratch.at("loop")).unwrap();
    symlink(&file, scratch.at("real/link")).unwrap();
    let read = |path: &str| View::own().read(&scratch.at(path), scratch.owner(), 100);
    // A link on the way is followed when root made it where only root can.
    assert_eq!(read("short/file").is_ok(), scratch.user() == 0);
    assert!(read("loop/file").is_err());
    assert!(read("real/link").is_err(), "the file itself is never a link");
    assert_eq!(resolved(Path::new("/a/b"), Path::new("../c/./d")).unwrap(), Path::new("/a/c/d"));
    assert_eq!(resolved(Path::new("/a"), Path::new("../../..")).unwrap(), Path::new("/"));
}

#[test]
fn fifos_and_slow_file_systems() {
    let scratch = Scratch::new("view-slow");
    let file = scratch.write("m/file", b"text");
    let line = format!("1 0 0:1 / {} rw - fuse.x x rw", scratch.at("m").display());
    let view = View { mounted: Mounted::of(line.as_bytes()), ..View::own() };
    let why = view.read(&file, scratch.owner(), 100).unwrap_err();
    assert_eq!(why, SLOW);
    // One file can be mounted as well.
    let line = format!("1 0 0:1 / {} rw - fuse.x x rw", file.display());
    let view = View { mounted: Mounted::of(line.as_bytes()), ..View::own() };
    assert_eq!(view.read(&file, scratch.owner(), 100).unwrap_err(), SLOW);
    let fifo = scratch.at("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    assert_eq!(View::own().read(&fifo, scratch.owner(), 100).unwrap_err(), "it is no file");
}

#[test]
fn through_another_process() {
    let scratch = Scratch::new("view-process");
    let file = scratch.write("file", b"text");
    let me = Process::open(std::process::id().cast_signed()).unwrap();
    let view = View::of(&me).unwrap();
    assert_eq!(view.read(&file, scratch.owner(), 100).unwrap().bytes, b"text");
}
