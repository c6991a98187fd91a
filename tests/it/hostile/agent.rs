//! A monitoring agent: this test program once more, as a process that does nothing else.
//!
//! Other tests run in threads of the first one, so only here can be seen what a request leaves behind: the agent
//! looks at its own descriptors, threads, namespaces and directory before and after each.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use portolan::{Files, GlobOptions, Process, ReadOptions};
use serde_json::{Value, json};

use crate::command::helper;

/// Begins the lines that are the agent's; the others are the test harness's.
pub(super) const MARK: &str = "@agent ";
/// Names the pid of the container that is asked once before everything, and after each request.
pub(super) const GOOD: &str = "PORTOLAN_HOSTILE_GOOD";
/// What is read of it.
pub(super) const GOOD_FILE: &str = "/app/good";

#[test]
#[ignore = "it is the agent of the other tests: they start it as a process of its own"]
fn run() {
    let Some(good) = std::env::var(GOOD).ok().and_then(|pid| pid.parse().ok()) else { return };
    let agent = Agent {
        files: Files::with_helper(&helper()).unwrap(),
        good: Process::open(good).unwrap(),
        held: BTreeMap::new(),
    };
    // The thread that asked first ends at once: nothing may hang on it.
    thread::scope(|scope| scope.spawn(|| agent.read_good()).join().unwrap());
    say(&json!({ "ready": true }));
    agent.serve();
}

fn say(answer: &Value) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "\n{MARK}{answer}").unwrap();
    stdout.flush().unwrap();
}

struct Agent {
    files: Files,
    good: Process,
    /// Processes that were opened before they were asked about.
    held: BTreeMap<i32, Process>,
}

impl Agent {
    fn serve(mut self) {
        for line in std::io::stdin().lock().lines() {
            let order: Value = serde_json::from_str(&line.unwrap()).unwrap();
            let answer = match order["hold"].as_i64() {
                Some(pid) => {
                    let pid = i32::try_from(pid).unwrap();
                    let opened = Process::open(pid).map(|process| self.held.insert(pid, process));
                    json!({ "held": opened.is_ok() })
                }
                None if order["stuck"] == true => self.files.stuck().into(),
                None => self.order(&order),
            };
            say(&answer);
        }
    }

    fn read_good(&self) -> Value {
        outcome_of_read(self.files.read(&self.good, GOOD_FILE, &ReadOptions::default()))
    }

    /// One order: one request, or several side by side, or one again and again.
    fn order(&self, order: &Value) -> Value {
        let (stuck_before, before, memory) = (self.files.stuck(), state(), memory());
        let exhausted = order["exhaust"].as_bool().unwrap_or(false).then(exhaust);
        let other = order["helper"].as_str().map(|path| Files::with_helper(Path::new(path)).unwrap());
        let files = other.as_ref().unwrap_or(&self.files);
        let mut answer = json!({});
        match order["repeat_ms"].as_u64() {
            Some(ms) => answer["tally"] = self.repeat(files, &order["asks"][0], Duration::from_millis(ms)),
            None => answer["told"] = self.together(files, order),
        }
        answer["open"] = open_files().len().into();
        drop(exhausted);
        if other.is_some() {
            answer["children"] = children(std::process::id()).len().into();
        }
        drop(other);
        answer["memory"] = super::agent::memory().saturating_sub(memory).into();
        let stuck = self.files.stuck();
        let start = Instant::now();
        let mut after = state();
        // A thread that was joined is still seen for a moment.
        while after["threads"] != before["threads"] && start.elapsed() < Duration::from_secs(1) {
            thread::sleep(Duration::from_millis(2));
            after = state();
        }
        answer["stuck"] = json!([stuck_before, stuck]);
        (answer["before"], answer["after"]) = (before, after);
        let start = Instant::now();
        answer["good"] = self.read_good();
        answer["good_ms"] = micros(start).saturating_div(1000).into();
        answer
    }

    fn together(&self, files: &Files, order: &Value) -> Value {
        let asks = order["asks"].as_array().unwrap();
        let threads = usize::try_from(order["threads"].as_u64().unwrap_or(0)).unwrap();
        if threads == 0 {
            return asks.iter().map(|ask| self.ask(files, ask)).collect();
        }
        let (next, told) = (AtomicUsize::new(0), Mutex::new(vec![Value::Null; asks.len()]));
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let at = next.fetch_add(1, Ordering::Relaxed)
                        && let Some(ask) = asks.get(at)
                    {
                        let outcome = self.ask(files, ask);
                        told.lock().unwrap()[at] = outcome;
                    }
                });
            }
        });
        told.into_inner().unwrap().into()
    }

    /// How often which outcome came, by its kind of error or the beginning of what was read.
    fn repeat(&self, files: &Files, ask: &Value, time: Duration) -> Value {
        let (start, mut slowest, mut longest) = (Instant::now(), 0, 0);
        let mut tally: BTreeMap<String, u64> = BTreeMap::new();
        while start.elapsed() < time {
            let told = self.ask(files, ask);
            slowest = slowest.max(told["micros"].as_u64().unwrap());
            let bytes = told["bytes"].as_str();
            longest = longest.max(bytes.map_or(0, |bytes| bytes.chars().count()));
            let key = match (told["kind"].as_str(), bytes) {
                // Of a failure that has no kind of its own the words tell more.
                (Some("Io"), _) => told["text"].to_string(),
                (Some(kind), _) => kind.to_owned(),
                (None, Some(bytes)) => format!("ok:{}", bytes.chars().take(24).collect::<String>()),
                (None, None) if is_sorted(&told["entries"]) => "ok".to_owned(),
                (None, None) => "a path twice".to_owned(),
            };
            *tally.entry(key).or_default() += 1;
        }
        json!({ "outcomes": tally, "slowest": slowest, "longest": longest })
    }

    fn ask(&self, files: &Files, ask: &Value) -> Value {
        let pid = i32::try_from(ask["pid"].as_i64().unwrap()).unwrap();
        let start = Instant::now();
        let mut told = match self.held.get(&pid) {
            Some(process) => request(files, process, ask),
            None => match Process::open(pid) {
                Ok(process) => request(files, &process, ask),
                Err(error) => json!({ "kind": format!("{:?}", error.kind()), "text": error.to_string() }),
            },
        };
        told["micros"] = micros(start).into();
        told
    }
}

