//! The process that looks after a container from the host, and what its command line says.
//!
//! A shim or a conmon is told the container's id when it is started. It runs on the host and the container cannot
//! reach it, so what a monitor of root says is the best evidence there is. But its command line is only text: a
//! user can start a program of that name, or start a set-user-ID program by such a name. So a monitor counts for the
//! containers below it in the tree of processes, [`fits_program`] asks which file it runs, and one that is not
//! root's counts only for containers of its own user.

mod arguments;
mod confined;
mod conmon;
mod machines;
mod shim;

use std::path::PathBuf;

use super::{Evidence, Trust};
use crate::cgroup::{Kind, Runtime};
use crate::container::Pod;
use arguments::{Arguments, base};

/// What a monitor says of its container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Monitor {
    pub(crate) runtime: Runtime,
    /// What the container is, where the monitor tells.
    pub(crate) kind: Option<Kind>,
    /// The namespace of containerd that it serves.
    pub(crate) namespace: Option<String>,
    /// The container's id.
    pub(crate) id: Option<String>,
    /// The id of the sandbox of the pod that it serves: all its containers have this one monitor.
    pub(crate) sandbox: Option<String>,
    /// The container's name, as people know it.
    pub(crate) name: Option<String>,
    /// The pod, where the name tells.
    pub(crate) pod: Option<Pod>,
    /// The OCI bundle.
    pub(crate) bundle: Option<PathBuf>,
    /// Where the container's output goes: the names of drivers, each with its file if it has one.
    pub(crate) logs: Vec<(String, Option<PathBuf>)>,
    /// LXC's directory of containers, or the root directory of a machine of systemd-nspawn.
    pub(crate) directory: Option<PathBuf>,
    /// What the monitor is, with its article.
    pub(crate) what: &'static str,
}

/// Who runs a monitor, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keeper {
    /// Its number among processes.
    pub(crate) pid: i32,
    /// Its effective user.
    pub(crate) user: u32,
    /// Whether [`fits_program`] said yes; false also when the file that it runs could not be seen.
    pub(crate) program: bool,
    /// Whether it runs in a container itself: it is root there by that container's leave.
    pub(crate) inside: bool,
}

impl Monitor {
    /// Whether a process of this command name (at most 15 bytes, `proc_pid_comm(5)`) can be a monitor: the command
    /// line of others need not be read.
    pub(crate) fn is_likely(command: &[u8]) -> bool {
        const NAMES: &[&[u8]] = &[
            b"containerd-shim",
            b"docker-containe",
            b"conmon",
            b"conmonrs",
            b"lxc-start",
            b"lxc-execute",
            b"lxc-autostart",
            b"lxd",
            b"incusd",
            b"systemd-nspawn",
            b"libvirt_lxc",
            b"nomad",
            b"dadoo",
            b"bwrap",
            b"starter",
            b"starter-suid",
            b"exe",
            b"runsc",
            b"runsc-sandbox",
            b"runc",
            b"crun",
        ];
        NAMES.contains(&command) || command.starts_with(b"[lxc monitor]")
    }

    /// Reads the command line of a process that [`is_likely`](Self::is_likely).
    ///
    /// Nothing when it is no monitor, or is one that lasts for a moment only.
    pub(crate) fn parse(command_line: &[u8]) -> Option<Self> {
        if let Some(title) = command_line.strip_prefix(b"[lxc monitor] ") {
            return machines::lxc(title);
        }
        if let Some(monitor) = confined::apptainer(command_line) {
            return Some(monitor);
        }
        let mut arguments = Arguments::of(command_line);
        let program = base(arguments.word()?);
        match program {
            b"conmon" => conmon::conmon(arguments),
            b"conmonrs" => conmon::conmonrs(arguments),
            b"systemd-nspawn" => machines::nspawn(arguments),
            b"libvirt_lxc" => machines::libvirt(arguments),
            b"nomad" => confined::nomad(arguments),
            b"dadoo" => confined::dadoo(arguments),
            b"bwrap" => Some(Self::new(Runtime::Bubblewrap, "bubblewrap")),
            b"runsc-sandbox" => confined::gvisor(arguments),
            b"runc" => confined::oci(Runtime::Runc, arguments),
            b"crun" => confined::oci(Runtime::Crun, arguments),
            _ => shim::shim(program, arguments),
        }
    }

