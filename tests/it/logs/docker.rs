//! Docker's drivers, against `docker logs`.

use portolan_world::need::Need;
use portolan_world::require;

use super::read::{Following, HARD, LINES, Line, bytes, lines, wait_for};
use crate::command::{command, portolan, run};
use crate::runtimes::engine::Engine;
use crate::runtimes::rootfs::SH;
use crate::runtimes::tool::told;

/// A container that runs a script; its name.
fn start(engine: &Engine, what: &str, options: &[&str], script: &str) -> String {
    let name = crate::runtimes::name(what);
    engine.run(&[&["--name", &name, "--network", "none"], options].concat(), &[SH, "-c", script]);
    name
}

/// What `docker logs` prints to its standard output.
#[track_caller]
fn said(engine: &Engine, name: &str, options: &[&str]) -> Vec<u8> {
    let ran = run(engine.docker().arg("logs").args(options).arg(name), b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout
}

#[test]
fn what_docker_logs_says() {
    require!(Need::Root, Need::Program("dockerd"), Need::Program("docker"), Need::Program("busybox"));
    let _turn = crate::runtimes::turn();
    let engine = Engine::start();
    a_json_file_is_read_as_docker_reads_it(&engine);
    binary_records_are_read(&engine);
    rotations_lose_and_double_nothing(&engine);
    older_lines_come_from_older_files(&engine);
    a_terminal_is_one_stream(&engine);
    nothing_is_said_where_nothing_is_kept(&engine);
    a_reader_that_leaves_is_no_failure(&engine);
}

#[track_caller]
fn a_json_file_is_read_as_docker_reads_it(engine: &Engine) {
    let name = start(engine, "json", &[], HARD);
    wait_for(&name, "last");
    let stdout = bytes(&name, &["--stream", "stdout", "-n", "all", "--max-line", "2000000"]);
    assert_eq!(stdout, said(engine, &name, &[]));
    let all = lines(&name, &["-n", "all"]);
    assert_eq!(all.len(), LINES + 1);
    let errors: Vec<&Line> = all.iter().filter(|line| line.stream == "stderr").collect();
    assert_eq!((errors.len(), errors[0].text.as_str()), (1, "err"));
    assert!(all.iter().any(|line| line.text.len() == 1_048_576));
    // The times that Docker has, by its own way to show them.
    let stamped = String::from_utf8(said(engine, &name, &["--timestamps", "--tail", "1"])).unwrap();
    let stamp = stamped.split(' ').next().unwrap();
    assert_eq!(all.last().unwrap().time.as_deref().map(plain), Some(plain(stamp)));
    // Longer lines are cut, and that is said.
    let cut = portolan(["logs", &name, "-n", "2", "--max-line", "100"]);
    assert!(String::from_utf8(cut.stdout).unwrap().contains("cccc [cut]\n"));
}

/// Docker writes zeros at the end that its file has not.
fn plain(stamp: &str) -> String {
    stamp.trim_end_matches('Z').trim_end_matches('0').to_owned()
}

#[track_caller]
fn binary_records_are_read(engine: &Engine) {
    let name = start(engine, "local", &["--log-driver", "local"], HARD);
    wait_for(&name, "last");
    let ours = bytes(&name, &["--stream", "stdout", "-n", "all"]);
    // Docker forgets the newline after a line that came in pieces.
    let without = |bytes: Vec<u8>| bytes.into_iter().filter(|byte| *byte != b'\n').collect::<Vec<_>>();
    assert_eq!(without(ours.clone()), without(said(engine, &name, &[])));
    assert_eq!(ours.iter().filter(|byte| **byte == b'\n').count(), LINES);
    assert!(ours.windows(8).any(|bytes| bytes == b"a\0\x01\xff\x1b[31"), "bytes are kept as they are");
    // A driver that sends everything away leaves a copy.
    let away = ["--log-driver", "syslog", "--log-opt", "syslog-address=udp://127.0.0.1:9"];
    let name = start(engine, "syslog", &away, "echo one; echo two >&2; sleep 100000");
    wait_for(&name, "one");
    let mut both: Vec<_> = lines(&name, &[]).into_iter().map(|line| (line.stream, line.text)).collect();
    both.sort();
    let expected = [("stderr", "two"), ("stdout", "one")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(both, expected);
}

#[track_caller]
fn rotations_lose_and_double_nothing(engine: &Engine) {
    let small = ["--log-opt", "max-size=20k", "--log-opt", "max-file=8"];
    let script = "echo begin; i=0; while [ $i -lt 4000 ]; do i=$((i+1)); echo \"$i xxxxxxxxxxxxxxxxxxxxxxxx\"; \
        [ $((i % 50)) = 0 ] && sleep 0.02; done; echo end; sleep 100000";
    let name = start(engine, "rotated", &small, script);
    let seen = Following::start(&name, &["-n", "all"]).until("end");
    let numbers: Vec<u32> =
        seen.iter().filter_map(|line| line.strip_suffix(" xxxxxxxxxxxxxxxxxxxxxxxx")?.parse().ok()).collect();
    assert_eq!(numbers, (1..=4000).collect::<Vec<_>>());
}

#[track_caller]
fn older_lines_come_from_older_files(engine: &Engine) {
    let small = ["--log-opt", "max-size=10k", "--log-opt", "max-file=4"];
    let script = "i=0; while [ $i -lt 1000 ]; do i=$((i+1)); echo \"line $i\"; done; echo end; sleep 100000";
    let name = start(engine, "older", &small, script);
    wait_for(&name, "end");
    // More than the newest file has.
    assert_eq!(bytes(&name, &["-n", "300"]), said(engine, &name, &["--tail", "300"]));
    assert_eq!(bytes(&name, &["-n", "all"]), said(engine, &name, &[]));
}

#[track_caller]
fn a_terminal_is_one_stream(engine: &Engine) {
    let name = start(engine, "terminal", &["--tty"], "echo out; echo err >&2; sleep 100000");
    wait_for(&name, "err");
    assert_eq!(bytes(&name, &[]), b"out\nerr\n");
    assert!(lines(&name, &[]).iter().all(|line| line.stream == "stdout"));
}

#[track_caller]
fn nothing_is_said_where_nothing_is_kept(engine: &Engine) {
    let name = start(engine, "none", &["--log-driver", "none"], "echo lost; sleep 100000");
    let ran = portolan(["logs", &name]);
    let line = ran.failed(1);
    assert!(line.contains(&name) && line.contains("its log driver is none, which keeps nothing"), "{line}");
    let places = portolan(["logs", &name, "--where"]).text();
    assert!(places.starts_with("output: nowhere; "), "{places}");
    portolan(["logs", "no-such-container"]).failed(1);
    assert_eq!(portolan(["logs", &name, "-n", "few"]).code, Some(2));
}

#[track_caller]
fn a_reader_that_leaves_is_no_failure(engine: &Engine) {
    let script = "while :; do echo more; sleep 0.01; done";
    let name = start(engine, "endless", &[], script);
    wait_for(&name, "more");
    let mut follow = command(["logs", &name, "-f", "--interval-ms", "10"]);
    let mut child =
        follow.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(1), ""));
    // One that ends is told, after all that it wrote.
    let mut follow = command(["logs", &name, "-f", "--interval-ms", "10"]);
    let child =
        follow.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    told(engine.docker().args(["stop", "--time", "0", &name]));
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("has ended"), "{said}");
}
