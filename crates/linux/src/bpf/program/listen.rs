// SPDX-License-Identifier: MIT OR GPL-2.0
//! What is called when a TCP socket goes from one state to another.

use super::super::insn::{If, Program, Width};
use super::{CONTEXT, END, FIRST, FOURTH, LISTEN, RESULT, SECOND, THIRD, UNCONNECTED};

/// Helpers, by their numbers in `linux/bpf.h`.
const GET_CURRENT_PID_TGID: i32 = 14;
const RINGBUF_OUTPUT: i32 = 130;
/// Where the number is put.
const NUMBER: i16 = -8;
/// The arguments of the tracepoint `inet_sock_set_state`: the socket, then these.
const OLD_STATE: i16 = 8;
const NEW_STATE: i16 = 16;

/// When a socket begins to listen, or ceases to: writes the number of the process that did it to a ring.
///
/// A connection that comes in is made as a copy of its listener, so that it goes from "listens" to another state as well;
/// but never to "closed" from there.
pub(in super::super) fn listen(ring: i32) -> Option<Vec<u8>> {
    let mut p = Program::default();
    let (end, tell) = (p.label(), p.label());
    p.copy(CONTEXT, FIRST);
    p.load(Width::Double, FIRST, CONTEXT, NEW_STATE);
    p.jump_if(FIRST, If::Equal, LISTEN, tell);
    p.jump_if(FIRST, If::Other, UNCONNECTED, end);
    p.load(Width::Double, FIRST, CONTEXT, OLD_STATE);
    p.jump_if(FIRST, If::Other, LISTEN, end);
    p.put(tell);
    p.call(GET_CURRENT_PID_TGID);
    p.store(Width::Double, END, NUMBER, RESULT);
    p.set_map(FIRST, ring);
    p.copy(SECOND, END);
    p.add(SECOND, NUMBER.into());
    p.set(THIRD, 8);
    p.set(FOURTH, 0);
    // When the ring is full, that is lost: its reader sees that it was full.
    p.call(RINGBUF_OUTPUT);
    p.put(end);
    p.exit();
    p.assemble()
}