fn request(files: &Files, process: &Process, ask: &Value) -> Value {
    let path = OsString::from_vec(from_latin(ask["path"].as_str().unwrap()));
    let timeout = Duration::from_millis(ask["timeout_ms"].as_u64().unwrap());
    let flag = |name: &str| ask[name].as_bool().unwrap_or(false);
    if flag("glob") {
        let mut options = GlobOptions::default().timeout(timeout);
        options.any_file_system = flag("any");
        options.pid_namespace = flag("pid_namespace");
        return match files.glob(process, &path, &options) {
            Ok(matches) => {
                let entries = matches.entries.iter().map(|entry| latin(entry.path.as_os_str().as_bytes()));
                let incomplete = matches.incomplete.as_ref().map(|error| format!("{:?}", error.kind()));
                json!({ "entries": entries.collect::<Vec<_>>(), "incomplete": incomplete, "skipped": matches.skipped })
            }
            Err(error) => json!({ "kind": format!("{:?}", error.kind()), "text": error.to_string() }),
        };
    }
    let mut options = ReadOptions::default().timeout(timeout);
    options.any_file_system = flag("any");
    options.pid_namespace = flag("pid_namespace");
    options.prefix = flag("prefix");
    options.max_bytes = ask["max_bytes"].as_u64().unwrap_or(options.max_bytes);
    outcome_of_read(files.read(process, Path::new(OsStr::from_bytes(path.as_bytes())), &options))
}

fn outcome_of_read(outcome: portolan_files::Result<portolan::Content>) -> Value {
    match outcome {
        Ok(content) => {
            let hello = content.helper;
            json!({
                "bytes": latin(&content.bytes), "truncated": content.truncated, "size": content.size,
                "posture": hello.posture, "effective": hello.effective, "bounding": hello.bounding,
                "seccomp": hello.seccomp, "landlock": hello.landlock,
            })
        }
        Err(error) => json!({ "kind": format!("{:?}", error.kind()), "text": error.to_string() }),
    }
}

/// Bytes as text that keeps every one of them.
pub(super) fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

pub(super) fn from_latin(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

fn micros(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).unwrap()
}

fn is_sorted(entries: &Value) -> bool {
    let entries = entries.as_array().map_or(&[][..], Vec::as_slice);
    entries.windows(2).all(|pair| pair[0].as_str() < pair[1].as_str())
}

/// What a request must leave as it was.
fn state() -> Value {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let mut threads: Vec<String> = tasks
        .filter_map(|task| {
            // One that ends meanwhile is seen by the next look.
            let task = task.ok()?.path();
            let link = |name: &str| Some(fs::read_link(task.join(name)).ok()?.display().to_string());
            let name = fs::read_to_string(task.join("comm")).ok()?;
            let (net, mnt, cwd) = (link("ns/net")?, link("ns/mnt")?, link("cwd")?);
            Some(format!("{} {net} {mnt} {cwd}", name.trim()))
        })
        .collect();
    threads.sort();
    json!({ "threads": threads, "files": open_files() })
}

/// What this process has open, without the numbers of pipes and sockets.
fn open_files() -> Vec<String> {
    let own = format!("/proc/{}/fd", std::process::id());
    let links = fs::read_dir("/proc/self/fd").map(|files| {
        files.filter_map(|file| Some(fs::read_link(file.ok()?.path()).ok()?.display().to_string()))
    });
    let named = links.into_iter().flatten().filter(|link| *link != own);
    let mut files: Vec<String> = named
        .map(|link| link.trim_end_matches(" (deleted)").split(":[").next().unwrap_or_default().to_owned())
        .collect();
    files.sort();
    files
}

/// The most memory that this process had, in KiB.
pub(super) fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// All descriptors that this process may have.
fn exhaust() -> Vec<fs::File> {
    std::iter::from_fn(|| fs::File::open("/dev/null").ok()).collect()
}

/// The processes that a process has started, itself or by any of its threads.
pub(super) fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>())
        .collect()
}
