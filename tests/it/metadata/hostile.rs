//! Sockets that hang, flood, lie or belong to the wrong user. In each test an honest one stands beside the other, and must
//! be heard.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use portolan::Runtimes;
use portolan::metadata::{Answer, Trouble};
use portolan_world::need::Need;
use portolan_world::require;
use serde_json::Value;

use super::scene::{Lone, RunUser, Server, UsersServer, VERSION, give, honest, inspected};
use super::{PATIENCE, SLACK, ask, chart};
use crate::command::{command, run};
use crate::scratch::Scratch;

/// A user id that nobody has.
const USER: u32 = 60_433;

/// What one socket does to another, which serves the same container honestly.
#[track_caller]
fn beside_an_honest_one(
    deadline: Duration,
    evil: impl Fn(&str, &mut UnixStream) + Send + Sync + 'static,
) -> (Answer, PathBuf) {
    let (lone, scratch) = (Lone::start(), Scratch::new());
    let good = Server::start(scratch.path().join("good.sock"), honest(&lone.id, lone.pid()));
    let evil = Server::start(scratch.path().join("evil.sock"), evil);
    let chart = lone.chart();
    let answer = ask(&Runtimes::with_sockets([&evil.path, &good.path]), &chart, deadline);
    let metadata = answer.containers.get(&lone.id).unwrap_or_else(|| panic!("it is lost: {answer:?}"));
    assert_eq!((metadata.name.as_deref(), &metadata.socket), (Some("told"), &good.path));
    assert!(answer.faults.iter().all(|fault| fault.socket == evil.path), "{answer:?}");
    (answer, evil.path)
}

#[track_caller]
fn only_trouble(answer: &Answer) -> &Trouble {
    let [fault] = answer.faults.as_slice() else { panic!("not one fault: {answer:?}") };
    &fault.trouble
}

#[test]
fn a_socket_that_never_answers_costs_the_deadline_and_nothing_else() {
    require!(Need::Root);
    let (answer, _) = beside_an_honest_one(Duration::from_millis(500), |_, _| sleep(Duration::from_secs(5)));
    assert_eq!(only_trouble(&answer), &Trouble::Deadline);
    // One that says who it is, and then nothing.
    let (answer, _) = beside_an_honest_one(Duration::from_millis(500), |asked, stream| match asked {
        "/version" => give(stream, VERSION),
        _ => sleep(Duration::from_secs(5)),
    });
    assert_eq!(only_trouble(&answer), &Trouble::Deadline);
}

/// A person waits half a second for a daemon that hangs, and sees the whole chart.
#[test]
fn the_command_does_not_wait_for_a_daemon_that_hangs() {
    require!(Need::Root);
    let (lone, scratch) = (Lone::start(), Scratch::new());
    let server = Server::start(scratch.path().join("s"), |_, _| sleep(Duration::from_secs(5)));
    let scan = |options: &[&str]| -> (Value, Duration) {
        let mut command = command([&["scan", "--json"], options].concat());
        let ran = run(command.env("DOCKER_HOST", format!("unix://{}", server.path.display())), b"");
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
        (serde_json::from_slice(&ran.stdout).unwrap(), ran.took)
    };
    let faults = |chart: &Value| -> usize {
        let path = server.path.display().to_string();
        let all = chart["faults"].as_array().unwrap().iter();
        all.filter(|fault| fault["message"].as_str().unwrap().contains(&path)).count()
    };
    let (chart, took) = scan(&[]);
    assert!(took < Duration::from_millis(500) + SLACK, "{took:?}");
    let container = chart["containers"].as_array().unwrap().iter().find(|c| c["id"] == lone.id);
    assert_eq!(container.unwrap_or_else(|| panic!("it is lost: {chart:#}"))["metadata"], Value::Null);
    assert_eq!(faults(&chart), 1, "{chart:#}");
    assert_eq!(faults(&scan(&["--no-runtime-api"]).0), 0, "it is not asked");
}

