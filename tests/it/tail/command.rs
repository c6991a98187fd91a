//! `portolan tail -f`: what it prints, what it remarks, and how it ends.

use std::io::Read;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use portolan_world::need::Need;
use portolan_world::{World, require};

use super::wait_until;
use crate::command::{command, run};
use crate::inside::{Inside, SOON};

/// A `portolan tail -f` that runs.
pub(super) struct Following {
    child: Child,
    output: Arc<Mutex<Vec<u8>>>,
    notes: Arc<Mutex<Vec<u8>>>,
}

fn gathered(mut stream: impl Read + Send + 'static) -> Arc<Mutex<Vec<u8>>> {
    let all = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&all);
    thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(got @ 1..) = stream.read(&mut piece) {
            into.lock().unwrap().extend_from_slice(&piece[..got]);
        }
    });
    all
}

fn text(bytes: &Mutex<Vec<u8>>) -> String {
    String::from_utf8(bytes.lock().unwrap().clone()).unwrap()
}

impl Following {
    pub(super) fn start(c: &Inside, path: &str, options: &[&str]) -> Self {
        let mut tail = command(["tail", &c.target(), path, "-f"]);
        tail.args(options).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = tail.spawn().unwrap();
        let output = gathered(child.stdout.take().unwrap());
        let notes = gathered(child.stderr.take().unwrap());
        Self { child, output, notes }
    }

    pub(super) fn output(&self) -> String {
        text(&self.output)
    }

    #[track_caller]
    pub(super) fn wait_output(&self, all: &str) {
        wait_until(all, || self.output() == all);
    }

    #[track_caller]
    pub(super) fn wait_notes(&self, part: &str) {
        wait_until(part, || text(&self.notes).contains(part));
    }

    /// Its exit code, once it has ended by itself.
    #[track_caller]
    fn ended(&mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return status.code(),
                None => assert!(start.elapsed() < SOON, "it goes on"),
            }
            thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_follows_a_log_and_remarks_what_happens_to_it() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("followed").file("/logs/app", "one\ntwo\n"));
    let mut tail = Following::start(&c, "/logs/app", &["-n", "1", "--interval-ms", "20"]);
    tail.wait_output("two\n");
    c.shell("printf 'half ' >>/logs/app");
    tail.wait_output("two\nhalf ");
    c.shell("echo and half >>/logs/app");
    tail.wait_output("two\nhalf and half\n");
    let mut all = "two\nhalf and half\n".to_owned();
    assert_eq!(text(&tail.notes), "");

    // In no instant is there no file.
    c.shell("cd /logs; echo new >app.new; ln app app.1; echo late >>app.1; mv app.new app");
    tail.wait_notes("/logs/app was replaced; going on with the new file\n");
    wait_until("both", || tail.output().len() == all.len() + 9);
    let rest = tail.output()[all.len()..].to_owned();
    assert!(["late\nnew\n", "new\nlate\n"].contains(&rest.as_str()), "{rest}");
    all.push_str(&rest);

    c.shell("echo a cut and longer line than before >/logs/app");
    all.push_str("a cut and longer line than before\n");
    tail.wait_output(&all);
    tail.wait_notes("/logs/app was cut; reading it from its start\n");
    c.shell("rm /logs/app");
    tail.wait_notes("/logs/app is not there; waiting for it\n");
    c.shell("echo back >/logs/app");
    all.push_str("back\n");
    tail.wait_output(&all);

    c.container.kill();
    assert_eq!(tail.ended(), Some(1));
    assert_eq!(tail.output(), all);
    wait_until("its last line", || text(&tail.notes).matches("gone").count() == 1);
    let notes = text(&tail.notes);
    assert!(notes.lines().all(|line| line.starts_with("portolan: ")), "{notes}");
    assert!(notes.lines().count() <= 5, "{notes}");
}

#[test]
fn a_file_that_is_not_there_yet_is_waited_for() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("awaited").directory("/logs"));
    let tail = Following::start(&c, "/logs/app", &["--interval-ms", "20"]);
    tail.wait_notes("/logs/app is not there; waiting for it\n");
    c.shell("printf 'one\\ntwo\\n' >/logs/app.new; mv /logs/app.new /logs/app");
    tail.wait_output("one\ntwo\n");
    assert_eq!(text(&tail.notes).lines().count(), 1);
}

#[test]
fn a_container_that_ended_before_is_told_in_one_line() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("ended-before").file("/logs/app", "one\n"));
    c.container.kill();
    let ran = run(&mut command(["tail", &c.target(), "/logs/app", "-f"]), b"");
    assert!(ran.failed(1).contains("gone"), "{ran:?}");
}

#[test]
fn when_nobody_reads_its_output_it_ends_without_a_word() {
    require!(Need::Root, Need::Overlay);
    let writer = "mkdir /logs; while :; do echo line >>/logs/app; sleep 0.05; done";
    let c = Inside::start(&World::new("unread-log").command(["sh", "-c", writer]));
    c.container.wait_file("/logs/app", SOON).unwrap();
    unread(&c, "/logs/app");
}

#[test]
fn when_nobody_reads_its_output_it_ends_even_if_there_is_nothing_to_say() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("unread-quiet").file("/logs/quiet", "line\n"));
    for path in ["/logs/quiet", "/logs/none"] {
        unread(&c, path);
    }
}

fn unread(c: &Inside, path: &str) {
    let mut pipeline = std::process::Command::new("sh");
    // Its code, beside its output: nobody reads that after the first line, or at all.
    let (take, first) = if path == "/logs/none" { ("true", "") } else { ("head -n 1", "line\n") };
    pipeline
        .args(["-c", &format!("{{ \"$@\"; echo $? >&2; }} | {take}"), "sh"])
        .arg(crate::command::binary());
    pipeline.args(["tail", &c.target(), path, "-f", "--interval-ms", "20"]);
    let ran = run(pipeline.env("PORTOLAN_HELPER", crate::command::helper()), b"");
    assert_eq!((ran.code, String::from_utf8_lossy(&ran.stdout).as_ref()), (Some(0), first));
    let said = ran.stderr.strip_prefix("portolan: /logs/none is not there; waiting for it\n");
    assert_eq!(said.unwrap_or(&ran.stderr), "1\n", "{path}");
}
