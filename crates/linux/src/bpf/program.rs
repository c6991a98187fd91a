// SPDX-License-Identifier: MIT OR GPL-2.0
//! The programs that run in the kernel: one is shown every thread of the host, one every open file.
//!
//! They read the kernel's structures and write rows to whoever reads the iterator; they change nothing, keep nothing
//! and wait for nothing. What they call is for programs under the GPL only (`bpf_seq_write`, `bpf_probe_read_kernel`,
//! and every look through a pointer of the kernel), so this file can be had under the GPL as well, and the kernel is
//! told so.
//!
//! A pointer that leads nowhere reads as zero (`Documentation/bpf/verifier.rst`); each is looked at all the same before it
//! is followed, because later kernels demand it of some.

use std::ffi::CStr;

use super::insn::{If, Label, Program, Reg, Width};
use super::layout::{Files, Names, Number, Tasks};
use super::row::{socket, task};

/// One of those that the kernel takes (`include/linux/license.h`).
pub(super) const LICENSE: &CStr = c"Dual MIT/GPL";

/// A row is put together below the end of the stack.
const ROW: i16 = -task::LENGTH;
/// For what is read by a helper.
const SCRATCH: i16 = ROW - 8;

/// For the file that rows are written to: asked for once, because that costs the verifier a search through all types.
const OUTPUT: i16 = -socket::FILLER - 8;

const RESULT: Reg = Reg(0);
const FIRST: Reg = Reg(1);
const SECOND: Reg = Reg(2);
const THIRD: Reg = Reg(3);
/// What the program is called with.
const CONTEXT: Reg = Reg(6);
const TASK: Reg = Reg(7);
const LEADER: Reg = Reg(8);
const FILE: Reg = Reg(8);
const SOCK: Reg = Reg(9);
const END: Reg = Reg(10);

/// Helpers, by their numbers in `linux/bpf.h`.
const GET_CURRENT_TASK: i32 = 35;
const PROBE_READ_KERNEL: i32 = 113;
const SEQ_WRITE: i32 = 127;
const SOCK_FROM_FILE: i32 = 162;

/// `PF_KTHREAD`.
const KERNEL_THREAD: i32 = 0x0020_0000;
/// `SS_CONNECTED` of `linux/net.h`: what can be neither listening nor a socket for datagrams.
const CONNECTED: i32 = 3;
/// States of a socket (`net/tcp_states.h`): waits for connections; has no peer.
const LISTEN: i32 = 10;
const UNCONNECTED: i32 = 7;
const MPTCP: i32 = 262;

/// After so many files the reader gets something, so that no read lasts long: the file that is looked at cannot be
/// closed before the read has ended, and a million files without a row would be an error.
const FILES: i32 = 1 << 13;
/// So much is read at once, and so much a reader gets then.
pub(super) const READ: usize = 2048;

/// Which number of a process is meant: each pid namespace that it is in has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    /// That of the first pid namespace.
    Hosts,
    /// That of the namespace which is so many levels below.
    Level(i16),
}

/// `bpf_rdonly_cast` (Linux 6.2), which makes a pointer one that the verifier takes no more interest in: otherwise it
/// searches all types of the kernel by name, several times for each pointer that is read, for some tenths of a
/// millisecond each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cast {
    /// The number of the function among the kernel's types.
    pub(super) function: u32,
    /// Those of the structures.
    pub(super) task: u32,
    pub(super) file: u32,
}

/// What both programs depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan<'a> {
    pub(super) tasks: &'a Tasks,
    pub(super) numbers: Numbers,
    pub(super) cast: Option<Cast>,
}

struct Writer<'a> {
    program: Program,
    tasks: &'a Tasks,
    numbers: Numbers,
    cast: Option<Cast>,
    /// Where the program ends without a row.
    end: Label,
}

impl<'a> Writer<'a> {
    fn new(plan: Plan<'a>) -> Self {
        let Plan { tasks, numbers, cast } = plan;
        let mut program = Program::default();
        let end = program.label();
        program.copy(CONTEXT, FIRST);
        Self { program, tasks, numbers, cast, end }
    }

    fn finish(mut self) -> Option<Vec<u8>> {
        self.program.put(self.end);
        self.program.exit();
        self.program.assemble()
    }

    /// Reads where a pointer leads, without being able to hand it to a helper any more.
    fn cast(&mut self, this: Reg, to: impl Fn(Cast) -> u32) {
        if let Some(cast) = self.cast {
            self.program.copy(FIRST, this);
            self.program.set(SECOND, to(cast).cast_signed());
            self.program.call_function(cast.function);
            self.program.copy(this, RESULT);
        }
    }

