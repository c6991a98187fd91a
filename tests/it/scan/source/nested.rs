//! The command in a pid namespace: the numbers and the processes are those of the namespace, both ways, or the one
//! that cannot tell them is refused.

use std::process::Command;

use portolan_world::need::Need;
use portolan_world::{World, require};
use serde_json::Value;

use super::super::BPF;
use crate::command::{binary, helper, run};
use crate::inside::Inside;
use crate::oracle;

/// Listens in its own network and, by a child, in another; then runs the command each way and says what came out, and
/// which numbers it and its child have.
const DRIVER: &str = r"
import ctypes, json, os, socket, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def check(result): assert result == 0, os.strerror(ctypes.get_errno())
def stat(pid): return open('/proc/%s/stat' % pid).read().rsplit(') ')[1].split(' ')
def net(): return os.stat('/proc/self/ns/net').st_ino
mark = sys.argv[2].encode()
s = socket.socket(socket.AF_UNIX); s.bind(b'\0' + mark + b'-first'); s.listen(1)
s.set_inheritable(False)
told, tell = os.pipe()
child = os.fork()
if child == 0:
    check(libc.prctl(1, 9, 0, 0, 0))
    check(libc.unshare(0x40000000))
    s.close()
    t = socket.socket(); t.bind(('127.0.0.1', 7790)); t.listen(1)
    os.write(tell, b'%d' % net())
    time.sleep(1000)
childs = int(os.read(told, 32))
answers = {}
for way in sys.argv[3:]:
    done = subprocess.run([sys.argv[1], 'scan', '--json', '--no-services', '--source', way], capture_output=True, close_fds=True)
    answers[way] = [done.returncode, done.stdout.decode(), done.stderr.decode()]
first = os.readlink('/proc/self')
print(json.dumps({'first': int(first), 'child': child, 'numbers': sorted(map(int, filter(str.isdigit, os.listdir('/proc')))),
    'started': int(stat('self')[19]), 'net': net(), 'childs': childs, 'answers': answers}))
os.kill(child, 9)
os.waitpid(child, 0)
";

/// What the command said in some place.
pub(super) struct Said {
    json: Value,
    mark: String,
}

impl Said {
    /// Runs the driver by a program that puts it in its place, which ends in these words.
    #[track_caller]
    pub(super) fn there(what: &str, prefix: &[&str]) -> Self {
        let mark = format!("portolan-it-{}-{what}", std::process::id());
        let (program, words) = prefix.split_first().unwrap();
        let mut command = Command::new(program);
        command.args(words).args(["python3", "-c", DRIVER]).arg(binary()).arg(&mark);
        command.args(["bpf", "syscalls", "auto"]).env("PORTOLAN_HELPER", helper());
        let ran = run(&mut command, b"");
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let json = serde_json::from_slice(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
        Self { json, mark }
    }

    pub(super) fn number(&self, what: &str) -> u64 {
        self.json[what].as_u64().unwrap()
    }

    fn answer(&self, way: &str) -> (i64, &str, &str) {
        let answer = &self.json["answers"][way];
        (answer[0].as_i64().unwrap(), answer[1].as_str().unwrap(), answer[2].as_str().unwrap())
    }

    /// Why a way was refused, in one line.
    #[track_caller]
    pub(super) fn refused(&self, way: &str) -> &str {
        let (code, chart, line) = self.answer(way);
        assert!(matches!(code, 1 | 3) && chart.is_empty(), "{way}: {code} {chart} {line}");
        assert!(line.starts_with("portolan: ") && line.trim_end().lines().count() == 1, "{line}");
        line
    }

    /// The chart by a way.
    #[track_caller]
    pub(super) fn chart(&self, way: &str) -> Value {
        let (code, chart, line) = self.answer(way);
        assert_eq!(code, 0, "{way}: {line}");
        serde_json::from_str(chart).unwrap()
    }

    /// A chart without what tells how it was made; processes of others come and go.
    pub(super) fn plain(&self, way: &str) -> Value {
        let mut chart = self.chart(way);
        for key in ["source", "source_reason", "elapsed_ms", "survey_ms", "faults"] {
            chart.as_object_mut().unwrap().remove(key).unwrap();
        }
        let own = [self.number("childs")];
        let mark = &self.mark;
        let ours = |l: &Value| {
            own.iter().any(|netns| l["netns"] == *netns) || l["address"].as_str().unwrap().contains(mark)
        };
        chart["listeners"].as_array_mut().unwrap().retain(ours);
        chart
    }

    /// The listeners of the driver and its child have them as their owners, and no container.
    #[track_caller]
    pub(super) fn owners_are_right(&self, way: &str) {
        let chart = self.plain(way);
        let mut found: Vec<(&str, u64, Option<u64>)> = chart["listeners"]
            .as_array()
            .unwrap()
            .iter()
            .map(|l| (l["address"].as_str().unwrap(), l["netns"].as_u64().unwrap(), l["pid"].as_u64()))
            .collect();
        found.sort_unstable();
        let name = format!("@{}-first", self.mark);
        let expected = [
            ("127.0.0.1", self.number("childs"), Some(self.number("child"))),
            (name.as_str(), self.number("net"), Some(self.number("first"))),
        ];
        assert_eq!(found, expected, "{way}: {chart:#}");
    }

    /// Whoever is told of has a number that there is in the namespace.
    #[track_caller]
    fn has_own_numbers_only(&self, way: &str) {
        let numbers = self.json["numbers"].as_array().unwrap();
        let chart = self.chart(way);
        let owners = chart["listeners"].as_array().unwrap().iter().map(|l| &l["pid"]);
        let first = chart["containers"].as_array().unwrap().iter().map(|c| &c["init"]["pid"]);
        for pid in owners.chain(first).filter(|pid| !pid.is_null()) {
            assert!(numbers.contains(pid), "{way}: {pid} of {numbers:?}");
        }
    }

    /// Both ways work, and tell the same.
    #[track_caller]
    fn is_the_same_both_ways(&self) {
        for (way, source) in [("bpf", "bpf"), ("syscalls", "syscalls"), ("auto", "bpf")] {
            assert_eq!(self.chart(way)["source"], source, "{}", self.chart(way)["source_reason"]);
            self.owners_are_right(way);
            self.has_own_numbers_only(way);
            assert_eq!(self.answer(way).2, "", "{way}");
        }
        // All of the chart, but other users of the host's network.
        assert_eq!(self.plain("bpf"), self.plain("syscalls"));
        assert_eq!(self.plain("auto"), self.plain("syscalls"));
    }
}

const OWN: [&str; 5] = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];

