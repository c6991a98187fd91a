//! Kernels that lack what BPF iterators need, lie about it, or forbid a part of it.

use std::fs;
use std::path::{Path, PathBuf};

use nix::libc;
use portolan_world::need::Need;
use portolan_world::require;
use serde_json::Value;

use crate::command::{Ran, portolan, run};
use crate::inside::Inside;
use crate::older::rig::{Rig, Rule};
use crate::older::scan::{chart, charted, start};
use crate::privileges::Copies;
use crate::scan::scene::Random;
use crate::scratch::Scratch;

use super::types::{Number, PLACE, Types, mounted, with_types};
use super::{by_bpf, by_system_calls};

const SCAN: [&str; 2] = ["scan", "--json"];
const FORCED: [&str; 4] = ["scan", "--json", "--source", "bpf"];

/// What system calls tell of the container.
#[track_caller]
fn usual(c: &Inside) -> (Value, Vec<Value>) {
    charted(&chart(portolan(["scan", "--json", "--source", "syscalls"])), c)
}

/// The right answer by system calls, for this reason; and who insists on BPF is told.
#[track_caller]
fn refused(c: &Inside, usual: &(Value, Vec<Value>), says: &str, with: impl Fn(&[&str]) -> Ran) {
    let (auto, why) = by_system_calls(with(&SCAN));
    assert!(why.contains(says), "{says}: {why}");
    assert_eq!(charted(&auto, c), *usual, "{says}");
    let forced = with(&FORCED);
    let line = forced.failed(1);
    assert!(line.contains(says), "{says}: {line}");
}

#[test]
fn without_a_description_of_types_the_way_is_system_calls() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("unshare"), Need::File(PLACE));
    let (c, scratch) = (start("no-types"), Scratch::new());
    let usual = usual(&c);
    let says = "CONFIG_DEBUG_INFO_BTF";
    refused(&c, &usual, says, |arguments| {
        let script = "mount -t tmpfs tmpfs \"$0\" && exec \"$@\"";
        run(&mut mounted(script, Path::new(PLACE).parent().unwrap(), arguments), b"")
    });
    let real = fs::read(PLACE).unwrap();
    let noise: Vec<u8> = real.iter().rev().copied().collect();
    // Of another byte order.
    let swapped: Vec<u8> = [real[1], real[0]].iter().chain(&real[2..]).copied().collect();
    let written = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = scratch.join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    for path in [
        written("empty", b""),
        written("short", &real[..10]),
        written("head", &real[..24]),
        written("half", &real[..real.len() / 2]),
        written("no-last", &real[..real.len() - 1]),
        written("noise", &noise),
        written("swapped", &swapped),
        PathBuf::from("/dev/null"),
    ] {
        refused(&c, &usual, says, |arguments| with_types(&path, arguments));
    }
}

#[test]
fn a_description_without_an_end_takes_no_memory_without_an_end() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("unshare"), Need::File(PLACE));
    let c = start("endless-types");
    let usual = usual(&c);
    refused(&c, &usual, "CONFIG_DEBUG_INFO_BTF", |arguments| {
        let script = "mount --bind \"$0\" /sys/kernel/btf/vmlinux && ulimit -v 1000000 && exec \"$@\"";
        run(&mut mounted(script, "/dev/zero", arguments), b"")
    });
}