    /// Follows a pointer, or goes on elsewhere if it leads nowhere.
    fn follow(&mut self, to: Reg, from: Reg, at: i16, otherwise: Label) {
        self.program.load(Width::Double, to, from, at);
        self.program.jump_if(to, If::Equal, 0, otherwise);
    }

    /// Puts a number in the row.
    fn put(&mut self, at: i16, width: Width, from: Reg, number: Number) {
        self.program.load(number.width, FIRST, from, number.at);
        self.program.store(width, END, ROW.saturating_add(at), FIRST);
    }

    fn put_bytes(&mut self, at: i16, from: Reg, offset: i16, length: i16) {
        let mut done = 0_i16;
        while done < length {
            let (width, step) =
                if length.saturating_sub(done) >= 8 { (Width::Double, 8) } else { (Width::Byte, 1) };
            self.program.load(width, FIRST, from, offset.saturating_add(done));
            self.program.store(width, END, ROW.saturating_add(at).saturating_add(done), FIRST);
            done = done.saturating_add(step);
        }
    }

    fn zero(&mut self, from: i16) {
        let mut at = from;
        while at < 0 {
            self.program.store_number(Width::Double, END, at, 0);
            at = at.saturating_add(8);
        }
    }

    /// Puts the number of a task in the row: of its process or of itself.
    fn put_number(&mut self, at: i16, of: Reg, own: Number) {
        match self.numbers {
            Numbers::Hosts => self.put(at, Width::Word, of, own),
            Numbers::Level(level) => {
                let end = self.end;
                self.follow(FIRST, of, self.tasks.thread_pid, end);
                self.read_number(FIRST, level);
                self.program.load(Width::Word, FIRST, END, SCRATCH);
                self.program.store(Width::Word, END, ROW.saturating_add(at), FIRST);
            }
        }
    }

    /// Reads one of a process's numbers (`struct upid`: a number, and a pointer) to the scratch place.
    fn read_number(&mut self, of: Reg, level: i16) {
        const UPID: i32 = 16;
        let at = i32::from(self.tasks.numbers)
            .saturating_add(i32::from(level).saturating_mul(UPID))
            .saturating_add(self.tasks.number_of.at.into());
        self.read_kernel(of, at, 4);
    }

    fn read_kernel(&mut self, from: Reg, at: i32, length: i32) {
        self.program.copy(THIRD, from);
        self.program.add(THIRD, at);
        self.program.copy(FIRST, END);
        self.program.add(FIRST, SCRATCH.into());
        self.program.set(SECOND, length);
        self.program.call(PROBE_READ_KERNEL);
    }

    /// Keeps where rows are written to.
    fn keep_output(&mut self, meta: i16) {
        self.program.load(Width::Double, FIRST, CONTEXT, meta);
        self.program.load(Width::Double, SECOND, FIRST, self.tasks.sequence_file);
        self.program.store(Width::Double, END, OUTPUT, SECOND);
    }

    fn write(&mut self, from: i16, length: i16) {
        self.program.load(Width::Double, FIRST, END, OUTPUT);
        self.program.copy(SECOND, END);
        self.program.add(SECOND, from.into());
        self.program.set(THIRD, length.into());
        self.program.call(SEQ_WRITE);
    }
}

/// For `iter/task`: says at which level of pid namespaces the reader is.
pub(super) fn level(plan: Plan<'_>) -> Option<Vec<u8>> {
    let tasks = plan.tasks;
    let mut w = Writer::new(plan);
    let (end, own) = (w.end, w.program.label());
    w.follow(TASK, CONTEXT, tasks.iterated, end);
    w.keep_output(tasks.iterated_meta);
    w.program.call(GET_CURRENT_TASK);
    w.program.jump_if_same(RESULT, TASK, own);
    w.program.exit();
    w.program.put(own);
    w.follow(SECOND, TASK, tasks.thread_pid, end);
    w.zero(-8);
    w.program.load(tasks.level.width, FIRST, SECOND, tasks.level.at);
    w.program.store(Width::Word, END, -8, FIRST);
    w.write(-8, 8);
    w.finish()
}

