//! Names of containers of Podman and CRI-O, from the command line of their monitor.
//!
//! Each container has a `conmon` process on the host that is told the container's id and name when it is started
//! (`conmon(8)`: `-c`, `-n`). It is no part of the container, so the container cannot change what it says; but any
//! user can start a program of that name, so it counts only for containers of its own user, and root's for all.

use std::collections::HashMap;

use portolan_linux::Process;
use portolan_linux::error::Escaped;

use crate::container::Namespaces;
use crate::walk::Seen;

/// Names by container id, each with the user who says so.
#[derive(Debug, Default)]
pub(crate) struct Names(HashMap<String, (u32, String)>);

impl Names {
    /// From the monitors among these processes.
    pub(crate) fn of(processes: &[Seen], host: &Namespaces) -> Self {
        let outside = |p: &&Seen| p.namespaces.mnt == host.mnt && p.namespaces.pid == host.pid;
        let monitors = processes.iter().filter(|p| p.command() == b"conmon").filter(outside);
        let said = monitors.filter_map(|seen| {
            let process = seen.trace.follow().ok()?;
            let (id, name) = parse(&process.command_line().ok()?)?;
            Some((id, (process.owner().ok()?, name)))
        });
        Self(said.collect())
    }

    /// The name of a container, whose first process is this one.
    pub(crate) fn of_container(&self, id: &str, init: &Process) -> Option<String> {
        let (user, name) = self.0.get(id)?;
        let believed = *user == 0 || init.owner().is_ok_and(|owner| owner == *user);
        believed.then(|| name.clone())
    }
}

/// The id and name among the arguments.
fn parse(command_line: &[u8]) -> Option<(String, String)> {
    let mut arguments = command_line.split(|b| *b == 0).skip(1);
    let (mut id, mut name) = (None, None);
    while let Some(argument) = arguments.next() {
        match argument {
            b"-c" | b"--cid" => id = arguments.next(),
            b"-n" | b"--name" => name = arguments.next(),
            // What follows belongs to the runtime that it starts.
            b"--" => break,
            _ => {}
        }
    }
    let id = std::str::from_utf8(id?)
        .ok()
        .filter(|id| id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let name = name.filter(|name| !name.is_empty() && name.len() <= 255)?;
    Some((id.to_owned(), Escaped(name).to_string()))
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn said(line: &str) -> Option<(String, String)> {
        parse(line.replace(' ', "\0").as_bytes())
    }

    #[test]
    fn command_lines() {
        let id = "5".repeat(64);
        let named = |name: &str| Some((id.clone(), name.to_owned()));
        assert_eq!(
            said(&format!("/usr/bin/conmon --api-version 1 -c {id} -u {id} -r /usr/bin/runc -n web -l x")),
            named("web")
        );
        assert_eq!(said(&format!("conmon --cid {id} --name a\nb")), named(r"a\x0ab"));
        assert_eq!(said(&format!("conmon -c {id} -- -n web")), None);
        assert_eq!(said(&format!("conmon -n web -c {}", "5".repeat(63))), None);
        assert_eq!(said(&format!("conmon -c {id} -n")), None);
        assert_eq!(said("conmon"), None);
        assert_eq!(parse(b""), None);
    }
}
