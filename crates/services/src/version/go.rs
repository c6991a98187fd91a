//! What Go's linker writes into each program: the main module's version, or how it was built.
//!
//! The form is that of Go's `debug/buildinfo` since 1.18: a mark of 14 bytes, the size of pointers, flags, and 32 bytes
//! after the mark's beginning two texts, each with its length before it: Go's version, and lines about modules.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use portolan_files::Find;
use portolan_linux::error::Escaped;

use super::place::Subject;
use super::{Asked, upstream};
use crate::config::Wanted;
use crate::rules::wild;
use crate::service::Version;
use crate::source::Source;

/// Kinds that are written in Go. Of others it is not looked for.
const KINDS: &[&str] = &[
    "*exporter*",
    "alertmanager",
    "caddy",
    "cadvisor",
    "cockroach*",
    "consul*",
    "containerd",
    "coredns",
    "docker*",
    "dockerd",
    "etcd",
    "gitea",
    "go",
    "grafana*",
    "headscale",
    "influx*",
    "jaeger*",
    "k3s",
    "kube*",
    "loki",
    "mimir",
    "minio",
    "nats*",
    "node-exporter",
    "nomad",
    "nsqd",
    "nsq*",
    "open-telemetry*",
    "opentelemetry*",
    "otel*",
    "otelcol*",
    "prometheus*",
    "promtail",
    "pushgateway",
    "registry",
    "seaweedfs",
    "syncthing",
    "telegraf",
    "tempo",
    "thanos",
    "traefik",
    "vault",
    "victoria*",
    "weaviate",
];

/// A program of 64 bits, the low byte first.
const ELF: &[u8] = b"\x7fELF\x02\x01";
const MAGIC: &[u8] = b"\xff Go buildinf:";
/// As much as is looked through for it, and sent of it.
const MOST_LOOKED: u64 = 64 * 1024 * 1024;
const AFTER: u32 = 32 * 1024;
/// The ELF header and the program headers, which follow it.
const HEADERS: u32 = 4096;
/// Around the lines about modules, so that they are found in memory.
const SENTINEL: usize = 16;

/// What will be looked at first.
pub(crate) fn wanted(asked: &Asked<'_>) -> Option<Wanted> {
    let path = subject(asked)?.path.clone();
    Some(Wanted::Find(path, find(ELF, 0, HEADERS.into(), HEADERS)))
}

fn subject<'a>(asked: &'a Asked<'_>) -> Option<&'a Subject> {
    let of_go = KINDS.iter().any(|kind| wild::matches(kind.as_bytes(), asked.rule.kind.as_bytes()));
    asked.subject.as_ref().filter(|subject| of_go && !subject.interpreted)
}

/// The version that a program of Go has in it.
pub(crate) fn tell(asked: &Asked<'_>, source: &mut dyn Source) -> Option<Version> {
    let subject = subject(asked)?;
    let (offset, length) = written_segment(&subject.path, source)?;
    let found = source.find(&subject.path, &find(MAGIC, offset, length.min(MOST_LOOKED), AFTER)).ok()?;
    let texts = found.places.iter().filter_map(|place| place.bytes.get(place.at..));
    let version = texts.filter_map(modules).find_map(version)?;
    let path = Escaped(subject.path.as_os_str().as_bytes());
    Some(Version { text: version, source: format!("Go build information in {path}") })
}

fn find(text: &[u8], offset: u64, max_looked: u64, after: u32) -> Find {
    Find {
        texts: vec![text.to_vec()],
        at_lines: false,
        before: 0,
        after,
        offset,
        max_looked,
        // The mark is in programs too that read it in others.
        max_places: 4,
        max_bytes: 4 * u64::from(AFTER),
    }
}

