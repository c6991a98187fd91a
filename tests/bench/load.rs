//! Many containers, some of which hang.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use portolan::{ErrorKind, Files, Process, ReadOptions};
use portolan_world::{Container, World};

use crate::command::helper;
use crate::{Budget, Times};

const CONTAINERS: usize = 200;
const HANGING: usize = CONTAINERS / 5;
const CALLERS: usize = 8;
const ROUNDS: usize = 25;

/// Mounts FUSE over /hang, answers the first message, and no other.
const SERVER: &str = "
import ctypes, os, struct
fuse = os.open('/hang-device', os.O_RDWR)
options = b'fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other' % fuse
assert ctypes.CDLL(None).mount(b'none', b'/hang', b'fuse', 0, options) == 0
request = os.read(fuse, 1 << 20)
unique = struct.unpack_from('<IIQ', request)[2]
os.write(fuse, struct.pack('<IiQIIIIHHIIHHI7I', 80, 0, unique, 7, 31, 0, 0, 64, 48, 4096, 1, 0, 0, 0, *[0] * 7))
print('answered', flush=True)
while True: os.read(fuse, 1 << 20)";

pub(crate) fn budgets() -> Vec<Budget> {
    let good: Vec<Container> = (0..CONTAINERS - HANGING).map(|n| plain(&format!("load-{n}"))).collect();
    let spare: Vec<Container> = (0..HANGING).map(|n| plain(&format!("load-spare-{n}"))).collect();
    let hanging: Vec<Container> = (0..HANGING).map(hanging).collect();
    let start = Instant::now();
    while hanging.iter().any(|container| !container.log().contains("answered")) {
        assert!(start.elapsed() < Duration::from_secs(60), "the FUSE servers do not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    let files = Files::with_helper(&helper()).unwrap();
    let options = ReadOptions::default();
    let (_, calm) = run(&files, &good, &spare, "/app/file", &options);
    let (refused, among) = run(&files, &good, &hanging, "/hang/file", &options);
    assert_eq!(refused, HANGING * ROUNDS, "each of them is refused");
    // And where the caller insists: each hanging container costs two callers a deadline, and then is busy. With 16 of
    // them in all everybody is told so, so there are eight.
    let insistent = ReadOptions::default().any_file_system().timeout(Duration::from_millis(200));
    let (busy, insisting) = run(&files, &good, &hanging[..7], "/hang/file", &insistent);
    assert!(busy > 0 && files.stuck() <= 16, "{busy} {}", files.stuck());
    vec![
        Budget::ratio(
            "200 containers, 40 hanging, 8 callers: p99 / none hanging",
            among.at(99),
            calm.at(99),
            2.0,
        ),
        Budget::ratio("  the same, asking 7 of them all the same", insisting.at(99), calm.at(99), 2.0)
            .for_comparison(),
    ]
}

fn plain(name: &str) -> Container {
    World::new(name).file("/app/file", "read").start().unwrap()
}

fn hanging(number: usize) -> Container {
    let world = World::new(format!("hang-{number}")).prepare("mkdir /hang; mknod /hang-device c 10 229");
    world.file("/app/file", "read").command(["python3", "-c", SERVER]).start().unwrap()
}

/// Eight callers go through all containers; how many of the others' reads failed, and the times of the good ones.
fn run(
    files: &Files,
    good: &[Container],
    others: &[Container],
    others_path: &str,
    options: &ReadOptions,
) -> (usize, Times) {
    let open = |containers: &[Container]| -> Vec<Process> {
        containers.iter().map(|container| Process::open(container.pid()).unwrap()).collect()
    };
    let (good, others) = (open(good), open(others));
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let each = good.len() + others.len();
    let times = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut times = Vec::new();
                    loop {
                        let turn = next.fetch_add(1, Ordering::Relaxed);
                        if turn >= each * ROUNDS {
                            return times;
                        }
                        // The others are spread evenly among the good ones.
                        let number = turn * 97 % each;
                        if let Some(other) = number.checked_sub(good.len()) {
                            let outcome = files.read(&others[other], others_path, options);
                            match outcome.map_err(|error| error.kind()) {
                                Ok(_) | Err(ErrorKind::NotFound) => {}
                                Err(_) => _ = failed.fetch_add(1, Ordering::Relaxed),
                            }
                            continue;
                        }
                        let start = Instant::now();
                        let content = files.read(&good[number], "/app/file", options).unwrap();
                        times.push(start.elapsed());
                        assert_eq!(content.bytes, b"read");
                    }
                })
            })
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    (failed.into_inner(), Times::of(times))
}