#[test]
fn garbage_is_a_fault() {
    require!(Need::Root);
    for garbage in [
        "\u{0}\u{1}\u{2}\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n",
        "",
        "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{",
    ] {
        let (answer, _) =
            beside_an_honest_one(PATIENCE, move |_, stream| drop(stream.write_all(garbage.as_bytes())));
        assert!(
            matches!(only_trouble(&answer), Trouble::Nonsense(_) | Trouble::Io { .. }),
            "{garbage:?}: {answer:?}"
        );
    }
    let bodies = ["", "[]", "{\"Id\":1}", "{\"State\":{\"Status\":\"\u{1b}[2J\"}}", &"[".repeat(100_000)];
    for body in bodies.map(str::to_owned) {
        let (answer, _) = beside_an_honest_one(PATIENCE, move |asked, stream| match asked {
            "/version" => give(stream, VERSION),
            _ => give(stream, &body),
        });
        assert!(!answer.faults.is_empty());
        for fault in &answer.faults {
            assert!(!fault.to_string().contains(char::is_control), "{fault:?}");
        }
    }
}

#[test]
fn headers_and_bodies_without_end_meet_a_limit() {
    require!(Need::Root);
    let (answer, _) = beside_an_honest_one(PATIENCE, |_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(b"X-More: and more\r\n").is_ok() {}
    });
    assert!(matches!(only_trouble(&answer), Trouble::TooMuch(_) | Trouble::Nonsense(_)), "{answer:?}");
    let (before, start) = (resident(), Instant::now());
    let (answer, _) = beside_an_honest_one(PATIENCE, |asked, stream| match asked {
        "/version" => give(stream, VERSION),
        _ => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n{\"a\":\"");
            let piece = vec![b'x'; 1 << 20];
            for _ in 0..1024 {
                if stream.write_all(&piece).is_err() {
                    return;
                }
            }
        }
    });
    assert!(matches!(only_trouble(&answer), Trouble::TooMuch(_)), "{answer:?}");
    assert!(start.elapsed() < PATIENCE, "the limit is met long before the deadline");
    let grown = resident().saturating_sub(before);
    assert!(grown < 512 << 20, "{grown} bytes more");
}

/// The most memory that this process ever had, in bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn a_megabyte_of_label_and_control_characters_are_data() {
    require!(Need::Root);
    let (lone, scratch) = (Lone::start(), Scratch::new());
    let long = "x".repeat(1 << 20);
    let body = inspected(&lone.id, lone.pid())
        .replace(r#""a":"b""#, &format!(r#""a":"{long}","c":"\u001b[2J\n\u0000\u202e""#));
    let server = Server::start(scratch.path().join("s"), move |asked, stream| match asked {
        "/version" => give(stream, VERSION),
        _ => give(stream, &body),
    });
    let answer = ask(&Runtimes::with_sockets([&server.path]), &lone.chart(), PATIENCE);
    let metadata = &answer.containers[&lone.id];
    assert_eq!(metadata.labels["a"], long);
    assert_eq!(metadata.labels["c"], "\u{1b}[2J\n\u{0}\u{202e}");
    let shown = metadata.to_string();
    assert!(!shown.contains(|c: char| c.is_control() || c == '\u{202e}'), "it forges a line");
}

#[test]
fn a_daemon_that_names_another_first_process_is_not_believed() {
    require!(Need::Root);
    let (lone, other, scratch) = (Lone::start(), Lone::start(), Scratch::new());
    for wrong in [1, 0, -1, i32::MAX, other.pid(), std::process::id().try_into().unwrap()] {
        let server = Server::start(scratch.path().join(format!("{wrong}")), honest(&lone.id, wrong));
        let chart = lone.chart();
        let mut applied = chart.clone();
        let answer = ask(&Runtimes::with_sockets([&server.path]), &chart, PATIENCE);
        let contradiction = Trouble::Contradiction { said: i64::from(wrong), is: lone.pid() };
        assert_eq!(only_trouble(&answer), &contradiction);
        assert!(!answer.containers.contains_key(&lone.id), "{answer:?}");
        answer.apply(&mut applied);
        assert_eq!(applied.containers, chart.containers, "the kernel's word stands");
    }
}

