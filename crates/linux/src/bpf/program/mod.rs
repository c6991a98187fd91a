// SPDX-License-Identifier: MIT OR GPL-2.0
//! The programs that run in the kernel: one is shown every thread of the host, one every open file.
//!
//! They read the kernel's structures and write rows to whoever reads the iterator (the one for a watch writes to a ring);
//! they change nothing, keep nothing and wait for nothing. What they call is for programs under the GPL only
//! (`bpf_seq_write`, `bpf_probe_read_kernel`, and every look through a pointer of the kernel), so this file can be had
//! under the GPL as well, and the kernel is told so.
//!
//! - `tasks`: the program for threads; `files`: the one for open files
//! - `listen`: the one for a watch, which is called when a socket begins or ceases to listen
//!
//! A pointer that leads nowhere reads as zero (`Documentation/bpf/verifier.rst`); each is looked at all the same before it
//! is followed, because later kernels demand it of some.

mod files;
mod listen;
mod tasks;

use std::ffi::CStr;

use super::insn::{If, Label, Program, Reg, Width};
use super::layout::{Number, Tasks};
use super::row::{socket, task};
pub(super) use files::files;
pub(super) use listen::listen;
pub(super) use tasks::{level, tasks};

/// One of those that the kernel takes (`include/linux/license.h`).
pub(super) const LICENSE: &CStr = c"Dual MIT/GPL";

/// A row is put together below the end of the stack.
const ROW: i16 = -task::LENGTH;
/// For what is read by a helper.
const SCRATCH: i16 = ROW - 8;

/// For the file that rows are written to: asked for once, because that costs the verifier a search through all types.
const OUTPUT: i16 = FILLER - 8;
/// Where a row that says nothing is put together.
const FILLER: i16 = -socket::FILLER;

const RESULT: Reg = Reg(0);
const FIRST: Reg = Reg(1);
const SECOND: Reg = Reg(2);
const THIRD: Reg = Reg(3);
const FOURTH: Reg = Reg(4);
/// What the program is called with.
const CONTEXT: Reg = Reg(6);
const TASK: Reg = Reg(7);
const LEADER: Reg = Reg(8);
const FILE: Reg = Reg(8);
const SOCK: Reg = Reg(9);
const END: Reg = Reg(10);

/// Helpers, by their numbers in `linux/bpf.h`.
const PROBE_READ_KERNEL: i32 = 113;
const SEQ_WRITE: i32 = 127;

/// States of a socket (`net/tcp_states.h`): waits for connections; has no peer.
const LISTEN: i32 = 10;
const UNCONNECTED: i32 = 7;

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
