//! Symbolic links and `..`: they lead where they lead for a process inside, and never to the host.

use portolan::ErrorKind;
use portolan_world::World;
use portolan_world::need::Need;
use portolan_world::require;

use crate::inside::Inside;
use crate::scratch::Scratch;

#[test]
fn a_loop_and_a_chain_of_41_links_are_told_apart_from_one_of_40() {
    require!(Need::Root, Need::Overlay);
    let mut world = World::new("chain").file("/app/0", "the end").link("/app/loop", "loop");
    world = world.link("/app/ping", "pong").link("/app/pong", "ping").link("/app/dir", ".");
    for link in 1..=41 {
        world = world.link(format!("/app/{link}"), format!("{}", link - 1));
    }
    let c = Inside::start(&world);
    c.gives("/app/40", b"the end");
    for path in ["/app/41", "/app/loop", "/app/ping", "/app/loop/below"] {
        assert!(c.refuses(path, ErrorKind::SymlinkLoop).contains("too many symbolic links"));
    }
    c.gives("/app/dir/dir/dir/dir/0", b"the end");
}

#[test]
fn an_absolute_link_leads_to_the_file_inside_and_never_to_the_hosts() {
    require!(Need::Root, Need::Overlay);
    let host = Scratch::new();
    let both = host.file("both", "the host's").display().to_string();
    let only = host.file("only", "the host's").display().to_string();
    let c = Inside::start(
        &World::new("absolute")
            .file(&both, "the container's")
            .link("/app/both", &both)
            .link("/app/only", &only)
            .link("/app/directory", host.path().display().to_string()),
    );
    for path in ["/app/both", "/app/directory/both", &both, &format!("/..{both}")] {
        c.gives(path, b"the container's");
    }
    for path in ["/app/only", "/app/directory/only", &only, &format!("/app/../..{only}")] {
        c.refuses(path, ErrorKind::NotFound);
    }
}

#[test]
fn dots_beyond_the_root_stay_at_the_root() {
    require!(Need::Root, Need::Overlay);
    let host = Scratch::new();
    let only = host.file("only", "the host's").display().to_string();
    let up = "../".repeat(30);
    let c = Inside::start(
        &World::new("dots")
            .file("/etc/hostname", "inside\n")
            .link("/app/up", format!("{up}etc/hostname"))
            .link("/app/out", format!("{up}{}", &only[1..]))
            .link("/app/root", up.trim_end_matches('/')),
    );
    for path in [format!("/{up}etc/hostname"), format!("/app/{up}etc/hostname")] {
        c.gives(path, b"inside\n");
    }
    c.gives("/app/up", b"inside\n");
    c.gives("/app/root/etc/hostname", b"inside\n");
    c.refuses("/app/out", ErrorKind::NotFound);
    c.refuses(format!("/{up}{}", &only[1..]), ErrorKind::NotFound);
}

#[test]
fn a_process_in_a_chroot_is_read_below_its_own_root() {
    require!(Need::Root, Need::Overlay);
    // The container's mount namespace shows this, its process's root does not: /dev is its own there.
    let host = Scratch::below("/dev/shm");
    let outside = host.file("outside", "the host's").display().to_string();
    let c = Inside::start(
        &World::new("jail")
            .chroot_only()
            .file("/etc/hostname", "in the chroot\n")
            .link("/app/out", &outside)
            .link("/app/up", format!("../../..{outside}")),
    );
    let seen = std::process::Command::new("nsenter")
        .args(["-t", &c.pid().to_string(), "-m", "cat", &outside])
        .output()
        .unwrap();
    assert_eq!(seen.stdout, b"the host's", "without the chroot it is there, or this test shows nothing");
    c.gives("/etc/hostname", b"in the chroot\n");
    c.gives("/../../etc/hostname", b"in the chroot\n");
    // `/tmp/upper` is where the container's layers lie, above its root.
    for path in
        [outside.as_str(), "/app/out", "/app/up", "/../tmp/upper/etc/hostname", "/tmp/upper/etc/hostname"]
    {
        c.refuses(path, ErrorKind::NotFound);
    }
}
