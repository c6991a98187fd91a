//! Containers of unusual make: no `/proc`, nothing executable, users of their own, no namespaces but a few.

use std::os::unix::fs::PermissionsExt;

use portolan::ErrorKind;
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
