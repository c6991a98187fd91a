//! S01 to S09: where a path leads.

use std::time::Duration;

use portolan::ErrorKind;
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::programs::EXCHANGE;
use super::scene::{Ask, Scene};
use crate::scratch::Scratch;

const SECRET: &str = "a secret of the host";
const RACE: Duration = Duration::from_millis(1500);

#[test]
fn s01_an_absolute_link_stays_inside() {
    require!(Need::Root, Need::Overlay);
    let host = Scratch::new();
    let secret = host.file("secret", SECRET).display().to_string();
    let scene = Scene::start(&World::new("s01").link("/app/x", &secret));
    scene.ask(&Ask::read("/app/x")).refused(ErrorKind::NotFound);
    scene.c.shell(&format!("mkdir -p {}; printf inside >{secret}", host.path().display()));
    scene.ask(&Ask::read("/app/x")).gives(b"inside");
}

#[test]
fn s02_dots_stay_below_the_root() {
    require!(Need::Root, Need::Overlay);
    // Which the mount namespace of a container in a chroot shows.
    let host = Scratch::below("/dev/shm");
    let secret = host.file("secret", SECRET).display().to_string();
    let up = "../".repeat(20);
    let world = World::new("s02").link("/app/dots", format!("{up}{}", &secret[1..])).link("/app/up", &up);
    for world in [world.clone(), world.clone().chroot_only(), world.user_namespace()] {
        let scene = Scene::start(&world);
        for path in [format!("/{up}{secret}"), "/app/dots".to_owned(), format!("/app/up{secret}")] {
            scene.ask(&Ask::read(path)).refused(ErrorKind::NotFound);
        }
    }
}

#[test]
fn s03_a_process_in_a_chroot_is_read_below_its_own_root() {
    require!(Need::Root, Need::Overlay);
    let host = Scratch::below("/dev/shm");
    let secret = host.file("secret", SECRET);
    let world = World::new("s03").chroot_only().file("/etc/container-file", "the container's");
    let scene = Scene::start(&world);
    scene.ask(&Ask::read("/etc/container-file")).gives(b"the container's");
    scene.ask(&Ask::read(secret)).refused(ErrorKind::NotFound);
}

#[test]
fn s04_magic_links_are_refused() {
    require!(Need::Root, Need::Overlay);
    let scene = Scene::start(
        &World::new("s04")
            .link("/app/root", "/proc/1/root/etc/passwd")
            .link("/app/cwd", "/proc/1/cwd/etc/passwd")
            .link("/app/fd0", "/proc/self/fd/0"),
    );
    for path in [
        "/proc/1/root/etc/passwd",
        "/proc/1/cwd/etc/passwd",
        "/proc/1/exe",
        "/proc/1/fd/0",
        "/app/root",
        "/app/cwd",
    ] {
        scene.ask(&Ask::read(path)).refused(ErrorKind::MagicLink);
        scene.ask(&Ask::read(path).pid_namespace()).refused(ErrorKind::MagicLink);
    }
    // Outside of the pid namespace `/proc/self` leads nowhere.
    let nowhere = [ErrorKind::MagicLink, ErrorKind::NotFound, ErrorKind::UnsupportedFs];
    for path in ["/app/fd0", "/proc/self/fd/0"] {
        scene.ask(&Ask::read(path)).refused_as(&nowhere);
    }
    scene.ask(&Ask::read("/proc/self/fd/0").pid_namespace()).refused(ErrorKind::MagicLink);
    scene.ask(&Ask::read("/app/fd0").pid_namespace()).refused(ErrorKind::MagicLink);
}

#[test]
fn s05_nothing_of_the_agent_is_read_by_way_of_itself() {
    require!(Need::Root, Need::Overlay);
    let world = World::new("s05").link("/app/selfenv", "/proc/self/environ").link("/app/fd0", "/dev/stdin");
    for world in [world.clone(), world.share_pid()] {
        let scene = Scene::start_with(&world, &[("AGENT_KEY", "s3cr3t")]);
        for path in
            ["/app/selfenv", "/app/fd0", "/proc/self/environ", "/proc/thread-self/environ", "/proc/self/fd/0"]
        {
            let told = scene.ask(&Ask::read(path));
            assert!(told.kind().is_some() || told.bytes().is_empty(), "{path}: {}", told.shown());
            let joined = scene.ask(&Ask::read(path).pid_namespace());
            for told in [told, joined] {
                assert!(!told.shown().contains("s3cr3t"), "{path}: {}", told.shown());
            }
        }
    }
}

