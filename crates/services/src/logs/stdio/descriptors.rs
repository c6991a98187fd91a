//! Where a process's own standard output goes, by its descriptors 1 and 2.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use portolan_linux::error::{Escaped, FileKind};
use portolan_linux::process::{Access, OpenFile};
use portolan_linux::{Process, mount_info};

use super::{LogFile, Source, Stdio, nowhere, stdio};
use crate::logs::open::{DESCRIPTORS, log_files};
use crate::logs::{Format, Result};

/// Where a process's standard output goes, and its standard error if that is all there is: a file of the host's, a
/// file of its own, the journal, or nowhere that can be read.
///
/// # Errors
/// [`TargetGone`](portolan_linux::ErrorKind::TargetGone),
/// [`MissingPrivilege`](portolan_linux::ErrorKind::MissingPrivilege).
pub fn of_process(process: &Process) -> Result<Stdio> {
    let mut last = None;
    for number in [1, 2] {
        let Some(open) = process.open_file(number)? else { continue };
        let mut found = of_descriptor(process, &open)?;
        if !matches!(found.source, Source::Nowhere(_)) {
            if let Some(other) = process.open_file(2)?.filter(|other| number == 1 && other.link != open.link)
            {
                found.evidence.push(format!("its standard error goes elsewhere: {}", Escaped(&other.link)));
            }
            return Ok(found);
        }
        last = last.or(Some(found));
    }
    let pid = process.pid();
    Ok(last.unwrap_or_else(|| {
        let why = format!("pid {pid} has no standard output, and no log driver was recorded");
        nowhere(&why, "both descriptors are closed")
    }))
}

fn of_descriptor(process: &Process, open: &OpenFile) -> Result<Stdio> {
    let (pid, link) = (process.pid(), Escaped(&open.link));
    let says = format!("descriptor {} of pid {pid} is {link}", open.descriptor);
    let what = match open.link.as_slice() {
        b"/dev/null" => format!("the standard output of pid {pid} is /dev/null"),
        link if link.starts_with(b"pipe:") => {
            format!("the standard output of pid {pid} is a pipe, and nobody recorded where it leads")
        }
        link if link.starts_with(b"socket:") => {
            return Ok(match journal(process, open.descriptor)? {
                Some(fields) => stdio(Source::Journal(fields), format!("{says}, a stream to the journal")),
                None => {
                    let why =
                        format!("the standard output of pid {pid} is a socket, and not one to the journal");
                    nowhere(&why, &says)
                }
            });
        }
        link if link.starts_with(b"/dev/") => {
            format!("the standard output of pid {pid} is a terminal or a device")
        }
        link if link.starts_with(b"/") && open.access != Access::Read => {
            if is_ours(open.mount)? {
                return of_file(process, open, says);
            }
            return Ok(stdio(Source::Inside(link.to_vec()), format!("{says}, on a mount of its own")));
        }
        _ => format!("the standard output of pid {pid} is no file"),
    };
    Ok(nowhere(&what, &says))
}

/// A file on a mount of our own: what started the container had it open already.
fn of_file(process: &Process, open: &OpenFile, says: String) -> Result<Stdio> {
    let identity = process.identity_of(open.descriptor)?;
    if identity.kind != FileKind::Regular || identity.links == 0 {
        let pid = process.pid();
        let why = format!("the standard output of pid {pid} is no file that a path leads to");
        return Ok(nowhere(&why, &says));
    }
    let path = PathBuf::from(OsStr::from_bytes(&open.link));
    let file = LogFile { strictly: true, ..LogFile::new(&path, Format::Raw) };
    Ok(stdio(Source::File(file), says))
}

/// Whether a mount is one of our own mount namespace: a path on it is one of ours.
fn is_ours(mount: Option<u64>) -> Result<bool> {
    let own = Process::own()?.mount_info()?;
    Ok(mount_info::parse(&own).any(|own| Some(own.id) == mount))
}

/// The files on our own mounts that a process of the host has open to write.
pub(super) fn host_files(process: &Process) -> Result<Vec<PathBuf>> {
    let own = Process::own()?.mount_info()?;
    let ours: Vec<u64> = mount_info::parse(&own).map(|mount| mount.id).collect();
    let found = log_files(process, DESCRIPTORS)?.files.into_iter();
    let found = found.filter(|file| !file.deleted && file.mount.is_some_and(|mount| ours.contains(&mount)));
    Ok(found.map(|file| PathBuf::from(OsStr::from_bytes(&file.path))).collect())
}

/// The fields of a unit's entries, if a descriptor is the stream to the journal that systemd opened for it: it says so
/// in `JOURNAL_STREAM`, as device and inode number (`systemd.exec(5)`).
fn journal(process: &Process, descriptor: u32) -> Result<Option<Vec<String>>> {
    let inode = process.identity_of(descriptor)?.inode;
    let environment = process.environment()?;
    let said = environment.split(|b| *b == 0).find_map(|one| one.strip_prefix(b"JOURNAL_STREAM="));
    let said = said.and_then(|text| std::str::from_utf8(text).ok()?.split_once(':')?.1.parse::<u64>().ok());
    if said != Some(inode) {
        return Ok(None);
    }
    let cgroup = process.cgroup()?;
    let Some(unit) = unit(&cgroup) else { return Ok(None) };
    let name = String::from_utf8_lossy(&process.stat().command).into_owned();
    Ok(Some(vec![format!("_SYSTEMD_UNIT={unit}"), format!("_COMM={name}")]))
}

/// The unit of a process, as journald names it: the first part of its cgroup that is no slice (`systemd.journal-fields(7)`).
pub(super) fn unit(cgroup: &[u8]) -> Option<String> {
    let path = |start: &[u8]| {
        let mut lines = cgroup.split(|b| *b == b'\n');
        lines.find_map(|line| {
            let (_, rest) = line.split_at_checked(line.iter().position(|b| *b == b':')?)?;
            rest.strip_prefix(start).map(<[u8]>::to_vec)
        })
    };
    // The manager's own hierarchy, in either version of control groups: where both are there, one of them is empty.
    let unit = |path: Vec<u8>| {
        let path = String::from_utf8(path).ok()?;
        let unit = path.split('/').find(|part| !part.is_empty() && !part.ends_with(".slice"))?;
        let unit = unit.strip_prefix('_').unwrap_or(unit);
        let kinds = [".service", ".scope", ".socket", ".mount", ".swap"];
        (kinds.iter().any(|kind| unit.ends_with(kind)) && unit.len() < 256).then(|| unit.to_owned())
    };
    [&b":name=systemd:"[..], b"::"].into_iter().find_map(|start| unit(path(start)?))
}