    pub(super) fn new(runtime: Runtime, what: &'static str) -> Self {
        Self {
            runtime,
            what,
            kind: None,
            namespace: None,
            id: None,
            sandbox: None,
            name: None,
            pod: None,
            bundle: None,
            logs: Vec::new(),
            directory: None,
        }
    }

    /// Whether the program may be started by users with more rights than they have, so that its owner proves
    /// nothing.
    fn is_users_tool(&self) -> bool {
        matches!(self.runtime, Runtime::Bubblewrap | Runtime::Apptainer)
    }

    /// What it says of a container below it.
    pub(crate) fn evidence(&self, keeper: Keeper) -> Evidence {
        let Keeper { pid, user, program, inside } = keeper;
        let roots = user == 0 && program && !inside && !self.is_users_tool();
        let trust = if roots { Trust::Monitor } else { Trust::User };
        let runs = if user == 0 { "root runs".to_owned() } else { format!("user {user} runs") };
        let said = match (&self.id, &self.sandbox, &self.name) {
            (Some(_), _, Some(name)) => format!("names it and calls it {name}"),
            (Some(_), _, None) => "names it".to_owned(),
            (None, Some(sandbox), _) => format!("serves its pod, whose sandbox is {sandbox}"),
            (None, None, Some(name)) => format!("calls it {name}"),
            (None, None, None) => "looks after it".to_owned(),
        };
        let doubt = match keeper {
            _ if inside => ", from inside of another container",
            _ if user == 0 && !program => ", though its program could not be checked",
            _ => "",
        };
        Evidence {
            kind: self.kind,
            id: self.id.clone(),
            sandbox: self.sandbox.clone(),
            name: self.name.clone(),
            pod: self.pod.clone(),
            ..Evidence::new(
                trust,
                self.runtime,
                format!("process {pid}, {} that {runs}, {said}{doubt}", self.what),
            )
        }
    }
}

/// Whether a monitor can run this file (the target of `/proc/PID/exe`).
///
/// A set-user-ID program takes whatever name a user starts it by, but not another file.
pub(crate) fn fits_program(monitor: &Monitor, file: &[u8]) -> bool {
    // The kernel says so after an upgrade of the package.
    let file = base(file.strip_suffix(b" (deleted)").unwrap_or(file));
    let known: &[&[u8]] = match monitor.runtime {
        Runtime::Podman | Runtime::CriO => &[b"conmon", b"conmonrs", b"crio-conmon"],
        // The monitor is a fork of what started it.
        Runtime::Lxc => &[b"lxc-start", b"lxc-execute", b"lxc-autostart", b"lxd", b"incusd"],
        Runtime::SystemdNspawn => &[b"systemd-nspawn"],
        Runtime::LibvirtLxc => &[b"libvirt_lxc"],
        Runtime::Nomad => &[b"nomad"],
        Runtime::Bubblewrap => &[b"bwrap", b"flatpak-bwrap"],
        Runtime::Apptainer => &[b"starter", b"starter-suid"],
        Runtime::GVisor if file.starts_with(b"runsc") => return true,
        Runtime::Runc => &[b"runc"],
        Runtime::Crun => &[b"crun"],
        Runtime::Garden if file == b"dadoo" => return true,
        _ => return file.starts_with(b"containerd-shim") || file == b"docker-containerd-shim",
    };
    known.contains(&file) || (monitor.runtime == Runtime::Lxc && file.starts_with(b"python3"))
}

/// Whether what a user's monitor says counts for a container: it must be that user's own.
///
/// `owner` is the user of the container's first process; `uid_map` the text of its `/proc/PID/uid_map`, as we see
/// it. A user can map their own number into a namespace, and nobody else's but what root granted them
/// (`user_namespaces(7)`); the map of the first namespace, which has all users, proves nothing.
pub(crate) fn may_speak(user: u32, owner: u32, uid_map: &[u8]) -> bool {
    if user == 0 || user == owner {
        return true;
    }
    let lines = uid_map.split(|b| *b == b'\n').take(340);
    lines.filter_map(|line| std::str::from_utf8(line).ok()).any(|line| {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u32>);
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(_)), Some(Ok(outside)), Some(Ok(1))) => outside == user,
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests;