/// For `iter/task`: a row for the first thread of each process, and for those that are in other namespaces than it.
pub(super) fn tasks(plan: Plan<'_>) -> Option<Vec<u8>> {
    let tasks = plan.tasks;
    let mut w = Writer::new(plan);
    let (end, wanted) = (w.end, w.program.label());
    w.follow(TASK, CONTEXT, tasks.iterated, end);
    w.keep_output(tasks.iterated_meta);
    w.cast(TASK, |cast| cast.task);
    w.follow(LEADER, TASK, tasks.group_leader, end);
    w.program.load(tasks.pid.width, FIRST, TASK, tasks.pid.at);
    w.program.load(tasks.tgid.width, SECOND, TASK, tasks.tgid.at);
    w.program.jump_if_same(FIRST, SECOND, wanted);
    w.follow(FIRST, TASK, tasks.nsproxy, end);
    w.program.load(Width::Double, SECOND, LEADER, tasks.nsproxy);
    w.program.jump_if_same(FIRST, SECOND, end);
    w.program.put(wanted);
    w.zero(SCRATCH);
    w.put_number(task::PID, LEADER, tasks.tgid);
    w.put_number(task::TID, TASK, tasks.pid);
    w.put(task::START, Width::Double, LEADER, tasks.start_boottime);
    w.put(task::EXIT, Width::Word, TASK, tasks.exit_state);
    w.program.load(tasks.flags.width, FIRST, TASK, tasks.flags.at);
    w.program.and(FIRST, KERNEL_THREAD);
    w.program.store(Width::Word, END, ROW.saturating_add(task::KERNEL), FIRST);
    w.put_bytes(task::COMM, TASK, tasks.comm, 16);
    parent(&mut w);
    credentials(&mut w);
    cgroups(&mut w);
    memory(&mut w);
    namespaces(&mut w);
    w.write(ROW, task::LENGTH);
    w.finish()
}

fn parent(w: &mut Writer<'_>) {
    let (tasks, none) = (w.tasks, w.program.label());
    w.follow(SOCK, TASK, tasks.real_parent, none);
    match w.numbers {
        Numbers::Hosts => w.put(task::PARENT, Width::Word, SOCK, tasks.tgid),
        Numbers::Level(level) => {
            w.follow(SOCK, SOCK, tasks.group_leader, none);
            w.follow(SOCK, SOCK, tasks.thread_pid, none);
            w.program.load(tasks.level.width, FIRST, SOCK, tasks.level.at);
            let within = w.program.label();
            w.program.jump_if(FIRST, If::Greater, i32::from(level).saturating_sub(1), within);
            w.program.jump(none);
            w.program.put(within);
            w.read_number(SOCK, level);
            w.program.load(Width::Word, FIRST, END, SCRATCH);
            w.program.store(Width::Word, END, ROW.saturating_add(task::PARENT), FIRST);
        }
    }
    w.program.put(none);
}

fn credentials(w: &mut Writer<'_>) {
    let (tasks, none) = (w.tasks, w.program.label());
    w.follow(SECOND, TASK, tasks.real_cred, none);
    w.put(task::EUID, Width::Word, SECOND, tasks.euid);
    w.follow(SECOND, SECOND, tasks.user_ns, none);
    w.put(task::USER, Width::Word, SECOND, tasks.user_inum);
    w.program.put(none);
}

/// Which set of cgroups it is in: the set's address, and the number of the cgroup of version 2.
fn cgroups(w: &mut Writer<'_>) {
    let (tasks, none) = (w.tasks, w.program.label());
    w.follow(SECOND, TASK, tasks.cgroups, none);
    w.program.store(Width::Double, END, ROW.saturating_add(task::GROUPS), SECOND);
    w.follow(SECOND, SECOND, tasks.dfl_cgrp, none);
    w.follow(SECOND, SECOND, tasks.cgroup_node, none);
    w.put(task::CGROUP, Width::Double, SECOND, tasks.node_id);
    w.program.put(none);
}

fn memory(w: &mut Writer<'_>) {
    let (tasks, none) = (w.tasks, w.program.label());
    w.follow(SECOND, TASK, tasks.mm, none);
    w.put(task::ARGUMENTS, Width::Double, SECOND, tasks.arg_start);
    w.program.put(none);
}

