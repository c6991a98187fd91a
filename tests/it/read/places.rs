//! Containers of unusual make: no `/proc`, nothing executable, users of their own, no namespaces but a few.

use std::os::unix::fs::PermissionsExt;

use portolan::{ErrorKind, FileKind, GlobOptions};
use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::inside::Inside;
use crate::scratch::Scratch;

#[test]
fn a_container_without_proc_is_read() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("no-proc").file("/app/file", "read").prepare("umount -l /proc"));
    assert_eq!(c.shell("ls /proc"), "");
    c.gives("/app/file", b"read");
}

#[test]
fn a_container_that_is_read_only_and_executes_nothing_is_read() {
    require!(Need::Root, Need::Overlay);
    // Its own program runs before nothing may be executed any more.
    let text = "system('mount', '-o', 'remount,bind,ro,noexec,nosuid,nodev', '/') == 0 or die; $| = 1;
                print \"closed\\n\"; sleep 1000";
    let world = World::new("noexec").file("/app/file", "read").command(["perl", "-e", text]);
    let c = Inside::start(&world);
    c.wait_log("closed");
    assert!(!c.container.exec(["true"]).unwrap().status.success(), "nothing can be executed there");
    c.gives("/app/file", b"read");
    let listed = c.list("/app/*", &[]).text();
    assert_eq!(listed, "/app/file\n");
}

#[test]
fn a_container_with_users_of_its_own_is_read() {
    require!(Need::Root, Need::Overlay, Need::UserNamespaces);
    let c = Inside::start(
        &World::new("users")
            .user_namespace()
            .file("/app/file", "read")
            .file("/app/closed", "of www-data")
            .prepare("chown 33:33 /app/closed; chmod 0600 /app/closed"),
    );
    c.gives("/app/file", b"read");
    c.gives("/app/closed", b"of www-data");
}

#[test]
fn a_file_of_the_hosts_root_is_not_read_for_a_container_that_could_not_read_it() {
    require!(Need::Root, Need::Overlay, Need::UserNamespaces);
    let scratch = Scratch::new();
    let (closed, open) = (scratch.join("closed"), scratch.join("open"));
    for (file, mode) in [(&closed, 0o600), (&open, 0o644)] {
        std::fs::write(file, "the host's").unwrap();
        std::fs::set_permissions(file, PermissionsExt::from_mode(mode)).unwrap();
    }
    let mounted = |world: World| world.bind(&closed, "/app/closed").bind(&open, "/app/open");
    let c = Inside::start(&mounted(World::new("others").user_namespace()));
    // The oracle: the container's own root.
    assert!(!c.container.exec(["cat", "/app/closed"]).unwrap().status.success());
    assert!(c.container.exec(["cat", "/app/open"]).unwrap().status.success());
    c.refuses("/app/closed", ErrorKind::PermissionDenied);
    c.refuses_in_pid_namespace("/app/closed", ErrorKind::PermissionDenied);
    c.gives("/app/open", b"the host's");
    // Without a user namespace its root is the host's, and reads it.
    let same = Inside::start(&mounted(World::new("same-users")));
    same.gives("/app/closed", b"the host's");
}

#[test]
fn a_directory_that_the_container_could_not_pass_hides_what_is_in_it() {
    require!(Need::Root, Need::Overlay, Need::UserNamespaces);
    let scratch = Scratch::new();
    let (closed, listed) = (scratch.join("closed"), scratch.join("unlisted"));
    for (directory, mode) in [(&closed, 0o700), (&listed, 0o711)] {
        std::fs::create_dir(directory).unwrap();
        // For everybody, had they a way to it.
        std::fs::write(directory.join("file"), "the host's").unwrap();
        std::fs::set_permissions(directory.join("file"), PermissionsExt::from_mode(0o644)).unwrap();
        std::fs::set_permissions(directory, PermissionsExt::from_mode(mode)).unwrap();
    }
    let mounted = |world: World| world.bind(&closed, "/app/closed").bind(&listed, "/app/unlisted");
    let c = Inside::start(&mounted(World::new("passing").user_namespace()).link("/app/way", "closed/file"));
    assert!(!c.container.exec(["cat", "/app/closed/file"]).unwrap().status.success());
    assert!(!c.container.exec(["ls", "/app/unlisted"]).unwrap().status.success());
    for path in ["/app/closed/file", "/app/way", "/app/unlisted/../closed/file"] {
        c.refuses(path, ErrorKind::PermissionDenied);
        c.refuses_in_pid_namespace(path, ErrorKind::PermissionDenied);
    }
    c.gives("/app/unlisted/file", b"the host's");
    let found = c.expand("/app/*/f*", &GlobOptions::default()).unwrap();
    // Two directories, and the link into one of them.
    assert!(found.entries.is_empty() && found.skipped == 3, "{found:?}");
    let same = Inside::start(&mounted(World::new("passing-too")));
    same.gives("/app/closed/file", b"the host's");
}

#[test]
fn a_container_of_a_service_that_is_not_root_is_read() {
    require!(Need::Root, Need::Overlay);
    let world = World::new("service").user("nobody").file_mode("/etc/service.key", "for root only", 0o600);
    let c = Inside::start(&world);
    c.gives("/etc/service.key", b"for root only");
}

#[test]
fn a_process_with_only_some_namespaces_of_its_own_is_read() {
    require!(Need::Root, Need::Overlay);
    for world in [
        World::new("no-net").share_network(),
        World::new("no-pid").share_pid(),
        World::new("no-uts").share_uts(),
        World::new("only-mount").share_network().share_pid().share_uts(),
    ] {
        let c = Inside::start(&world.file("/app/file", "read"));
        c.gives("/app/file", b"read");
    }
    let plain = Inside::start(&World::new("no-mount").share_mount());
    let own = std::fs::read("/etc/passwd").unwrap();
    plain.gives("/etc/passwd", &own);
}

#[test]
fn on_a_mount_of_its_own_a_path_means_what_it_means_elsewhere() {
    require!(Need::Root, Need::Overlay);
    let script = "echo x >/vol/file; mkdir -p /vol/a/b; ln -s a /vol/link; ln -s ../vol/./a//b/../../file /vol/round; \
                  ln -s file/ /vol/wrong; ln -s /vol/file /vol/absolute; ln -s file/. /vol/dot";
    let c = Inside::start(&World::new("volume").tmpfs("/vol").prepare(script));
    for path in
        ["/vol/file", "//vol/./file", "/vol/a/../file", "/vol/link/../file", "/vol/round", "/vol/absolute"]
    {
        c.gives(path, b"x\n");
    }
    for path in
        ["/vol/file/", "/vol/file/.", "/vol/file/..", "/vol/wrong", "/vol/dot", "/vol/none", "/vol/file/x"]
    {
        c.refuses(path, ErrorKind::NotFound);
    }
    for path in ["/vol", "/vol/", "/vol/.", "/vol/a/..", "/vol/link", "/vol/link/"] {
        c.refuses(path, ErrorKind::NotRegular(FileKind::Directory));
    }
}
