//! Ends what a container without a pid namespace leaves behind.
//!
//! The kernel ends a pid namespace with its process 1. Without one, the children of a killed process live on.
//! The keeper is a process that waits until its container is dropped or the test has died, and then kills
//! whatever is still in one of the other namespaces that the container had of its own.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use crate::living::Living;
use crate::namespace::Namespace;
use crate::world::World;

/// The end of its input is the signal: it comes when we close it, and when we die. Killing may race with
/// forking, hence the rounds.
///
/// Its output is the namespace. Held open, that cannot end and hand its number on to another container's.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
read -r _
for round in 1 2 3 4 5 6 7 8 9; do
    found=
    for link in /proc/[0-9]*/ns/"$1"; do
        [ "$link" -ef /proc/self/fd/1 ] || continue
        pid=${link#/proc/}
        kill -KILL "${pid%%/*}" 2>/dev/null && found=1
    done
    [ "$found" ] || exit 0
done
"#;

#[derive(Debug)]
pub(crate) struct Keeper {
    shell: Child,
    _living: Living,
}

impl Keeper {
    /// `None` if the container shares everything: then nothing tells its processes from the host's.
    pub(crate) fn new(world: &World, pid: i32) -> io::Result<Option<Self>> {
        let own = |namespace: &Namespace| *namespace != Namespace::Pid && world.has_own(*namespace);
        let Some(namespace) = Namespace::ALL.into_iter().find(own) else { return Ok(None) };
        let kind = namespace.file();
        let namespace = File::open(format!("/proc/{pid}/ns/{kind}"))?;
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "keeper", kind])
            .stdin(Stdio::piped())
            .stdout(namespace)
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let living = Living::new(shell.id());
        Ok(Some(Self { shell, _living: living }))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Waiting closes its input first.
        let _ = self.shell.wait();
    }
}