/// Where the program's written data are (`elf(5)`): Go's linker puts the mark at their beginning, or soon after.
fn written_segment(path: &Path, source: &mut dyn Source) -> Option<(u64, u64)> {
    let head = source.find(path, &find(ELF, 0, HEADERS.into(), HEADERS)).ok()?;
    let place = head.places.first()?;
    let head = place.bytes.get(place.at..)?;
    let long = |at: usize| Some(u64::from_le_bytes(*head.get(at..)?.first_chunk()?));
    let short = |at: usize| Some(usize::from(u16::from_le_bytes(*head.get(at..)?.first_chunk()?)));
    let (table, size, count) = (usize::try_from(long(32)?).ok()?, short(54)?, short(56)?);
    const LOAD: u32 = 1;
    const WRITABLE: u32 = 2;
    for number in 0..count.min(64) {
        let at = table.checked_add(number.checked_mul(size)?)?;
        let word = |at: usize| Some(u32::from_le_bytes(*head.get(at..)?.first_chunk()?));
        let (Some(kind), Some(flags)) = (word(at), word(at.checked_add(4)?)) else { break };
        if kind == LOAD && flags & WRITABLE != 0 {
            let (offset, length) = (long(at.checked_add(8)?)?, long(at.checked_add(32)?)?);
            return (offset <= i64::MAX.unsigned_abs()).then_some((offset, length));
        }
    }
    None
}

/// The lines about modules, behind the mark; as many of them as were sent.
fn modules(info: &[u8]) -> Option<&[u8]> {
    const INLINE: u8 = 2;
    let flags = *info.get(MAGIC.len().checked_add(1)?)?;
    if flags & INLINE == 0 {
        return None;
    }
    let (go, rest) = text(info.get(32..)?)?;
    if !go.starts_with(b"go1.") && !go.starts_with(b"devel") {
        return None;
    }
    let (lines, _) = text(rest)?;
    lines.get(SENTINEL..)
}

/// A text with its length before it, seven bits a byte; what was cut off is left out.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0_usize;
    let mut at = 0_usize;
    loop {
        let byte = usize::from(*bytes.get(at)?);
        length |= (byte & 0x7f).checked_shl(u32::try_from(at.checked_mul(7)?).ok()?)?;
        at = at.checked_add(1)?;
        if byte & 0x80 == 0 {
            break;
        }
        if at > 4 {
            return None;
        }
    }
    let rest = bytes.get(at..)?;
    Some(rest.split_at(length.min(rest.len())))
}

/// Of the main module; a program that was built in its source tree has none, but is often told its own.
fn version(lines: &[u8]) -> Option<String> {
    // What was cut off is no line.
    let end = lines.iter().rposition(|b| *b == b'\n')?;
    let lines = lines.get(..end)?.split(|b| *b == b'\n');
    let mut of_module = None;
    let mut of_flags: Option<String> = None;
    for line in lines {
        if let Some(module) = line.strip_prefix(b"mod\t") {
            of_module = module.split(|b| *b == b'\t').nth(1).and_then(whole);
        } else if let Some(flags) = line.strip_prefix(b"build\t-ldflags=") {
            for found in told(flags) {
                match &of_flags {
                    Some(before) if *before != found => return of_module,
                    _ => of_flags = Some(found),
                }
            }
        }
    }
    of_module.or(of_flags)
}

/// What the linker was told to write into variables that are called so: `-X example.org/version.Version=1.2.3`.
fn told(flags: &[u8]) -> impl Iterator<Item = String> {
    // The line is quoted as Go quotes: `\t` and `\"` are breaks.
    let words = flags.split(|b| matches!(b, b' ' | b'\\' | b'"' | b'\''));
    words.filter_map(|word| {
        let at = word.iter().position(|b| *b == b'=')?;
        let (name, value) = (word.get(..at)?, word.get(at.checked_add(1)?..)?);
        let name = name.rsplit(|b| *b == b'.').next()?.to_ascii_lowercase();
        matches!(name.as_slice(), b"version" | b"buildversion" | b"appversion" | b"releaseversion")
            .then(|| whole(value))
            .flatten()
    })
}

