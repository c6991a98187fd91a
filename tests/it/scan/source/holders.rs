//! Who holds which socket, by the links of `/proc`: of every thread, without any limit.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::super::part::number;

/// A descriptor that is a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holding {
    pub(super) pid: i32,
    pub(super) descriptor: u32,
    /// Whether it is in the table of the thread that speaks for the process: the first that has not ended.
    pub(super) of_first: bool,
}

/// All sockets that processes hold, and all networks that tasks are in.
#[derive(Debug, Default)]
pub(super) struct Holders {
    sockets: BTreeMap<u32, Vec<Holding>>,
    networks: BTreeSet<u64>,
    /// Whether there is a process that not even root may look at.
    pub(super) blind: bool,
}

/// The numbers that are names in a directory; none when it is gone.
fn numbers(directory: &Path) -> Vec<i32> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut all: Vec<i32> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    all.sort_unstable();
    all
}

impl Holders {
    pub(super) fn now() -> Self {
        let mut all = Self::default();
        for pid in numbers(Path::new("/proc")) {
            all.look(pid);
        }
        all
    }

    fn look(&mut self, pid: i32) {
        let process = format!("/proc/{pid}");
        let user = fs::read(format!("{process}/cmdline")).is_ok_and(|line| !line.is_empty());
        let refused = |error: std::io::Error| error.kind() == std::io::ErrorKind::PermissionDenied;
        self.blind |= user && fs::read_link(format!("{process}/ns/net")).is_err_and(refused);
        // Threads that scan are in one network after another, of this test and of others.
        let name = fs::read_to_string(format!("{process}/comm")).unwrap_or_default();
        let scans = pid == std::process::id().cast_signed() || name.trim_end() == "portolan";
        let mut first = true;
        // Its first thread has its number, which is not the lowest where numbers have begun anew.
        let mut threads = numbers(Path::new(&format!("{process}/task")));
        threads.sort_by_key(|thread| (*thread != pid, *thread));
        for thread in threads {
            let task = format!("{process}/task/{thread}");
            let Some(network) = number(Path::new(&format!("{task}/ns/net")), "net:") else { continue };
            if !scans {
                self.networks.insert(network);
            }
            for descriptor in numbers(Path::new(&format!("{task}/fd"))) {
                if let Some(socket) = number(Path::new(&format!("{task}/fd/{descriptor}")), "socket:") {
                    let descriptor = u32::try_from(descriptor).unwrap();
                    let holding = Holding { pid, descriptor, of_first: first };
                    self.sockets.entry(u32::try_from(socket).unwrap()).or_default().push(holding);
                }
            }
            first = false;
        }
    }

    /// Who holds a socket.
    pub(super) fn of(&self, socket: u32) -> &[Holding] {
        self.sockets.get(&socket).map_or(&[], Vec::as_slice)
    }

    /// Whether a task is in a network, and stays there.
    pub(super) fn has_task_in(&self, netns: u64) -> bool {
        self.networks.contains(&netns)
    }
}
