//! Where the members of the kernel's structures are that the programs read.
//!
//! Nothing is guessed: a member that is missing, or is not of the kind and size that it is known to have, makes the
//! whole unavailable.

use super::Unavailable;
use super::btf::{Btf, Member, Shape};
use super::insn::Width;

/// A number at some distance from the beginning of a structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) at: i16,
    pub(super) width: Width,
}

/// One bit, in a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bit {
    pub(super) at: i16,
    pub(super) mask: i32,
}

macro_rules! layout {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty = $find:ident($structure:literal, $path:expr $(, $more:expr)?),)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) struct $name { $(pub(super) $field: $kind,)* }

        impl $name {
            pub(super) const STRUCTURES: &'static [&'static [u8]] = &[$($structure.as_bytes()),*];

            pub(super) fn find(btf: &Btf<'_>) -> Result<Self, Unavailable> {
                Ok(Self { $($field: $find(btf, $structure, &$path $(, $more)?)
                    .ok_or(Unavailable::Unknown(concat!("struct ", $structure, ": ", stringify!($field))))?,)* })
            }
        }
    };
}

layout! {
    /// Of processes.
    Tasks {
        iterated_meta: i16 = pointer("bpf_iter__task", ["meta"], "bpf_iter_meta"),
        iterated: i16 = pointer("bpf_iter__task", ["task"], "task_struct"),
        sequence_file: i16 = pointer("bpf_iter_meta", ["seq"], "seq_file"),
        pid: Number = number("task_struct", ["pid"], 4),
        tgid: Number = number("task_struct", ["tgid"], 4),
        group_leader: i16 = pointer("task_struct", ["group_leader"], "task_struct"),
        real_parent: i16 = pointer("task_struct", ["real_parent"], "task_struct"),
        start_boottime: Number = number("task_struct", ["start_boottime"], 8),
        flags: Number = number("task_struct", ["flags"], 4),
        exit_state: Number = number("task_struct", ["exit_state"], 4),
        comm: i16 = bytes("task_struct", ["comm"], 16),
        thread_pid: i16 = pointer("task_struct", ["thread_pid"], "pid"),
        real_cred: i16 = pointer("task_struct", ["real_cred"], "cred"),
        nsproxy: i16 = pointer("task_struct", ["nsproxy"], "nsproxy"),
        mm: i16 = pointer("task_struct", ["mm"], "mm_struct"),
        cgroups: i16 = pointer("task_struct", ["cgroups"], "css_set"),
        level: Number = number("pid", ["level"], 4),
        numbers: i16 = upids("pid", ["numbers"]),
        number_of: Number = number("upid", ["nr"], 4),
        euid: Number = number("cred", ["euid", "val"], 4),
        user_ns: i16 = pointer("cred", ["user_ns"], "user_namespace"),
        user_inum: Number = number("user_namespace", ["ns", "inum"], 4),
        net_ns: i16 = pointer("nsproxy", ["net_ns"], "net"),
        net_inum: Number = number("net", ["ns", "inum"], 4),
        mnt_ns: i16 = pointer("nsproxy", ["mnt_ns"], "mnt_namespace"),
        mnt_inum: Number = number("mnt_namespace", ["ns", "inum"], 4),
        uts_ns: i16 = pointer("nsproxy", ["uts_ns"], "uts_namespace"),
        uts_inum: Number = number("uts_namespace", ["ns", "inum"], 4),
        nodename: i16 = bytes("uts_namespace", ["name", "nodename"], 65),
        children_ns: i16 = pointer("nsproxy", ["pid_ns_for_children"], "pid_namespace"),
        pid_inum: Number = number("pid_namespace", ["ns", "inum"], 4),
        pid_level: Number = number("pid_namespace", ["level"], 4),
        arg_start: Number = number("mm_struct", ["arg_start"], 8),
        dfl_cgrp: i16 = pointer("css_set", ["dfl_cgrp"], "cgroup"),
        cgroup_node: i16 = pointer("cgroup", ["kn"], "kernfs_node"),
        node_id: Number = number("kernfs_node", ["id"], 8),
    }
}