/// A version that a release has, `v1.2.3`: not `(devel)`, and not that of some commit.
fn whole(text: &[u8]) -> Option<String> {
    let text = text.strip_prefix(b"v").unwrap_or(text);
    let version = upstream::at_beginning(text, 2)?;
    let rest = text.get(version.len()..)?;
    let released =
        rest.is_empty() || rest == b"+incompatible" || rest.starts_with(b"+dfsg") || rest.starts_with(b"+ds");
    (released && !version.starts_with("0.0.0")).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    /// A program of two segments, the second of which is written and begins with this.
    fn program(data: &[u8]) -> Vec<u8> {
        let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
        elf.resize(64, 0);
        elf[32..40].copy_from_slice(&64_u64.to_le_bytes());
        elf[54..58].copy_from_slice(&[56, 0, 2, 0]);
        for (flags, offset, length) in [(5_u32, 0_u64, 176_u64), (6, 192, 4096)] {
            elf.extend(1_u32.to_le_bytes());
            elf.extend(flags.to_le_bytes());
            elf.extend(offset.to_le_bytes());
            elf.extend([0; 16]);
            elf.extend(length.to_le_bytes());
            elf.extend([0; 16]);
        }
        elf.resize(192, 0);
        elf.extend(data);
        elf
    }

    fn info(lines: &str) -> Vec<u8> {
        let mut info = MAGIC.to_vec();
        info.extend([8, 2]);
        info.resize(32, 0);
        info.extend(b"\x08go1.19.8");
        let length = lines.len().saturating_add(2 * SENTINEL);
        info.extend([u8::try_from(length & 0x7f).unwrap() | 0x80, u8::try_from(length >> 7).unwrap()]);
        info.extend([b'x'; SENTINEL]);
        info.extend(lines.bytes());
        info.extend([b'y'; SENTINEL]);
        info
    }

    fn of(program: &[u8]) -> Option<String> {
        let source = &mut Memory::default().with("/p", program);
        let (offset, length) = written_segment(Path::new("/p"), source)?;
        let found = source.find(Path::new("/p"), &find(MAGIC, offset, length, AFTER)).ok()?;
        found.places.iter().filter_map(|place| modules(&place.bytes)).find_map(version)
    }

    #[test]
    fn what_the_linker_wrote() {
        for (lines, version) in [
            ("path\tx/cmd\nmod\tx\tv2.45.0\th1:a=\ndep\ty\tv9.9.9\th1:b=\n", Some("2.45.0")),
            ("path\tx\nmod\tx\tv28.0.1+incompatible\t\n", Some("28.0.1")),
            ("path\tx\nmod\tx\t(devel)\t\n", None),
            ("path\tx\nmod\tx\tv0.0.0-20230101000000-abcdef012345\t\n", None),
            ("path\tx\nmod\tx\tv1.2.4-0.20230101000000-abcdef012345\t\n", None),
            (
                "mod\tx\t(devel)\t\nbuild\t-ldflags=\"-s -X github.com/p/common/version.Version=2.45.0 -X a.Branch=HEAD\"\n",
                Some("2.45.0"),
            ),
            (
                "build\t-ldflags=\" \\t-w \\t-X \\\"x/dockerversion.Version=20.10.24+dfsg1\\\" \\t\"\n",
                Some("20.10.24"),
            ),
            ("build\t-ldflags=-X a.Version=1.2 -X b.version=1.3\n", None),
            ("", None),
        ] {
            assert_eq!(of(&program(&info(lines))).as_deref(), version, "{lines}");
        }
    }

    #[test]
    fn what_is_no_program_of_go() {
        let good = program(&info("mod\tx\tv2.45.0\t\n"));
        for length in 0..good.len() {
            // Nothing is believed, or all of it; and nothing goes wrong.
            let told = of(&good[..length]);
            assert!(told.is_none() || told.as_deref() == Some("2.45.0"), "{length}: {told:?}");
        }
        for at in 0..good.len() {
            for value in [0, 0x7f, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                let _ = of(&bad);
            }
        }
        assert_eq!(of(b"#!/bin/sh\n"), None);
        assert_eq!(of(&program(MAGIC)), None);
    }
}
