//! `Dialer::runtime`: what runs there is inside, with all that it starts, and nothing else is.

use std::fs;
use std::process::Command;
use std::sync::mpsc;
use std::thread::sleep;
use std::time::Duration;

use portolan::runtime::Runtime;
use portolan::{Dialer, ErrorKind};
use portolan_world::need::Need;
use portolan_world::{World, require};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::{Decoy, dialer, echoing, soon};
use crate::inside::{Inside, SOON};
use crate::oracle;

/// The network namespace of the calling thread.
fn here() -> u64 {
    let link = fs::read_link("/proc/thread-self/ns/net").unwrap();
    oracle::number_of_link(link.to_str().unwrap()).unwrap()
}

/// How many threads of this process are in a network namespace.
fn threads_in(netns: u64) -> usize {
    let link = format!("net:[{netns}]");
    let tasks = fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
    tasks
        .filter(|t| fs::read_link(t.path().join("ns/net")).is_ok_and(|l| l.as_os_str() == link.as_str()))
        .count()
}

/// How many descriptors of this process are of a network namespace.
fn held(netns: u64) -> usize {
    let link = format!("net:[{netns}]");
    let fds = fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok);
    fds.filter(|fd| fs::read_link(fd.path()).is_ok_and(|l| l.as_os_str() == link.as_str())).count()
}

#[test]
fn what_runs_there_connects_inside_and_never_to_the_host() {
    require!(Need::Root, Need::Overlay);
    let decoy = Decoy::new();
    let (to, home) = (decoy.address(), here());
    let c = echoing("t-runtime", &[("127.0.0.1", to.port())]);
    let netns = oracle::namespace(c.pid(), "net");
    let runtime = dialer(&c).runtime().unwrap();
    // As a client does that knows nothing of this: an ordinary connect, the standard library's and tokio's.
    let banner = runtime.run_blocking(move || async move {
        let mut banner = [[0; 6]; 2];
        TcpStream::connect(to).await?.read_exact(&mut banner[0]).await?;
        let blocking = move || {
            let mut stream = std::net::TcpStream::connect(to)?;
            std::io::Read::read_exact(&mut stream, &mut banner[1]).map(|()| banner)
        };
        tokio::task::spawn_blocking(blocking).await.unwrap()
    });
    assert_eq!(banner.unwrap().unwrap(), [*b"inside"; 2]);
    decoy.untouched();
    assert_eq!(here(), home);
    assert!(runtime.is_running());
    assert!(threads_in(netns) >= 1);
    assert!(runtime.shutdown(SOON));
    assert_eq!((threads_in(netns), held(netns)), (0, 0));
}

#[test]
fn all_that_is_started_there_is_inside() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("t-threads"));
    let netns = oracle::namespace(c.pid(), "net");
    let runtime = dialer(&c).runtime().unwrap();
    let seen = runtime.run_blocking(|| async {
        let spawned = tokio::spawn(async { here() }).await.unwrap();
        let blocking = tokio::task::spawn_blocking(here).await.unwrap();
        let thread = std::thread::spawn(|| std::thread::spawn(here).join().unwrap()).join().unwrap();
        let others = std::thread::spawn(|| {
            let many = tokio::runtime::Builder::new_multi_thread().worker_threads(3).build().unwrap();
            let tasks: Vec<_> = (0..20)
                .map(|n| {
                    many.spawn(async move {
                        if n % 2 == 0 { here() } else { tokio::task::spawn_blocking(here).await.unwrap() }
                    })
                })
                .collect();
            let seen: Vec<u64> = tasks.into_iter().map(|task| many.block_on(task).unwrap()).collect();
            seen
        });
        [vec![here(), spawned, blocking, thread], others.join().unwrap()].concat()
    });
    assert!(seen.as_ref().unwrap().iter().all(|at| *at == netns), "{seen:?}");
    // A handle that got out: the pool grows from a thread at home, and is inside nevertheless.
    let handle = runtime.run_blocking(|| async { tokio::runtime::Handle::current() }).unwrap();
    let (sender, receiver) = mpsc::channel();
    for _ in 0..8 {
        let sender = sender.clone();
        handle.spawn_blocking(move || {
            sender.send(here()).unwrap();
            sleep(Duration::from_millis(20));
        });
    }
    let seen: Vec<u64> = (0..8).map(|_| receiver.recv_timeout(SOON).unwrap()).collect();
    assert_eq!(seen, [netns; 8]);
    assert!(runtime.shutdown(SOON));
    // The handle is still there, and holds nothing.
    assert_eq!((threads_in(netns), held(netns)), (0, 0));
    drop(handle);
}