#[test]
fn in_a_pid_namespace_with_its_own_proc_both_ways_tell_its_own_numbers() {
    require!(Need::Root, BPF);
    let said = Said::there("nested", &OWN);
    assert_eq!(said.number("first"), 1);
    assert_eq!(said.number("net"), oracle::namespace("self", "net"));
    said.is_the_same_both_ways();
}

#[test]
fn so_do_they_with_a_network_of_its_own() {
    require!(Need::Root, BPF);
    let said = Said::there("nested-net", &[&OWN[..], &["--net"]].concat());
    assert_ne!(said.number("net"), oracle::namespace("self", "net"));
    said.is_the_same_both_ways();
    // Nothing of the host is seen from there.
    let chart = said.chart("bpf");
    assert_eq!(chart["listeners"].as_array().unwrap().len(), 2, "{chart:#}");
}

#[test]
fn so_do_they_two_levels_deep() {
    require!(Need::Root, BPF);
    let said = Said::there("deep", &[OWN, OWN].concat());
    assert_eq!(said.number("first"), 1);
    said.is_the_same_both_ways();
}

#[test]
fn after_changes_at_random_both_ways_tell_the_same_there_as_well() {
    require!(Need::Root, Need::Overlay, Need::CgroupV2, Need::Ipv6, BPF);
    let again = "scan::source::equal::so_do_they_after_a_few_changes";
    for prefix in [&OWN[..], &[OWN, OWN].concat()] {
        let mut tests = Command::new(prefix[0]);
        tests.args(&prefix[1..]).arg(std::env::current_exe().unwrap()).args(["--exact", again]);
        let output = tests.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("1 passed"), "{prefix:?}: {text}{error}");
    }
}

#[test]
fn where_proc_shows_other_numbers_than_the_kernel_bpf_is_refused_and_system_calls_are_right() {
    require!(Need::Root);
    // The numbers in /proc are still those of the host.
    let said = Said::there("foreign-proc", &["unshare", "--pid", "--fork", "--kill-child"]);
    let line = said.refused("bpf");
    assert!(line.contains("/proc"), "it says why: {line}");
    for way in ["syscalls", "auto"] {
        let chart = said.chart(way);
        assert_eq!(chart["source"], "syscalls");
        assert_eq!(chart["source_reason"].is_string(), way == "auto", "{chart:#}");
        // The names and the networks are what is sure there: the child's number is one of its own namespace.
        let found = said.plain(way);
        let found: Vec<(&str, u64)> = found["listeners"]
            .as_array()
            .unwrap()
            .iter()
            .map(|l| (l["address"].as_str().unwrap(), l["netns"].as_u64().unwrap()))
            .collect();
        let name = format!("@{}-first", said.mark);
        for expected in [("127.0.0.1", said.number("childs")), (&name, said.number("net"))] {
            assert!(found.contains(&expected), "{way}: {found:?}, faults {:#}", chart["faults"]);
        }
    }
    assert_eq!(said.plain("auto")["listeners"], said.plain("syscalls")["listeners"]);
    assert!(!said.answer("auto").2.contains("BPF"), "it is silent");
}

#[test]
fn where_proc_shows_other_numbers_files_are_read_and_no_other_process_is_taken_for_the_target() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("foreign-proc-target").file("/told", "inside"));
    let portolan = |words: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child"]).arg(binary()).args(words);
        run(command.env("PORTOLAN_HELPER", helper()), b"")
    };
    let read = portolan(&["cat", &c.target(), "/told"]);
    assert_eq!((read.code, read.stdout.as_slice()), (Some(0), &b"inside"[..]), "{read:?}");
    // For the kernel, the number is that of another process, or of none.
    let dialed = portolan(&["dial", &c.target(), "127.0.0.1:1"]);
    assert!(dialed.code == Some(1) && dialed.stderr.contains("another pid namespace"), "{dialed:?}");
}

#[test]
fn in_a_user_namespace_of_its_own_bpf_is_refused_and_system_calls_are_right() {
    require!(Need::Root, Need::UserNamespaces);
    let said = Said::there("users", &[&OWN[..], &["--user", "--map-root-user", "--net"]].concat());
    let line = said.refused("bpf");
    assert!(line.contains("CAP_BPF") && line.contains("user namespace"), "{line}");
    for way in ["syscalls", "auto"] {
        assert_eq!(said.chart(way)["source"], "syscalls");
        said.owners_are_right(way);
        said.has_own_numbers_only(way);
    }
    assert_eq!(said.plain("auto"), said.plain("syscalls"));
    assert_eq!(said.answer("auto").2, said.answer("syscalls").2, "it is silent");
}
