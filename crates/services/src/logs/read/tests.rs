//! Files that grow, are rotated, cut, replaced and taken away, as runtimes do it.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use super::*;
use crate::logs::format::Format;
use crate::logs::stdio::LogFile;

/// A directory with a log in it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(what: &str) -> Self {
        let path = std::env::temp_dir().join(format!("portolan-read-{}-{what}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::File::options()
            .create(true)
            .append(true)
            .open(self.at(name))
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.at(from), self.at(to)).unwrap();
    }

    fn follow(&self, lines: Option<u64>) -> Log {
        let options = Options { lines, follow: true, ..Options::default() };
        Log::open(&stdio(&self.at("log"), Format::Raw), &options).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn stdio(path: &Path, format: Format) -> Stdio {
    Stdio { source: Source::File(LogFile::new(path, format)), evidence: Vec::new() }
}

/// What a poll says, as words: lines as they are, events by their names.
fn poll(log: &mut Log) -> Vec<String> {
    let mut words = Vec::new();
    loop {
        let polled = log.poll().unwrap();
        words.extend(polled.events.into_iter().map(word));
        if !polled.more {
            return words;
        }
    }
}

fn word(event: Event) -> String {
    match event {
        Event::Entry(entry) => String::from_utf8(entry.bytes).unwrap(),
        other => format!("{other:?}"),
    }
}

fn numbers(range: std::ops::Range<u32>) -> String {
    range.map(|n| format!("{n}\n")).collect()
}

#[test]
fn the_last_lines() {
    let scratch = Scratch::new("last");
    scratch.write("log", &numbers(0..100_000));
    assert_eq!(poll(&mut scratch.follow(Some(3))), ["99997", "99998", "99999"]);
    assert!(poll(&mut scratch.follow(Some(0))).is_empty());
    let all = poll(&mut scratch.follow(None));
    assert_eq!((all.len(), all[99_999].as_str()), (100_000, "99999"));
    let many = poll(&mut scratch.follow(Some(50_000)));
    assert_eq!((many.len(), many[0].as_str()), (50_000, "50000"));
    // A last line without an end is one when nobody follows it, and waited for when one does.
    scratch.write("log", "half");
    let mut log = scratch.follow(Some(1));
    assert_eq!(poll(&mut log), ["99999"]);
    scratch.write("log", " and half\nmore\n");
    assert_eq!(poll(&mut log), ["half and half", "more"]);
    scratch.write("log", "end");
    assert!(poll(&mut log).is_empty());
    assert_eq!(log.finish().into_iter().map(word).collect::<Vec<_>>(), ["end"]);
}

#[test]
fn the_last_lines_in_older_files() {
    let scratch = Scratch::new("older");
    scratch.write("log.3.gz", "not read");
    scratch.write("log.2", &numbers(0..10));
    scratch.write("log.1", &numbers(10..20));
    scratch.write("log", &numbers(20..23));
    let last = poll(&mut scratch.follow(Some(10)));
    assert_eq!(last, (13..23).map(|n| n.to_string()).collect::<Vec<_>>());
    let all = poll(&mut scratch.follow(Some(40)));
    assert_eq!((all.len(), all[0].as_str(), all[1].as_str()), (24, "Compressed(1)", "0"));
    let all = poll(&mut scratch.follow(None));
    let lines: Vec<_> = all.iter().filter(|word| word.parse::<u32>().is_ok()).cloned().collect();
    assert_eq!(lines, (0..23).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(all[0], "Compressed(1)");
}

#[test]
fn no_line_is_lost_or_doubled_when_it_is_renamed() {
    let scratch = Scratch::new("renamed");
    scratch.write("log", "1\n2\n");
    let mut log = scratch.follow(Some(10));
    assert_eq!(poll(&mut log), ["1", "2"]);
    // The kubelet renames it before the runtime makes the next one, and a last line comes late.
    let mut old = fs::File::options().append(true).open(scratch.at("log")).unwrap();
    scratch.rename("log", "log.20261121-104500");
    old.write_all(b"3\n").unwrap();
    assert_eq!(poll(&mut log), ["3", "Gone"]);
    assert!(poll(&mut log).is_empty());
    old.write_all(b"4\nha").unwrap();
    scratch.write("log", "5\n");
    old.write_all(b"lf\n").unwrap();
    assert_eq!(poll(&mut log), ["4", "half", "Rotated", "5"]);
    old.write_all(b"late\n").unwrap();
    scratch.write("log", "6\n");
    assert_eq!(poll(&mut log), ["late", "6"]);
    // Three times between two looks.
    scratch.write("log", "7\n");
    for round in 0..3 {
        for (from, to) in [("log.2", "log.3"), ("log.1", "log.2"), ("log", "log.1")] {
            if scratch.at(from).exists() {
                scratch.rename(from, to);
            }
        }
        scratch.write("log", &format!("round {round}\n"));
    }
    assert_eq!(poll(&mut log), ["7", "Rotated", "round 0", "Rotated", "round 1", "Rotated", "round 2"]);
    assert!(poll(&mut log).is_empty());
}

#[test]
fn what_is_lost_is_told() {
    let scratch = Scratch::new("lost");
    scratch.write("log", "1\n");
    let mut log = scratch.follow(Some(10));
    assert_eq!(poll(&mut log), ["1"]);
    // What was read to its end is gone, and so may be others.
    fs::remove_file(scratch.at("log")).unwrap();
    scratch.write("log.1", "3\n");
    scratch.write("log", "4\n");
    assert_eq!(poll(&mut log), ["Missed", "Rotated", "3", "Rotated", "4"]);
}

#[test]
fn a_file_that_is_replaced_is_read_to_its_end() {
    let scratch = Scratch::new("replaced");
    scratch.write("log", "1\n");
    let mut log = scratch.follow(Some(10));
    assert_eq!(poll(&mut log), ["1"]);
    scratch.write("log", "2\n");
    scratch.write("log.tmp", "");
    scratch.rename("log.tmp", "log");
    scratch.write("log", "3\n");
    assert_eq!(poll(&mut log), ["2", "Rotated", "3"]);
}

#[test]
fn a_file_that_is_cut_is_read_from_its_start() {
    let scratch = Scratch::new("cut");
    scratch.write("log", "1\n2\nunended");
    let mut log = scratch.follow(Some(10));
    assert_eq!(poll(&mut log), ["1", "2"]);
    fs::write(scratch.at("log"), "3\n").unwrap();
    assert_eq!(poll(&mut log), ["unended", "Truncated", "3"]);
    // Cut, and grown past the old place.
    fs::write(scratch.at("log"), "four\nfive\n").unwrap();
    assert_eq!(poll(&mut log), ["Truncated", "four", "five"]);
}

#[test]
fn pieces_are_joined_across_files() {
    let scratch = Scratch::new("pieces");
    scratch.write("log", "2026-11-21T10:45:49Z stdout P one \n2026-11-21T10:45:49Z stderr F other\n");
    let options = Options { follow: true, ..Options::default() };
    let mut log = Log::open(&stdio(&scratch.at("log"), Format::Cri), &options).unwrap();
    assert_eq!(poll(&mut log), ["other"]);
    scratch.rename("log", "log.1");
    scratch.write("log", "2026-11-21T10:45:50Z stdout F line\n");
    assert_eq!(poll(&mut log), ["Rotated", "one line"]);
    let errors = Options { stream: Some(Stream::Stderr), lines: None, ..Options::default() };
    let mut log = Log::open(&stdio(&scratch.at("log"), Format::Cri), &errors).unwrap();
    assert_eq!(poll(&mut log), ["other", "Rotated"]);
}

#[test]
fn memory_is_bounded_and_what_is_left_out_told() {
    let scratch = Scratch::new("bounded");
    let line = "x".repeat(9_999) + "\n";
    scratch.write("log", &line.repeat(300));
    let options = Options { lines: Some(200), max_bytes: 100_000, longest: 10_000, ..Options::default() };
    let mut log = Log::open(&stdio(&scratch.at("log"), Format::Raw), &options).unwrap();
    let polled = log.poll().unwrap().events;
    let Event::LeftOut(left) = polled[0] else { panic!("{:?}", polled[0]) };
    assert!(left > 150 && polled.len() > 5 && polled.len() < 12, "{left}, {}", polled.len());
    // One poll reads no more than it may, and says that there is more.
    let options = Options { lines: None, max_bytes: 100_000, ..Options::default() };
    let mut log = Log::open(&stdio(&scratch.at("log"), Format::Raw), &options).unwrap();
    let polled = log.poll().unwrap();
    assert!(polled.more && polled.events.len() <= 10, "{}", polled.events.len());
    assert_eq!(poll(&mut log).len() + polled.events.len(), 300);
}

#[test]
fn only_regular_files_are_opened() {
    let scratch = Scratch::new("kinds");
    scratch.write("real", "1\n");
    std::os::unix::fs::symlink(scratch.at("real"), scratch.at("link")).unwrap();
    std::process::Command::new("mkfifo").arg(scratch.at("fifo")).status().unwrap();
    for name in ["link", "fifo", "nothing", "."] {
        let error = Log::open(&stdio(&scratch.at(name), Format::Raw), &Options::default()).unwrap_err();
        assert!(error.to_string().contains("read the log"), "{error}");
    }
    // Another user's.
    let Source::File(mut file) = stdio(&scratch.at("real"), Format::Raw).source else { panic!() };
    let own =
        fs::metadata(scratch.at("real")).map(|meta| std::os::unix::fs::MetadataExt::uid(&meta)).unwrap();
    file.user = own + 1;
    let source = Source::File(file);
    let error = Log::open(&Stdio { source, evidence: Vec::new() }, &Options::default()).unwrap_err();
    assert_eq!(error.kind(), portolan_linux::ErrorKind::PermissionDenied);
    let nowhere = Stdio { source: Source::Nowhere("it keeps nothing".to_owned()), evidence: Vec::new() };
    assert_eq!(Log::open(&nowhere, &Options::default()).unwrap_err().to_string(), "it keeps nothing");
}