#[test]
fn many_can_ask_at_once() {
    require!(Need::Root);
    let (lone, scratch) = (Lone::start(), Scratch::new());
    let answer = honest(&lone.id, lone.pid());
    let server = Server::start(scratch.path().join("s"), move |asked, stream| {
        sleep(Duration::from_millis(100));
        answer(asked, stream);
    });
    let (runtimes, chart) = (Runtimes::with_sockets([&server.path]), lone.chart());
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| ask(&runtimes, &chart, PATIENCE))).collect();
        for answer in all {
            let answer = answer.join().unwrap();
            assert!(answer.faults.is_empty() && answer.containers[&lone.id].current, "{answer:?}");
        }
    });
}

/// Few bytes that would take much memory.
#[test]
fn a_million_empty_mounts_are_not_read() {
    require!(Need::Root);
    let many = vec!["{}"; 1_000_000].join(",");
    let (answer, _) = beside_an_honest_one(PATIENCE, move |asked, stream| match asked {
        "/version" => give(stream, VERSION),
        _ => give(stream, &format!(r#"{{"Mounts":[{many}]}}"#)),
    });
    assert!(matches!(only_trouble(&answer), Trouble::Nonsense(_)), "{answer:?}");
}

/// By its number alone it would be the right one.
#[test]
fn an_answer_about_another_container_is_none() {
    require!(Need::Root);
    let (lone, scratch) = (Lone::start(), Scratch::new());
    let body = inspected(&"ab".repeat(32), lone.pid());
    let server = Server::start(scratch.path().join("s"), move |asked, stream| match asked {
        "/version" => give(stream, VERSION),
        _ => give(stream, &body),
    });
    let answer = ask(&Runtimes::with_sockets([&server.path]), &lone.chart(), PATIENCE);
    assert!(matches!(only_trouble(&answer), Trouble::Nonsense(_)), "{answer:?}");
    assert!(answer.containers.is_empty());
}

#[test]
fn what_was_said_before_is_not_lost_when_the_daemon_hangs() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    require!(Need::Root);
    let (lone, scratch) = (Lone::start(), Scratch::new());
    let hangs = Arc::new(AtomicBool::new(false));
    let (told, answer) = (Arc::clone(&hangs), honest(&lone.id, lone.pid()));
    let server = Server::start(scratch.path().join("s"), move |asked, stream| {
        while told.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(20));
        }
        answer(asked, stream);
    });
    let runtimes = Runtimes::with_sockets([&server.path]);
    assert!(ask(&runtimes, &lone.chart(), PATIENCE).containers[&lone.id].current);
    hangs.store(true, Ordering::Relaxed);
    let answer = ask(&runtimes, &lone.chart(), Duration::from_millis(300));
    assert_eq!(only_trouble(&answer), &Trouble::Deadline);
    assert_eq!(answer.containers[&lone.id].name.as_deref(), Some("told"));
    assert!(!answer.containers[&lone.id].current, "it did not say so now");
    hangs.store(false, Ordering::Relaxed);
    assert!(ask(&runtimes, &lone.chart(), PATIENCE).containers[&lone.id].current);
}

#[test]
fn a_users_socket_speaks_of_that_users_containers_only() {
    require!(Need::Root, Need::File("/usr/bin/python3"), Need::Program("setpriv"));
    let (lone, scratch) = (Lone::start(), Scratch::new());
    let open = scratch.path().join("users");
    fs::create_dir(&open).unwrap();
    chown(&open, Some(USER), Some(USER)).unwrap();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = open.join("podman.sock");
    let _server = UsersServer::start(USER, &path, &lone.id, lone.pid());
    // The number is right, the user is not.
    let answer = ask(&Runtimes::with_sockets([&path]), &lone.chart(), PATIENCE);
    assert!(answer.containers.is_empty(), "{answer:?}");
}