layout! {
    /// Of open files that are sockets.
    Files {
        meta: i16 = pointer("bpf_iter__task_file", ["meta"], "bpf_iter_meta"),
        task: i16 = pointer("bpf_iter__task_file", ["task"], "task_struct"),
        descriptor: Number = number("bpf_iter__task_file", ["fd"], 4),
        file: i16 = pointer("bpf_iter__task_file", ["file"], "file"),
        sequence_number: Number = number("bpf_iter_meta", ["seq_num"], 8),
        f_inode: i16 = pointer("file", ["f_inode"], "inode"),
        i_ino: Number = number("inode", ["i_ino"], 8),
        connected: Number = number("socket", ["state"], 4),
        sk: i16 = pointer("socket", ["sk"], "sock"),
        family: Number = number("sock", ["__sk_common", "skc_family"], 2),
        state: Number = number("sock", ["__sk_common", "skc_state"], 1),
        port: Number = number("sock", ["__sk_common", "skc_num"], 2),
        address4: Number = number("sock", ["__sk_common", "skc_rcv_saddr"], 4),
        address6: i16 = address("sock", ["__sk_common", "skc_v6_rcv_saddr"]),
        v6_only: Bit = bit("sock", ["__sk_common", "skc_ipv6only"]),
        interface: Number = number("sock", ["__sk_common", "skc_bound_dev_if"], 4),
        net: i16 = pointer("sock", ["__sk_common", "skc_net", "net"], "net"),
        kind: Number = number("sock", ["sk_type"], 2),
        protocol: Number = number("sock", ["sk_protocol"], 2),
        uid: Number = number("sock", ["sk_uid", "val"], 4),
    }
}

layout! {
    /// Of the names of Unix sockets.
    Names {
        address: i16 = pointer("unix_sock", ["addr"], "unix_address"),
        length: Number = number("unix_address", ["len"], 4),
        name: i16 = names("unix_address", ["name"]),
    }
}

fn at(member: Member) -> Option<i16> {
    (member.bits.is_none() && member.bit & 7 == 0).then_some(())?;
    i16::try_from(member.bit >> 3).ok()
}

fn number(btf: &Btf<'_>, structure: &str, path: &[&str], bytes: u32) -> Option<Number> {
    let member = btf.member(structure.as_bytes(), path)?;
    (member.shape == Shape::Number(bytes)).then_some(())?;
    Some(Number { at: at(member)?, width: Width::of(bytes)? })
}

fn pointer(btf: &Btf<'_>, structure: &str, path: &[&str], to: &str) -> Option<i16> {
    let member = btf.member(structure.as_bytes(), path)?;
    let Shape::Pointer { to: pointed } = member.shape else { return None };
    btf.leads_to(pointed, to.as_bytes()).then_some(())?;
    at(member)
}

/// An array of at least so many bytes.
fn bytes(btf: &Btf<'_>, structure: &str, path: &[&str], length: u32) -> Option<i16> {
    let member = btf.member(structure.as_bytes(), path)?;
    let Shape::Array { of, count } = member.shape else { return None };
    (btf.size(of) == Some(1) && count >= length).then_some(())?;
    at(member)
}

/// `struct upid numbers[]`, or `[1]` before Linux 6.5.
fn upids(btf: &Btf<'_>, structure: &str, path: &[&str]) -> Option<i16> {
    let member = btf.member(structure.as_bytes(), path)?;
    let Shape::Array { of, .. } = member.shape else { return None };
    btf.leads_to(of, b"upid").then_some(())?;
    at(member)
}

/// `struct in6_addr`, whose only member is sixteen bytes.
fn address(btf: &Btf<'_>, structure: &str, path: &[&str]) -> Option<i16> {
    let member = btf.member(structure.as_bytes(), path)?;
    let Shape::Structure { .. } = member.shape else { return None };
    let inner = btf.member(b"in6_addr", &["in6_u", "u6_addr8"])?;
    let Shape::Array { of, count: 16 } = inner.shape else { return None };
    (btf.size(of) == Some(1) && inner.bit == 0).then_some(())?;
    at(member)
}

/// `struct sockaddr_un name[]`.
fn names(btf: &Btf<'_>, structure: &str, path: &[&str]) -> Option<i16> {
    let member = btf.member(structure.as_bytes(), path)?;
    let Shape::Array { of, .. } = member.shape else { return None };
    btf.leads_to(of, b"sockaddr_un").then_some(())?;
    at(member)
}

fn bit(btf: &Btf<'_>, structure: &str, path: &[&str]) -> Option<Bit> {
    let member = btf.member(structure.as_bytes(), path)?;
    (member.bits == Some(1) && matches!(member.shape, Shape::Number(_))).then_some(())?;
    let within = member.bit & 7;
    let within = if cfg!(target_endian = "little") { within } else { 7_u32.checked_sub(within)? };
    Some(Bit { at: i16::try_from(member.bit >> 3).ok()?, mask: 1_i32.checked_shl(within)? })
}

/// All structures that are looked for.
pub(super) fn structures() -> Vec<&'static [u8]> {
    let more: [&[u8]; 7] =
        [b"in6_addr", b"sockaddr_un", b"upid", b"seq_file", b"net", b"unix_address", b"kernfs_node"];
    let mut all = [Tasks::STRUCTURES, Files::STRUCTURES, Names::STRUCTURES, &more].concat();
    all.sort_unstable();
    all.dedup();
    all
}