/// One that ends has none any more.
fn namespaces(w: &mut Writer<'_>) {
    let (tasks, none) = (w.tasks, w.program.label());
    w.follow(SOCK, TASK, tasks.nsproxy, none);
    for (at, pointer, number) in
        [(task::MNT, tasks.mnt_ns, tasks.mnt_inum), (task::NET, tasks.net_ns, tasks.net_inum)]
    {
        w.follow(SECOND, SOCK, pointer, none);
        w.put(at, Width::Word, SECOND, number);
    }
    w.follow(SECOND, SOCK, tasks.uts_ns, none);
    w.put(task::UTS, Width::Word, SECOND, tasks.uts_inum);
    w.put_bytes(task::NODENAME, SECOND, tasks.nodename, 65);
    // That of its children is its own, if it is not deeper.
    w.follow(SECOND, SOCK, tasks.children_ns, none);
    w.put(task::PIDNS, Width::Word, SECOND, tasks.pid_inum);
    w.program.load(tasks.pid_level.width, SECOND, SECOND, tasks.pid_level.at);
    w.follow(THIRD, TASK, tasks.thread_pid, none);
    w.program.load(tasks.level.width, THIRD, THIRD, tasks.level.at);
    w.program.jump_if_same(SECOND, THIRD, none);
    w.program.store_number(Width::Word, END, ROW.saturating_add(task::CHILDREN), 1);
    w.program.put(none);
}

/// For `iter/task_file`: a row for each open file that is a socket which listens, or waits for datagrams of anybody.
/// Without `names`, Unix sockets have none.
pub(super) fn files(plan: Plan<'_>, files: &Files, names: Option<&Names>) -> Option<Vec<u8>> {
    let mut w = Writer::new(plan);
    let end = w.end;
    w.follow(TASK, CONTEXT, files.task, end);
    w.follow(FILE, CONTEXT, files.file, end);
    let (filler, back) = (w.program.label(), w.program.label());
    w.keep_output(files.meta);
    w.program.load(files.sequence_number.width, FIRST, FIRST, files.sequence_number.at);
    w.program.and(FIRST, FILES.saturating_sub(1));
    w.program.jump_if(FIRST, If::Equal, FILES.saturating_sub(1), filler);
    w.program.put(back);
    w.program.copy(FIRST, FILE);
    w.program.call(SOCK_FROM_FILE);
    w.program.jump_if(RESULT, If::Equal, 0, end);
    // Most open sockets are connections, and nothing more is looked at of those.
    w.program.load(files.connected.width, FIRST, RESULT, files.connected.at);
    w.program.jump_if(FIRST, If::Equal, CONNECTED, end);
    w.follow(SOCK, RESULT, files.sk, end);

    let (unix, v6, inet, udp, row) =
        (w.program.label(), w.program.label(), w.program.label(), w.program.label(), w.program.label());
    let waits = w.program.label();
    w.program.load(files.state.width, FIRST, SOCK, files.state.at);
    w.program.jump_if(FIRST, If::Equal, LISTEN, waits);
    w.program.jump_if(FIRST, If::Other, UNCONNECTED, end);
    w.program.put(waits);
    w.program.load(files.family.width, SECOND, SOCK, files.family.at);
    w.program.load(files.protocol.width, THIRD, SOCK, files.protocol.at);
    w.program.jump_if(SECOND, If::Equal, libc::AF_INET, inet);
    w.program.jump_if(SECOND, If::Equal, libc::AF_INET6, inet);
    w.program.jump_if(SECOND, If::Equal, libc::AF_UNIX, unix);
    w.program.jump(end);

    w.program.put(inet);
    w.program.jump_if(THIRD, If::Equal, libc::IPPROTO_UDP, udp);
    w.program.jump_if(FIRST, If::Other, LISTEN, end);
    let tcp = w.program.label();
    w.program.jump_if(THIRD, If::Equal, libc::IPPROTO_TCP, tcp);
    w.program.jump_if(THIRD, If::Other, MPTCP, end);
    w.program.jump(tcp);
    w.program.put(udp);
    w.program.jump_if(FIRST, If::Other, UNCONNECTED, end);
    w.program.put(tcp);
    w.zero(SCRATCH);
    w.put(socket::PORT, Width::Half, SOCK, files.port);
    w.program.jump_if(FIRST, If::Equal, 0, end);
    w.put(socket::FAMILY, Width::Half, SOCK, files.family);
    w.program.store_number(Width::Word, END, ROW.saturating_add(socket::LENGTH), socket::INET.into());
    w.program.jump_if(FIRST, If::Equal, libc::AF_INET6, v6);
    w.put(socket::ADDRESS, Width::Word, SOCK, files.address4);
    w.program.jump(row);
    w.program.put(v6);
    address6(&mut w, files);
    w.program.jump(row);

    w.program.put(unix);
    w.program.jump_if(FIRST, If::Other, LISTEN, end);
    w.zero(SCRATCH);
    w.put(socket::FAMILY, Width::Half, SOCK, files.family);
    w.program.store_number(Width::Word, END, ROW.saturating_add(socket::LENGTH), socket::UNIX.into());
    if let Some(names) = names {
        name(&mut w, names);
    }

    w.program.put(row);
    about(&mut w, files);
    // A row of an address has less to it.
    w.program.load(Width::Word, FIRST, END, ROW.saturating_add(socket::LENGTH));
    let short = w.program.label();
    w.program.jump_if(FIRST, If::Equal, socket::INET.into(), short);
    w.write(ROW, socket::UNIX);
    w.program.exit();
    w.program.put(short);
    w.write(ROW, socket::INET);
    w.program.exit();

    w.program.put(filler);
    fill(&mut w);
    w.program.jump(back);
    w.finish()
}

