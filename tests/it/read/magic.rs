//! Magic links of `/proc`, and the environment of whoever asks: neither is a way out of, or into, anything.

use portolan::{ErrorKind, ReadOptions};
use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::command::{Ran, command, helper, run};
use crate::inside::Inside;

/// What an agent's environment may hold and must never be read by anybody.
const SECRET: &str = "s3cr3t-of-the-agent";

#[test]
fn magic_links_are_refused() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(
        &World::new("magic").link("/app/escape", "/proc/1/root/etc/passwd").link("/app/root", "/proc/1/root"),
    );
    for path in [
        "/proc/1/root/etc/passwd",
        "/proc/1/cwd/etc/passwd",
        "/proc/1/exe",
        "/proc/1/fd/0",
        "/proc/1/ns/net",
        "/app/escape",
        "/app/root/etc/passwd",
    ] {
        let line = c.refuses(path, ErrorKind::MagicLink);
        assert!(line.contains("magic link"), "{line}");
    }
}

#[test]
fn magic_links_of_the_helper_itself_are_refused() {
    require!(Need::Root, Need::Overlay);
    let world = World::new("own-magic").link("/app/self", "/proc/self/exe");
    for c in [Inside::start(&world), Inside::start(&world.clone().share_pid())] {
        for path in ["/proc/self/exe", "/proc/self/root/etc/passwd", "/proc/thread-self/cwd", "/app/self"] {
            c.refuses_in_pid_namespace(path, ErrorKind::MagicLink);
        }
    }
}

#[test]
fn without_the_pid_namespace_proc_self_is_not_there() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("no-self"));
    for path in ["/proc/self/environ", "/proc/self/status", "/proc/thread-self/status"] {
        c.refuses(path, ErrorKind::NotFound);
    }
}

#[test]
fn with_the_pid_namespace_proc_self_is_the_helper_inside() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("self"));
    let how = ReadOptions::default().pid_namespace();
    let arguments = c.read("/proc/self/cmdline", &how).unwrap().bytes;
    assert!(arguments.starts_with(b"portolan-helper\0"), "{}", arguments.escape_ascii());
    let status = String::from_utf8(c.read("/proc/self/status", &how).unwrap().bytes).unwrap();
    let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    assert_eq!(field("Name:"), "portolan-helper", "whoever sees it in `ps` should know what it is");
    assert_eq!(field("NSpid:").split('\t').count(), 1, "it shows the pid inside only: {status}");
    assert!(c.cat("/proc/self/status", &["--pid-namespace"]).text().contains("NSpid:"));
}

#[test]
fn the_agents_environment_is_never_seen() {
    require!(Need::Root, Need::Overlay);
    let own = Inside::start(&World::new("environ"));
    // Here `/proc/self` is the helper even if no pid namespace is joined.
    let shared = Inside::start(&World::new("environ-shared").share_pid());
    for c in [&own, &shared] {
        for options in [&[][..], &["--pid-namespace"]] {
            for path in ["/proc/self/environ", "/proc/thread-self/environ", "/proc/self/task/../environ"] {
                nothing_told(&by_command(c, path, options));
                nothing_told(&by_helper(c, path, options));
            }
        }
    }
    let ran = by_command(&own, "/proc/self/environ", &[]);
    assert!(ran.failed(1).contains("not found"), "{ran:?}");
}

#[track_caller]
fn nothing_told(ran: &Ran) {
    let all = [ran.stdout.as_slice(), ran.stderr.as_bytes()].concat();
    assert!(!String::from_utf8_lossy(&all).contains(SECRET), "{ran:?}");
    assert!(!String::from_utf8_lossy(&all).contains("AGENT_KEY"), "{ran:?}");
}

fn by_command(c: &Inside, path: &str, options: &[&str]) -> Ran {
    let mut cat = command(["cat", &c.target(), path]);
    run(cat.args(options).env("AGENT_KEY", SECRET), b"")
}

/// Started from its file, by an agent that hands its environment down without a thought.
fn by_helper(c: &Inside, path: &str, options: &[&str]) -> Ran {
    let mut read = std::process::Command::new(helper());
    read.args(["read", "--pid", &c.pid().to_string()]).args(options).args(["--", path]);
    run(read.env("AGENT_KEY", SECRET), b"")
}