#[test]
fn a_description_that_may_not_be_read_is_as_good_as_none() {
    require!(Need::Root, Need::Program("unshare"), Need::Program("setpriv"), Need::File(PLACE));
    let (copies, scratch) = (Copies::new(), Scratch::new());
    let file = scratch.file("types", "");
    let script = "chmod 0 \"$0\" && mount --bind \"$0\" /sys/kernel/btf/vmlinux && shift && exec \"$@\"";
    let with = |arguments: &[&str]| {
        let mut command = mounted(script, &file, &[]);
        command.args(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.args(["--inh-caps=+bpf,+perfmon", "--ambient-caps=+bpf,+perfmon"]);
        command.arg(copies.path()).args(arguments);
        run(&mut command, b"")
    };
    let (_, why) = by_system_calls(with(&SCAN));
    assert!(why.contains("CONFIG_DEBUG_INFO_BTF") && why.to_lowercase().contains("permission"), "{why}");
    assert!(with(&FORCED).failed(1).contains("ermission"));
}

/// Members that are read, and how a refusal calls them.
const NEEDED: [(&str, &str); 16] = [
    ("skc_num", "struct sock: port"),
    ("skc_family", "struct sock: family"),
    ("skc_state", "struct sock: state"),
    ("skc_rcv_saddr", "struct sock: address4"),
    ("skc_v6_rcv_saddr", "struct sock: address6"),
    ("skc_ipv6only", "struct sock: v6_only"),
    ("skc_bound_dev_if", "struct sock: interface"),
    ("skc_net", "struct sock: net"),
    ("sk_protocol", "struct sock: protocol"),
    ("i_ino", "struct inode: i_ino"),
    ("start_boottime", "struct task_struct: start_boottime"),
    ("real_parent", "struct task_struct: real_parent"),
    ("thread_pid", "struct task_struct: thread_pid"),
    ("nsproxy", "struct task_struct: nsproxy"),
    ("arg_start", "struct mm_struct: arg_start"),
    ("seq_num", "struct bpf_iter_meta: sequence_number"),
];

#[test]
fn a_member_of_another_name_is_missed_by_its_name() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("unshare"), Need::File(PLACE));
    let (c, scratch) = (start("other-names"), Scratch::new());
    let (usual, types) = (usual(&c), Types::new());
    let file = scratch.join("types");
    for (name, says) in NEEDED {
        let mut types = types.clone();
        types.rename(name);
        fs::write(&file, &types.bytes).unwrap();
        refused(&c, &usual, says, |arguments| with_types(&file, arguments));
    }
}

/// Members of one kind and size: a description that has one in the other's place is as good as the right one, until
/// somebody looks what comes out.
const ALIKE: [(&str, &str); 13] = [
    ("skc_num", "skc_family"),
    ("skc_num", "skc_dport"),
    ("skc_rcv_saddr", "skc_daddr"),
    ("skc_v6_rcv_saddr", "skc_v6_daddr"),
    ("skc_ipv6only", "skc_net_refcnt"),
    ("sk_type", "sk_protocol"),
    ("skc_state", "skc_reuse"),
    ("i_ino", "dirtied_when"),
    ("real_parent", "parent"),
    ("arg_start", "arg_end"),
    ("seq_num", "session_id"),
    ("nodename", "domainname"),
    ("exit_state", "exit_signal"),
];

#[test]
fn a_description_that_lies_is_found_out_by_our_own_sockets() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("unshare"), Need::File(PLACE));
    let (c, scratch) = (start("lies"), Scratch::new());
    let (usual, types) = (usual(&c), Types::new());
    let file = scratch.join("types");
    let mut caught = Vec::new();
    for (one, other) in ALIKE {
        let mut types = types.clone();
        types.exchange(one, other);
        fs::write(&file, &types.bytes).unwrap();
        let chart = chart(with_types(&file, &SCAN));
        // Whatever it comes to: nothing wrong is told.
        assert_eq!(charted(&chart, &c), usual, "{one} for {other}: {}", chart["source_reason"]);
        if chart["source"] == "syscalls" {
            let forced = with_types(&file, &FORCED);
            println!("{one} for {other}: {}", forced.failed(1));
            caught.push(one);
        }
    }
    for (one, _) in &ALIKE[..8] {
        assert!(caught.contains(one), "{one} is not found out: {caught:?}");
    }
}

/// Descriptions with one number changed at random, where it matters: it is refused, or right all the same.
#[test]
fn whatever_is_changed_in_a_description_nothing_wrong_is_told() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("unshare"), Need::File(PLACE));
    let (c, scratch) = (start("any-lies"), Scratch::new());
    let usual = usual(&c);
    let mut types = Types::new();
    let members = types.called(&NEEDED.map(|(name, _)| name));
    let file = scratch.join("types");
    let mut random = Random::new(7);
    let mut refused = 0;
    for _ in 0..150 {
        let (name, member) = members[random.below(members.len())];
        let which = [Number::Name, Number::Type, Number::Place, Number::Place][random.below(4)];
        let step = [1, 8, 16, 32, 64, 128, 1 << 20][random.below(7)];
        let back = random.below(2) == 0;
        let mut was = 0;
        types.change(member, which, |number| {
            was = number;
            if back { number.wrapping_sub(step) } else { number.wrapping_add(step) }
        });
        fs::write(&file, &types.bytes).unwrap();
        let ran = with_types(&file, &SCAN);
        let what = format!("{name}, {which:?} {step} {}", if back { "back" } else { "on" });
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{what}");
        let chart: Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!(charted(&chart, &c), usual, "{what}: {} {}", chart["source"], chart["source_reason"]);
        refused += usize::from(chart["source"] == "syscalls");
        types.change(member, which, |_| was);
    }
    // Most of these members are of structures that have a namesake, or of none that is asked for.
    println!("{refused} of 150 refused");
    assert!(refused > 10, "only {refused}: the changes miss what is read");
}

