//! The kernel's description of its types (BTF), to be changed and laid over the real one.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::command::{Ran, binary, helper, run};

/// Where the kernel has it.
pub(super) const PLACE: &str = "/sys/kernel/btf/vmlinux";

/// `BTF_KIND_*` of structures and unions, whose members are followed up here.
const MEMBERED: [u32; 2] = [4, 5];
/// How many bytes each member takes: its name, its type, its place in bits.
const MEMBER: usize = 12;

/// The bytes, and where what is changed lies in them.
#[derive(Clone)]
pub(super) struct Types {
    pub(super) bytes: Vec<u8>,
    strings: usize,
    /// The members of structures and unions.
    members: Vec<usize>,
}

/// Which number of a member is changed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Name,
    Type,
    Place,
}

impl Types {
    /// Those of this kernel.
    pub(super) fn new() -> Self {
        let bytes = fs::read(PLACE).unwrap();
        let word = |at| word(&bytes, at);
        let head = word(4);
        let (start, length, strings) = (head + word(8), word(12), head + word(16));
        let mut members = Vec::new();
        let mut at = start;
        while at < start + length {
            let info = u32::try_from(word(at + 4)).unwrap();
            let (kind, count) = ((info >> 24) & 0x1f, usize::try_from(info & 0xffff).unwrap());
            at += 12;
            let rest = match kind {
                1 | 14 | 17 => 4,
                3 => 12,
                4 | 5 | 15 | 19 => 12 * count,
                6 | 13 => 8 * count,
                2 | 7..=12 | 16 | 18 => 0,
                other => panic!("kind {other}"),
            };
            if MEMBERED.contains(&kind) {
                members.extend((at..at + rest).step_by(MEMBER));
            }
            at += rest;
        }
        assert_eq!(at, start + length);
        Self { bytes, strings, members }
    }

    /// Where a name lies; each is there once.
    fn name(&self, name: &str) -> usize {
        let strings = &self.bytes[self.strings..];
        let text = format!("\0{name}\0");
        let found = memchr(strings, text.as_bytes()).unwrap_or_else(|| panic!("no {name}"));
        found + 1
    }

    /// Another name in its place, which nothing has.
    pub(super) fn rename(&mut self, name: &str) {
        let at = self.strings + self.name(name);
        self.bytes[at] = b'Z';
    }

    /// Each is called as the other, wherever they are members.
    pub(super) fn exchange(&mut self, one: &str, other: &str) {
        let (one, other) = (self.name(one), self.name(other));
        for at in self.members.clone() {
            match word(&self.bytes, at) {
                name if name == one => self.put(at, other),
                name if name == other => self.put(at, one),
                _ => {}
            }
        }
    }

    /// The members that have one of these names, with it.
    pub(super) fn called(&self, names: &[&'static str]) -> Vec<(&'static str, usize)> {
        let places: HashMap<usize, &'static str> =
            names.iter().map(|name| (self.name(name), *name)).collect();
        let found = self.members.iter().filter_map(|at| Some((*places.get(&word(&self.bytes, *at))?, *at)));
        found.collect()
    }

    /// Changes a number of a member; gives what it was.
    pub(super) fn change(&mut self, member: usize, which: Number, how: impl FnOnce(usize) -> usize) {
        let at = member
            + match which {
                Number::Name => 0,
                Number::Type => 4,
                Number::Place => 8,
            };
        let is = how(word(&self.bytes, at));
        self.put(at, is);
    }

    fn put(&mut self, at: usize, number: usize) {
        let number = u32::try_from(number & 0xffff_ffff).unwrap();
        self.bytes[at..at + 4].copy_from_slice(&number.to_ne_bytes());
    }
}

fn word(bytes: &[u8], at: usize) -> usize {
    let word = u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
    usize::try_from(word).unwrap()
}

/// Where some bytes begin in others.
fn memchr(all: &[u8], part: &[u8]) -> Option<usize> {
    let first = part[0];
    let mut from = 0;
    loop {
        let at = from + all[from..].iter().position(|byte| *byte == first)?;
        if all[at..].starts_with(part) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// The command where this file lies over the kernel's, in mounts of its own, which go with it.
pub(super) fn with_types(file: &Path, arguments: &[&str]) -> Ran {
    run(&mut laid_over(file, arguments), b"")
}

pub(super) fn laid_over(file: &Path, arguments: &[&str]) -> Command {
    mounted("mount --bind \"$0\" /sys/kernel/btf/vmlinux && exec \"$@\"", file, arguments)
}

/// The command after a script that mounts something, with a path for `$0`.
pub(super) fn mounted(script: &str, file: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut unshare = Command::new("unshare");
    unshare.args(["-m", "sh", "-c", script]).arg(file).arg(binary()).args(arguments);
    unshare.env("PORTOLAN_HELPER", helper());
    unshare
}