#[test]
fn futures_that_cannot_be_sent_run_there_side_by_side_and_one_that_panics_harms_none() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("t-jobs"));
    let runtime = dialer(&c).runtime().unwrap();
    let home = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    home.block_on(async {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        // The first waits for the second.
        let first = runtime.run(|| async {
            let not_send = std::rc::Rc::new(1);
            receiver.await.unwrap() + *not_send
        });
        let second = runtime.run(|| async { sender.send(41).unwrap() });
        second.await.unwrap();
        assert_eq!(first.await.unwrap(), 42);

        let panicked = runtime
            .run(|| async {
                if here() > 0 {
                    panic!("on purpose")
                }
            })
            .await;
        assert_eq!(panicked.map_err(|e| e.kind()), Err(ErrorKind::Io));
        let panicked = runtime.run(|| if here() > 0 { panic!("on purpose") } else { async {} }).await;
        assert_eq!(panicked.map_err(|e| e.kind()), Err(ErrorKind::Io));
        assert_eq!(runtime.run(|| async { 7 }).await.unwrap(), 7);

        // One that is dropped is cancelled.
        let (alive, dropped) = tokio::sync::oneshot::channel::<()>();
        let forgotten = runtime.run(|| async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        });
        runtime.run(|| async {}).await.unwrap();
        drop(forgotten);
        assert!(tokio::time::timeout(SOON, dropped).await.unwrap().is_err());
    });
    let lost = runtime.run(std::future::pending::<()>);
    drop(runtime);
    assert_eq!(home.block_on(lost).map_err(|e| e.kind()), Err(ErrorKind::Io));
}

#[test]
fn ends_with_its_container_and_lets_the_namespace_go() {
    require!(Need::Root, Need::Overlay, Need::Program("lsns"));
    let c = Inside::start(&World::new("t-runtime-dies"));
    let netns = oracle::namespace(c.pid(), "net");
    let dialer = dialer(&c);
    let runtime: Runtime = dialer.runtime().unwrap();
    let waiting = runtime.run(std::future::pending::<()>);
    drop(c);
    let home = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let lost = home.block_on(async { tokio::time::timeout(SOON, waiting).await.unwrap() });
    assert_eq!(lost.map_err(|e| e.kind()), Err(ErrorKind::TargetGone));
    soon("over", || !runtime.is_running());
    assert_eq!(runtime.run_blocking(|| async {}).map_err(|e| e.kind()), Err(ErrorKind::TargetGone));
    assert_eq!(dialer.runtime().map(drop).map_err(|e| e.kind()), Err(ErrorKind::TargetGone));
    soon("left", || (threads_in(netns), held(netns)) == (0, 0));
    let listed = || {
        let output = Command::new("lsns").args(["-t", "net", "-n", "-r", "-o", "NS"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().any(|line| line == netns.to_string())
    };
    soon("let go", || !listed());
    assert!(runtime.shutdown(SOON));
}

#[test]
fn a_thread_that_blocks_is_told_at_the_shutdown() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("t-blocked"));
    let netns = oracle::namespace(c.pid(), "net");
    let runtime = dialer(&c).runtime().unwrap();
    let (release, blocked) = mpsc::channel::<()>();
    let (begun, begin) = mpsc::channel();
    let work = move || async move {
        tokio::task::spawn_blocking(move || {
            begun.send(()).unwrap();
            let _ = blocked.recv();
        });
    };
    runtime.run_blocking(work).unwrap();
    begin.recv_timeout(SOON).unwrap();
    let start = std::time::Instant::now();
    assert!(!runtime.shutdown(Duration::from_millis(100)));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    drop(release);
    soon("left", || threads_in(netns) == 0);
}

#[test]
fn a_runtime_can_be_dropped_and_shut_down_from_a_task() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("t-from-task"));
    let netns = oracle::namespace(c.pid(), "net");
    let home = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    home.block_on(async {
        for shut in [false, true] {
            let runtime = dialer(&c).runtime().unwrap();
            assert_eq!(runtime.run(|| async { here() }).await.unwrap(), netns);
            if shut {
                assert!(runtime.shutdown(SOON));
            } else {
                drop(runtime);
            }
        }
    });
    soon("left", || threads_in(netns) == 0);
}

#[test]
fn on_the_hosts_network_there_is_none_unless_that_is_allowed() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("t-runtime-host").share_network());
    let process = || portolan::Process::reopen(c.process.id()).unwrap();
    assert_eq!(Dialer::new(process()).map(drop).map_err(|e| e.kind()), Err(ErrorKind::NamespaceMismatch));
    let runtime = Dialer::allowing_host_network(process()).unwrap().runtime().unwrap();
    assert_eq!(runtime.run_blocking(|| async { here() }).unwrap(), here());
}