/// As four numbers: looking through a pointer for a whole structure is not allowed.
fn address6(w: &mut Writer<'_>, files: &Files) {
    for part in 0..4_i16 {
        let at = part.saturating_mul(4);
        w.program.load(Width::Word, FIRST, SOCK, files.address6.saturating_add(at));
        w.program.store(Width::Word, END, ROW.saturating_add(socket::ADDRESS).saturating_add(at), FIRST);
    }
    let off = w.program.label();
    w.program.load(Width::Byte, FIRST, SOCK, files.v6_only.at);
    w.program.and(FIRST, files.v6_only.mask);
    w.program.jump_if(FIRST, If::Equal, 0, off);
    w.program.store_number(Width::Byte, END, ROW.saturating_add(socket::V6_ONLY), 1);
    w.program.put(off);
}

/// The name of a Unix socket. One without a name cannot be connected to, and has no row.
fn name(w: &mut Writer<'_>, names: &Names) {
    let end = w.end;
    let (longest, kept) = (i32::from(socket::LONGEST_NAME), ROW.saturating_add(socket::START));
    w.read_kernel(SOCK, names.address.into(), 8);
    w.program.load(Width::Double, FIRST, END, SCRATCH);
    w.program.jump_if(FIRST, If::Equal, 0, end);
    w.program.store(Width::Double, END, kept, FIRST);
    w.read_kernel(FIRST, names.length.at.into(), 4);
    w.program.load(Width::Word, SECOND, END, SCRATCH);
    let named = w.program.label();
    // Longer than the family alone, and no longer than there is room, whatever is said.
    w.program.jump_if(SECOND, If::Greater, 2, named);
    w.program.jump(end);
    w.program.put(named);
    w.program.jump_if(SECOND, If::Greater, longest, end);
    w.program.store(Width::Word, END, ROW.saturating_add(socket::NAME_LENGTH), SECOND);
    w.program.load(Width::Double, THIRD, END, kept);
    w.program.add(THIRD, names.name.into());
    w.program.copy(FIRST, END);
    w.program.add(FIRST, ROW.saturating_add(socket::NAME).into());
    w.program.call(PROBE_READ_KERNEL);
}

/// What all rows of listeners have: whose it is, and what it is.
fn about(w: &mut Writer<'_>, files: &Files) {
    let (tasks, end) = (w.tasks, w.end);
    w.cast(TASK, |cast| cast.task);
    w.cast(FILE, |cast| cast.file);
    w.put(socket::PROTOCOL, Width::Half, SOCK, files.protocol);
    w.put(socket::KIND, Width::Byte, SOCK, files.kind);
    w.put(socket::UID, Width::Word, SOCK, files.uid);
    w.put(socket::INTERFACE, Width::Word, SOCK, files.interface);
    w.follow(SECOND, SOCK, files.net, end);
    w.put(socket::NET, Width::Word, SECOND, tasks.net_inum);
    w.follow(SECOND, FILE, files.f_inode, end);
    w.put(socket::INODE, Width::Word, SECOND, files.i_ino);
    w.program.load(files.descriptor.width, FIRST, CONTEXT, files.descriptor.at);
    w.program.store(Width::Word, END, ROW.saturating_add(socket::DESCRIPTOR), FIRST);
    w.put_number(socket::TID, TASK, tasks.pid);
    // Nothing is asked of the socket and the file any more.
    w.follow(SOCK, TASK, tasks.group_leader, end);
    w.put(socket::START, Width::Double, SOCK, tasks.start_boottime);
    w.put_number(socket::PID, SOCK, tasks.tgid);
}

/// As much as is read at once, and nothing in it.
fn fill(w: &mut Writer<'_>) {
    w.zero(-socket::FILLER);
    let length = socket::FILLER;
    w.program.store_number(Width::Word, END, -length, length.into());
    let mut filled = 0_usize;
    while filled < READ {
        w.write(-length, length);
        filled = filled.saturating_add(usize::from(length.unsigned_abs()));
    }
}
