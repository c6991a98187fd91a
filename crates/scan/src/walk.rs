//! Every process of `/proc`, each file of it read once.

use std::collections::HashMap;
use std::rc::Rc;

use portolan_linux::{ErrorKind, NamespaceId, NamespaceKind, Process, ProcessId, process};

use crate::cgroup::{Classification, classify};
use crate::container::Namespaces;
use crate::fault::Faults;
use crate::{Error, Result};

/// What the scan keeps of a process.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) id: ProcessId,
    pub(crate) command: Vec<u8>,
    pub(crate) namespaces: Namespaces,
    pub(crate) cgroup: Rc<Classification>,
}

/// The namespaces of the host: those of process 1 where we may read them, else our own.
///
/// In an agent that runs in a container with the host's pid namespace, process 1 is the host's. Root may lack a
/// capability that process 1 has, and is refused then (`ptrace(2)`).
pub(crate) fn host_namespaces(own_net: NamespaceId, faults: &mut Faults) -> Namespaces {
    let first = Process::open(1).and_then(|p| namespaces(&p));
    if let Ok(namespaces) = first {
        return namespaces;
    }
    let own = Process::open(std::process::id().cast_signed()).and_then(|p| namespaces(&p));
    own.unwrap_or_else(|error| {
        faults.of_pid("read the namespaces", std::process::id().cast_signed(), &error);
        let unknown = NamespaceId::new(0);
        Namespaces { mnt: unknown, net: own_net, pid: unknown, user: unknown }
    })
}

pub(crate) fn namespaces(process: &Process) -> portolan_linux::Result<Namespaces> {
    Ok(Namespaces {
        mnt: process.namespace(NamespaceKind::Mount)?,
        net: process.namespace(NamespaceKind::Net)?,
        pid: process.namespace(NamespaceKind::Pid)?,
        user: process.namespace(NamespaceKind::User)?,
    })
}

/// All processes but kernel threads and zombies, which have nothing that could be charted.
pub(crate) fn processes(faults: &mut Faults) -> Result<Vec<Seen>> {
    let mut seen = Vec::new();
    // Processes of a container have one text in common; it is judged once.
    let mut judged: HashMap<Vec<u8>, Rc<Classification>> = HashMap::new();
    for pid in process::all().map_err(Error::proc_unreadable)? {
        let process = match Process::open(pid) {
            Ok(process) if process.stat().is_kernel_thread() || process.stat().is_zombie() => continue,
            Ok(process) => process,
            Err(error) => {
                faults.of_pid("open", pid, &error);
                continue;
            }
        };
        let namespaces = match namespaces(&process) {
            Ok(namespaces) => namespaces,
            Err(error) => {
                faults.of_pid("read the namespaces", pid, &error);
                continue;
            }
        };
        let text = process.cgroup().unwrap_or_else(|error| {
            if error.kind() != ErrorKind::TargetGone {
                faults.of_pid("read the cgroup", pid, &error);
            }
            Vec::new()
        });
        let cgroup = match judged.get(&text) {
            Some(known) => Rc::clone(known),
            None => {
                let new = Rc::new(classify(&text));
                judged.insert(text, Rc::clone(&new));
                new
            }
        };
        seen.push(Seen { id: process.id(), command: process.stat().command.clone(), namespaces, cgroup });
    }
    Ok(seen)
}
