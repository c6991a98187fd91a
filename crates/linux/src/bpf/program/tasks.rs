// SPDX-License-Identifier: MIT OR GPL-2.0
//! What is shown every thread of the host.

use super::super::insn::{If, Width};
use super::super::row::task;
use super::{
    CONTEXT, END, FIRST, LEADER, Numbers, Plan, RESULT, ROW, SCRATCH, SECOND, SOCK, TASK, THIRD, Writer,
};

/// Helpers, by their numbers in `linux/bpf.h`.
const GET_CURRENT_TASK: i32 = 35;
/// `PF_KTHREAD`.
const KERNEL_THREAD: i32 = 0x0020_0000;

/// For `iter/task`: says at which level of pid namespaces the reader is.
pub(in super::super) fn level(plan: Plan<'_>) -> Option<Vec<u8>> {
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
pub(in super::super) fn tasks(plan: Plan<'_>) -> Option<Vec<u8>> {
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
