//! What is no regular file is refused without being opened.

use portolan::{ErrorKind, FileKind};
use portolan_world::World;
use portolan_world::need::Need;
use portolan_world::require;

use crate::inside::Inside;
use crate::servers;

fn no_file(kind: FileKind) -> ErrorKind {
    ErrorKind::NotRegular(kind)
}

#[test]
fn a_directory_is_refused() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("directory").directory("/app/dir").link("/app/link", "dir"));
    for path in ["/", "/app/dir", "/app/dir/", "/app/dir/.", "/app/link", "/..", "//"] {
        let line = c.refuses(path, no_file(FileKind::Directory));
        assert!(line.contains("a directory"), "{line}");
    }
}

#[test]
fn a_fifo_is_refused_and_not_woken() {
    require!(Need::Root, Need::Overlay);
    let world = World::new("fifo").prepare("mkdir /app; mkfifo /app/fifo /app/empty; ln -s fifo /app/link");
    // Opening for writing waits until somebody opens for reading: then, and only then, there is a file "woken".
    let text = "
import os, time
print('opening', flush=True)
os.open('/app/fifo', os.O_WRONLY)
open('/app/woken', 'w')
time.sleep(1000)";
    let c = Inside::start(&servers::python(world, text));
    c.wait_log("opening");
    for path in ["/app/fifo", "/app/link", "/app/empty"] {
        let line = c.refuses(path, no_file(FileKind::Fifo));
        assert!(line.contains("a FIFO"), "{line}");
    }
    c.refuses("/app/woken", ErrorKind::NotFound);
    // It was waiting all the time: a true reader wakes it.
    c.shell("cat /app/fifo & sleep 0.2; kill $! || true");
    c.container.wait_file("/app/woken", crate::inside::SOON).unwrap();
}

#[test]
fn device_nodes_are_refused() {
    require!(Need::Root, Need::Overlay);
    let nodes = "mkdir /app; mknod /app/null c 1 3; mknod /app/console c 4 64; mknod /app/block b 7 0
                 mknod /app/nothing c 240 77";
    let c = Inside::start(&World::new("devices").prepare(nodes));
    for path in ["/app/null", "/app/console", "/app/nothing", "/dev/null", "/dev/zero"] {
        assert!(c.refuses(path, no_file(FileKind::CharDevice)).contains("a character device"));
    }
    assert!(c.refuses("/app/block", no_file(FileKind::BlockDevice)).contains("a block device"));
}

#[test]
fn a_unix_socket_is_refused_and_not_connected_to() {
    require!(Need::Root, Need::Overlay);
    let text = "
import socket
listener = socket.socket(socket.AF_UNIX)
listener.bind('/run/app.sock')
listener.listen(8)
print('listening', flush=True)
listener.accept()
print('connected', flush=True)";
    let c = Inside::start(&servers::python(World::new("socket"), text));
    c.wait_log("listening");
    assert!(c.refuses("/run/app.sock", no_file(FileKind::Socket)).contains("a socket"));
    assert_eq!(c.container.log(), "listening\n");
    assert!(c.container.is_running());
}

#[test]
fn what_is_not_there_is_not_found() {
    require!(Need::Root, Need::Overlay);
    let world = World::new("missing").file("/app/file", "x").link("/app/dangling", "/nowhere/at/all");
    let c = Inside::start(&world);
    for path in ["/app/none", "/none/none", "/app/dangling", "/app/file/below", "/app/file/"] {
        let line = c.refuses(path, ErrorKind::NotFound);
        assert!(line.contains(path) && line.contains("not found"), "{line}");
    }
}
