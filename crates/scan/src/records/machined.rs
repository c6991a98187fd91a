//! Machines that systemd knows: `/run/systemd/machines/NAME`, one assignment in a line.
//!
//! The format is systemd's own affair, so little is read of it, and it counts only when the leader that it names is
//! the process that we ask for.

use std::path::{Path, PathBuf};

use super::Found;
use crate::cgroup::Runtime;
use crate::evidence::label;

pub(super) const DIRECTORY: &str = "/run/systemd/machines";

pub(super) fn place(name: &str) -> Option<PathBuf> {
    label::is_element(name).then(|| Path::new(DIRECTORY).join(name))
}

/// The number of a machine's first process.
pub(super) fn leader(text: &[u8]) -> Option<i32> {
    std::str::from_utf8(value(text, b"LEADER")?).ok()?.parse().ok()
}

fn value<'a>(text: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let mut lines = text.split(|b| *b == b'\n').take(64);
    lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(b"="))
}

/// Reads a machine's file; nothing when its leader is another process.
pub(super) fn parse(pid: i32, text: &[u8]) -> Option<Found> {
    let value = |key: &[u8]| value(text, key);
    if leader(text)? != pid || value(b"CLASS").is_some_and(|class| class != b"container") {
        return None;
    }
    let mut found = Found { name: value(b"NAME").and_then(label::name), ..Found::default() };
    match value(b"SERVICE").unwrap_or_default() {
        b"systemd-nspawn" | b"nspawn" => found.runtime = Some(Runtime::SystemdNspawn),
        b"libvirt-lxc" => found.runtime = Some(Runtime::LibvirtLxc),
        b"" => {}
        service => {
            found.says.extend(label::name(service).map(|name| format!("{name} registered it with systemd")));
        }
    }
    found.id = found.name.clone();
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines() {
        let text =
            b"# This is private data. Do not parse.\nNAME=web\nSCOPE=machine-web.scope\nCLASS=container\n\
            SERVICE=systemd-nspawn\nROOT=/r\nLEADER=812\n";
        let found = parse(812, text).unwrap();
        assert_eq!((found.runtime, found.name.as_deref()), (Some(Runtime::SystemdNspawn), Some("web")));
        assert_eq!(parse(813, text), None);
        assert_eq!(parse(812, b"NAME=web\nLEADER=812\nCLASS=vm\n"), None);
        for bad in [&b""[..], b"LEADER=", b"LEADER=x", b"\xff\nLEADER", b"LEADER=99999999999"] {
            assert_eq!(parse(812, bad), None);
        }
        assert_eq!(place("../x"), None);
    }
}