#[test]
fn s06_loops_and_long_chains_of_links_are_given_up() {
    require!(Need::Root, Need::Overlay);
    let mut world = World::new("s06").link("/app/a", "b").link("/app/b", "a").file("/app/0", "the end");
    for link in 1..=41 {
        world = world.link(format!("/app/{link}"), format!("{}", link - 1));
    }
    for world in [world.clone(), world.user_namespace()] {
        let scene = Scene::start(&world);
        scene.ask(&Ask::read("/app/a")).refused(ErrorKind::SymlinkLoop);
        scene.ask(&Ask::read("/app/41")).refused(ErrorKind::SymlinkLoop);
        scene.ask(&Ask::read("/app/40")).gives(b"the end");
    }
}

#[test]
fn s07_a_maze_of_links_costs_its_time_and_no_more() {
    require!(Need::Root, Need::Overlay);
    // 40 links of 1600 names each.
    let script = "
        mkdir -p /app/d; cd /app; printf 'the end' >0
        way=$(printf 'd/../%.0s' $(seq 800)); below=0
        for link in $(seq 40); do ln -s $way$below $link; below=$link; done";
    let world = World::new("s07").prepare(script);
    for world in [world.clone(), world.user_namespace()] {
        let scene = Scene::start(&world);
        let told = scene.ask(&Ask::read("/app/40"));
        if told.kind() != Some("Timeout") {
            told.gives(b"the end");
        }
        let told = scene.ask(&Ask::read("/app/40").timeout(Duration::from_millis(30)));
        if told.kind() != Some("Timeout") {
            told.gives(b"the end");
        }
    }
}

#[test]
fn s08_a_link_that_takes_a_directorys_place_leads_to_no_file_of_the_host() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"));
    let host = Scratch::below("/dev/shm");
    host.file("file", SECRET);
    let (place, up) = (host.path().display(), "../".repeat(20));
    let world = World::new("s08")
        .file("/app/a/file", "inside")
        .link("/app/b", place.to_string())
        .file("/app/c/d/file", "inside")
        .link("/app/c/e", format!("{up}{}", &place.to_string()[1..]))
        .command(["python3", "-c", EXCHANGE, "/app/a", "/app/b", "/app/c/d", "/app/c/e"]);
    for world in [world.clone(), world.clone().chroot_only(), world.user_namespace()] {
        let scene = Scene::start(&world);
        scene.c.wait_log("exchanging");
        for path in ["/app/a/file", "/app/c/d/file"] {
            let tally = scene.repeat(&Ask::read(path), RACE / 4);
            tally.only(&["ok:inside", "NotFound"]);
            assert!(tally.count("ok:inside") > 0 && tally.count("NotFound") > 0, "no race: {tally:?}");
        }
    }
}

#[test]
fn s09_a_storm_of_renames_neither_holds_a_path_with_dots_nor_shows() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"));
    let host = Scratch::below("/dev/shm");
    host.file("file", SECRET);
    let world = World::new("s09")
        .file("/app/file", "inside")
        .directory("/app/a/x/y")
        .directory("/app/b/x/y")
        .directory("/out")
        .link("/app/dots", format!("a/x/../../../../..{}/file", host.path().display()))
        .command(["python3", "-c", EXCHANGE, "/app/a", "/app/b", "/app/a/x", "/out"]);
    for world in [world.clone(), world.clone().chroot_only(), world.user_namespace()] {
        let scene = Scene::start(&world);
        scene.c.wait_log("exchanging");
        let tally = scene.repeat(&Ask::read("/app/b/../a/x/../../file"), RACE / 4);
        tally.only(&["ok:inside", "NotFound"]);
        assert!(tally.count("ok:inside") > 0, "{tally:?}");
        scene.repeat(&Ask::read("/app/dots"), RACE / 4).only(&["NotFound"]);
    }
}
