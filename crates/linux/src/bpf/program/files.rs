// SPDX-License-Identifier: MIT OR GPL-2.0
//! What is shown every open file of the host.

use super::super::insn::{If, Width};
use super::super::layout::{Files, Names};
use super::super::row::socket;
use super::{
    CONTEXT, END, FILE, FILLER, FIRST, LISTEN, PROBE_READ_KERNEL, Plan, READ, RESULT, ROW, SCRATCH, SECOND,
    SOCK, TASK, THIRD, UNCONNECTED, Writer,
};

/// Helpers, by their numbers in `linux/bpf.h`.
const SOCK_FROM_FILE: i32 = 162;
/// `SS_CONNECTED` of `linux/net.h`: what can be neither listening nor a socket for datagrams.
const CONNECTED: i32 = 3;
const MPTCP: i32 = 262;

/// After so many files the reader gets something, so that no read lasts long: the file that is looked at cannot be
/// closed before the read has ended, and a million files without a row would be an error.
const FILES: i32 = 1 << 13;

/// For `iter/task_file`: a row for each open file that is a socket which listens, or waits for datagrams of anybody.
/// Without `names`, Unix sockets have none.
pub(in super::super) fn files(plan: Plan<'_>, files: &Files, names: Option<&Names>) -> Option<Vec<u8>> {
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
    w.zero(FILLER);
    let length = socket::FILLER;
    w.program.store_number(Width::Word, END, FILLER, length.into());
    let mut filled = 0_usize;
    while filled < READ {
        w.write(FILLER, length);
        filled = filled.saturating_add(usize::from(length.unsigned_abs()));
    }
}
