//! Why a process belongs to its container, as sentences.

use portolan_linux::error::Escaped;
use portolan_linux::{Home, Process};

use crate::cgroup::{Classification, Runtime, classify};
use crate::container::Namespaces;
use crate::fault::Faults;
use crate::scanner::snapshot::Snapshot;
use crate::{Error, Result, ScanOptions, walk};

/// What is known of a process, and what follows.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Explanation {
    /// The container's id; `None` for a process of the host.
    pub container: Option<String>,
    /// What the cgroup alone says.
    pub cgroup: Classification,
    /// The process's namespaces.
    pub namespaces: Namespaces,
    /// The host's.
    pub host: Namespaces,
    /// Facts first, the conclusion last.
    pub sentences: Vec<String>,
}

/// Explains to which container a process belongs.
///
/// # Errors
/// [`TargetGone`](crate::ErrorKind::TargetGone), [`MissingPrivilege`](crate::ErrorKind::MissingPrivilege),
/// [`Unsupported`](crate::ErrorKind::Unsupported) for a kernel thread.
///
/// # Example
/// ```
/// let me = portolan_linux::Process::open(std::process::id().cast_signed())?;
/// for sentence in portolan_scan::explain(&me)?.sentences {
///     println!("{sentence}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn explain(process: &Process) -> Result<Explanation> {
    let failed = Error::of_process;
    process.require_userland().map_err(failed)?;
    let home = Home::here().map_err(failed)?;
    let host = walk::host_namespaces(home.id(), &mut Faults::default());
    let namespaces = walk::namespaces(process).map_err(failed)?;
    let cgroup = classify(&process.cgroup().map_err(failed)?);
    let pid = process.pid();
    let mut sentences = vec![format!("pid {pid} is {}", Escaped(&process.stat().command))];
    sentences.push(match cgroup.path.as_slice() {
        b"" => "its cgroup is not known".to_owned(),
        path => format!("its cgroup is {}: {}", Escaped(path), cgroup.rule),
    });
    for (what, own, hosts) in [
        ("mount", namespaces.mnt, host.mnt),
        ("pid", namespaces.pid, host.pid),
        ("network", namespaces.net, host.net),
        ("user", namespaces.user, host.user),
    ] {
        let same = if own == hosts { "the host's" } else { "its own, not the host's" };
        sentences.push(format!("its {what} namespace is {same} ({own})"));
    }
    // The others decide as well: a process can belong to a container by the company it keeps.
    let mut snapshot = Snapshot::new(ScanOptions::default());
    snapshot.processes()?;
    let container = snapshot.container_of(process.id());
    if let Some(c) = &container {
        let whose = if c.init.pid == pid { "it" } else { "its container's first process" };
        sentences.push(format!("of {whose}, pid {}, is known:", c.init.pid));
        sentences.extend(c.evidence.iter().map(|clause| format!("- {clause}")));
        if c.claimed {
            sentences
                .push("- a user could have made that name: it is believed of that user's own".to_owned());
        }
    }
    sentences.push(match &container {
        Some(c) if c.runtime == Runtime::Unknown => {
            format!("so it belongs to a container of unknown runtime, {}", c.id)
        }
        Some(c) => {
            let name = c.name.as_ref().map(|name| format!(", called {name}")).unwrap_or_default();
            format!("so it belongs to the {} container {}{name}", c.runtime, c.id)
        }
        None => "so it belongs to the host".to_owned(),
    });
    let container = container.map(|c| c.id);
    Ok(Explanation { container, cgroup, namespaces, host, sentences })
}
