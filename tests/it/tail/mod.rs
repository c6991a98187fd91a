//! The end of a file inside: by the library's polls and by `portolan tail`.

mod appended;
mod command;
mod cut;
mod last;
mod let_go;
mod replaced;
mod rotated;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use portolan::{ErrorKind, Event, Tail, TailOptions};

use crate::inside::{Inside, SOON, files};
use crate::oracle;

/// How many of the last lines, and the rest as by default.
fn lines(lines: u64) -> TailOptions {
    let mut options = TailOptions::default();
    options.lines = lines;
    options
}

fn data(bytes: impl AsRef<[u8]>) -> Event {
    Event::Data(bytes.as_ref().to_vec())
}

#[track_caller]
fn poll(tail: &mut Tail, c: &Inside) -> Vec<Event> {
    tail.poll(files(), &c.process).unwrap_or_else(|error| panic!("{error}"))
}

fn fails(tail: &mut Tail, c: &Inside) -> Option<ErrorKind> {
    tail.poll(files(), &c.process).err().map(|error| error.kind())
}

/// All data of some events, in their order.
fn bytes(events: &[Event]) -> Vec<u8> {
    let all = events.iter().filter_map(|event| match event {
        Event::Data(bytes) => Some(bytes.as_slice()),
        _ => None,
    });
    all.collect::<Vec<_>>().concat()
}

/// Asks again until it is so.
#[track_caller]
fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < SOON, "not in time: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The processes in the container's mount namespace besides its own first one, and descriptors of ours that lead there.
fn held(c: &Inside) -> Vec<String> {
    let mnt = oracle::namespace(c.pid(), "mnt");
    let leads = |path: &str| {
        let link = fs::read_link(path).ok();
        link.and_then(|link| oracle::number_of_link(link.to_str()?)) == Some(mnt)
    };
    let numbers = |directory: &str| -> Vec<String> {
        let all = fs::read_dir(directory).into_iter().flatten();
        let names = all.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter(|name| name.parse::<i32>().is_ok()).collect()
    };
    let others = numbers("/proc").into_iter().filter(|pid| *pid != c.pid().to_string());
    let mut found: Vec<String> =
        others.map(|pid| format!("/proc/{pid}/ns/mnt")).filter(|path| leads(path)).collect();
    let own = numbers("/proc/self/fd").into_iter().map(|fd| format!("/proc/self/fd/{fd}"));
    found.extend(own.filter(|path| leads(path)));
    found
}