/// What a user lays in their own directory leads us to no service of root's.
#[test]
fn a_users_directory_leads_nowhere_else() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    require!(Need::Root, Need::File("/usr/bin/python3"), Need::Program("setpriv"));
    let (lone, scratch, run) = (Lone::start(), Scratch::new(), RunUser::new(USER + 1));
    let asked = Arc::new(AtomicBool::new(false));
    let (told, answer) = (Arc::clone(&asked), honest(&lone.id, lone.pid()));
    let server = Server::start(scratch.path().join("roots.sock"), move |path, stream| {
        told.store(true, Ordering::Relaxed);
        answer(path, stream);
    });
    let places = [run.path.join("docker.sock"), run.path.join("podman")];
    symlink(&server.path, &places[0]).unwrap();
    symlink(scratch.path(), &places[1]).unwrap();
    fs::hard_link(&server.path, run.path.join("hard")).ok();
    let answer = ask(&Runtimes::new(), &lone.chart(), PATIENCE);
    assert!(!answer.containers.contains_key(&lone.id), "{answer:?}");
    assert!(!asked.load(Ordering::Relaxed), "root's service was asked by way of a user's link");
    // The user's own server, at the usual place.
    fs::remove_file(&places[0]).unwrap();
    let _users = UsersServer::start(USER + 1, &places[0], &lone.id, lone.pid());
    let answer = ask(&Runtimes::new(), &lone.chart(), PATIENCE);
    assert!(!answer.containers.contains_key(&lone.id), "{answer:?}");
}

/// An image's digests are asked for once: an id stands for one content.
#[test]
fn digests_are_the_images() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    require!(Need::Root);
    let (lone, scratch) = (Lone::start(), Scratch::new());
    let image = format!("sha256:{}", "ab".repeat(32));
    let digest = format!("registry.example/web@sha256:{}", "cd".repeat(32));
    let body = inspected(&lone.id, lone.pid()).replace(r#""Name""#, &format!(r#""Image":"{image}","Name""#));
    let (times, images) =
        (Arc::new(AtomicU32::new(0)), format!(r#"{{"Id":"{image}","RepoDigests":["{digest}"]}}"#));
    let counted = Arc::clone(&times);
    let server = Server::start(scratch.path().join("s"), move |asked, stream| match asked {
        "/version" => give(stream, VERSION),
        asked if asked.contains("/images/") => {
            counted.fetch_add(1, Ordering::Relaxed);
            give(stream, &images);
        }
        _ => give(stream, &body),
    });
    let runtimes = Runtimes::with_sockets([&server.path]);
    for _ in 0..2 {
        let answer = ask(&runtimes, &lone.chart(), PATIENCE);
        let known = &answer.containers[&lone.id].image;
        assert_eq!((known.id.as_ref(), known.digests.as_slice()), (Some(&image), &[digest.clone()][..]));
    }
    assert_eq!(times.load(Ordering::Relaxed), 1);
}

#[test]
fn a_task_can_ask_both_ways() {
    require!(Need::Root);
    let (lone, scratch) = (Lone::start(), Scratch::new());
    let server = Server::start(scratch.path().join("s"), honest(&lone.id, lone.pid()));
    let (runtimes, chart) = (Runtimes::with_sockets([&server.path]), lone.chart());
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tokio.block_on(async {
        assert!(runtimes.ask_async(&chart, PATIENCE).await.containers.contains_key(&lone.id));
        assert!(runtimes.ask(&chart, PATIENCE).containers.contains_key(&lone.id));
    });
}

#[test]
fn what_is_no_socket_is_a_fault_and_what_is_not_there_too_if_it_was_named() {
    require!(Need::Root);
    let (lone, scratch) = (Lone::start(), Scratch::new());
    let file = scratch.path().join("file");
    fs::write(&file, "").unwrap();
    let answer = ask(&Runtimes::with_sockets([&file]), &lone.chart(), PATIENCE);
    assert_eq!(only_trouble(&answer), &Trouble::NoSocket);
    let answer = ask(&Runtimes::with_sockets([scratch.path().join("none")]), &lone.chart(), PATIENCE);
    assert!(matches!(only_trouble(&answer), Trouble::Io { kind: portolan::ErrorKind::NotFound, .. }));
    // Nobody to ask about: nobody is asked.
    let mut empty = chart();
    empty.containers.clear();
    assert!(ask(&Runtimes::with_sockets([&file]), &empty, PATIENCE).faults.is_empty());
}