#[test]
fn where_programs_may_not_read_memory_unix_listeners_have_their_names() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("cc"), Need::File(PLACE));
    let (c, rig) = (start("locked-down"), Rig::new());
    let usual = usual(&c);
    for arguments in [&SCAN[..], &FORCED] {
        let (ran, missed) = rig.missing(&["probe="], arguments);
        assert_eq!(missed, ["probe"]);
        assert_eq!(charted(&by_bpf(ran), &c), usual);
    }
}

#[test]
fn before_6_2_programs_take_longer_to_load_and_tell_the_same() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("cc"), Need::Program("unshare"));
    require!(Need::File(PLACE));
    let (c, rig, scratch) = (start("no-cast"), Rig::new(), Scratch::new());
    let usual = usual(&c);
    // Refused, alone and where programs may not read memory either.
    for (words, expected) in [(&["cast="][..], &["cast"][..]), (&["cast=", "probe="], &["cast", "probe"])] {
        let (ran, missed) = rig.missing(words, &FORCED);
        assert_eq!(missed, expected);
        assert_eq!(charted(&by_bpf(ran), &c), usual, "{words:?}");
    }
    // Not there.
    let (file, mut types) = (scratch.join("types"), Types::new());
    types.rename("bpf_rdonly_cast");
    fs::write(&file, &types.bytes).unwrap();
    assert_eq!(charted(&by_bpf(with_types(&file, &FORCED)), &c), usual);
}

#[test]
fn before_6_1_a_pass_cannot_be_of_one_process_and_all_is_the_same() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("cc"), Need::File(PLACE));
    let (c, rig) = (start("no-filter"), Rig::new());
    let usual = usual(&c);
    for arguments in [&SCAN[..], &FORCED] {
        // Whether it is asked for at all is another matter.
        let (ran, _) = rig.missing(&["one-task="], arguments);
        assert_eq!(charted(&by_bpf(ran), &c), usual);
    }
}

#[test]
fn without_sockets_of_files_or_sequences_the_way_is_system_calls() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("cc"), Need::File(PLACE));
    let (c, rig) = (start("no-helpers"), Rig::new());
    let usual = usual(&c);
    // Before 5.11 and 5.8.
    for word in ["sockets=", "sequence="] {
        refused(&c, &usual, "bpf(2) is refused here", |arguments| {
            let (ran, missed) = rig.missing(&[word], arguments);
            assert_eq!(missed, [word.trim_end_matches('=')]);
            ran
        });
    }
}

#[test]
fn each_step_of_loading_that_is_refused_leads_to_system_calls() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("cc"), Need::File(PLACE));
    let (c, rig) = (start("refused-step"), Rig::new());
    let usual = usual(&c);
    // BPF_PROG_LOAD, BPF_LINK_CREATE, BPF_ITER_CREATE.
    for step in [5, 28, 33] {
        for errno in [libc::EPERM, libc::EINVAL, libc::ENOMEM, libc::ENOSYS] {
            let rules = [Rule::when(libc::SYS_bpf, &[(0, u32::MAX, step)], errno)];
            refused(&c, &usual, "", |arguments| rig.portolan(&rules, arguments));
        }
    }
}

#[test]
fn no_locked_memory_is_needed() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("prlimit"), Need::Program("setpriv"));
    require!(Need::File(PLACE));
    let (c, copies) = (start("no-memlock"), Copies::new());
    let usual = usual(&c);
    let mut prlimit = std::process::Command::new("prlimit");
    prlimit.args(["--memlock=0:0", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
    prlimit.args(["--inh-caps=+bpf,+perfmon", "--ambient-caps=+bpf,+perfmon"]);
    let ran = run(prlimit.arg(copies.path()).args(SCAN), b"");
    assert_eq!(charted(&by_bpf(ran), &c).1, usual.1);
}
