//! Loading the programs, and reading what they write.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Instant;

use nix::sys::statfs::{SYSFS_MAGIC, fstatfs};

use super::btf::Btf;
use super::layout::{self, Files, Names, Tasks};
use super::program::{self, Cast, LICENSE, Numbers, Plan, READ};
use super::{Unavailable, row};
use crate::error::{ErrorKind, Limit, Subject, os};
use crate::privilege::Capability;
use crate::sys::{self, Attach, Mapping};
use crate::{Error, NamespaceKind, Result};

const TYPES: &str = "/sys/kernel/btf/vmlinux";
/// It has some five megabytes.
const MOST_TYPES: u64 = 64 << 20;
const OF_TASKS: &[u8] = b"bpf_iter_task";
const OF_FILES: &[u8] = b"bpf_iter_task_file";
const CAST: &[u8] = b"bpf_rdonly_cast";
/// `PROC_PID_INIT_INO`: the inode number of the first pid namespace, the same since Linux 3.8.
const FIRST_PID_NAMESPACE: u64 = 0xefff_fffc;
/// `PROC_USER_INIT_INO`.
const FIRST_USER_NAMESPACE: u64 = 0xefff_fffd;
/// So many rows in bytes are taken from one pass: as many as a host with a hundred thousand listeners has.
const MOST: usize = 64 << 20;

/// A program, and the link by which it is called for everything.
#[derive(Debug)]
pub(super) struct Loaded {
    program: OwnedFd,
    link: OwnedFd,
}

/// Both programs.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) tasks: Loaded,
    pub(super) files: Loaded,
    /// Whether the names of Unix sockets are in the rows.
    pub(super) has_names: bool,
}

impl Programs {
    pub(super) fn load() -> std::result::Result<Self, Unavailable> {
        let types = Types::get()?;
        let btf = Btf::parse(types.bytes(), &layout::structures(), &[OF_TASKS, OF_FILES, CAST])
            .ok_or_else(|| Unavailable::NoTypes("it cannot be read".to_owned()))?;
        let tasks = Tasks::find(&btf)?;
        let files = Files::find(&btf)?;
        // Unix sockets can be a module, which is not among the kernel's own types.
        let names = Names::find(&btf).ok();
        let function = |name: &'static [u8]| {
            btf.function(name).ok_or(Unavailable::Unknown("set of iterators (iter/task, iter/task_file)"))
        };
        let (of_tasks, of_files) = (function(OF_TASKS)?, function(OF_FILES)?);
        let mut plan = Plan { tasks: &tasks, numbers: Numbers::Hosts, cast: cast(&btf) };
        plan.numbers = numbers(plan, of_tasks)?;
        let load_tasks = |plan| Loaded::new(program::tasks(plan), of_tasks, b"portolan_tasks");
        let task_program = match load_tasks(plan) {
            Err(why) if plan.cast.is_some() && why != Unavailable::Privilege => {
                plan.cast = None;
                load_tasks(plan)?
            }
            other => other?,
        };
        let file_program = |names: Option<&Names>| {
            let code = program::files(plan, &files, names);
            Loaded::new(code, of_files, b"portolan_files")
        };
        // Where the kernel is locked down, names cannot be read (`kernel_lockdown(7)`, confidentiality).
        let named = names.as_ref().map(|names| file_program(Some(names)));
        let (file_program, has_names) = match named {
            Some(Ok(loaded)) => (loaded, true),
            Some(Err(Unavailable::Privilege)) => return Err(Unavailable::Privilege),
            _ => (file_program(None)?, false),
        };
        Ok(Self { tasks: task_program, files: file_program, has_names })
    }
}

fn cast(btf: &Btf<'_>) -> Option<Cast> {
    Some(Cast {
        function: btf.function(CAST)?,
        task: btf.structure(b"task_struct", "pid")?,
        file: btf.structure(b"file", "f_inode")?,
    })
}

/// The kernel's description of its types.
enum Types {
    /// As it lies in the kernel (Linux 6.16).
    Mapped(Mapping),
    Read(Vec<u8>),
}

impl Types {
    fn get() -> std::result::Result<Self, Unavailable> {
        Self::open().map_err(|error| Unavailable::NoTypes(error.to_string()))
    }

    fn open() -> std::io::Result<Self> {
        let file = File::open(TYPES)?;
        let length = usize::try_from(file.metadata()?.len().min(MOST_TYPES)).unwrap_or(0);
        // What is not the kernel's own could be shortened while it is read.
        let is_kernels = fstatfs(&file).is_ok_and(|system| system.filesystem_type() == SYSFS_MAGIC);
        if is_kernels && let Ok(mapped) = Mapping::of(file.as_fd(), length) {
            return Ok(Self::Mapped(mapped));
        }
        let mut text = Vec::with_capacity(length);
        file.take(MOST_TYPES).read_to_end(&mut text)?;
        Ok(Self::Read(text))
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(mapping) => mapping.bytes(),
            Self::Read(text) => text,
        }
    }
}

/// Whether this process is in the host's pid namespace.
pub(super) fn has_hosts_numbers() -> std::result::Result<bool, Unavailable> {
    let own = crate::Process::own()
        .and_then(|own| own.namespace(NamespaceKind::Pid))
        .map_err(|_| Unavailable::Elsewhere("this process's own pid namespace is not known"))?;
    Ok(own.inode() == FIRST_PID_NAMESPACE)
}

/// By which numbers this process knows others.
fn numbers(plan: Plan<'_>, function: u32) -> std::result::Result<Numbers, Unavailable> {
    if has_hosts_numbers()? {
        return Ok(Numbers::Hosts);
    }
    let program = Loaded::new(program::level(plan), function, b"portolan_level")?;
    let mut answer = Vec::new();
    let unknown = Unavailable::Elsewhere("the level of this process's pid namespace is not known");
    let asked = program.read(None, &mut answer, deadline());
    let level = answer.first_chunk::<4>().map(|level| u32::from_ne_bytes(*level));
    match (asked, level.and_then(|level| i16::try_from(level).ok())) {
        (Ok(()), Some(level)) if level > 0 => Ok(Numbers::Level(level)),
        _ => Err(unknown),
    }
}

/// Whether it cannot be for want of privilege that a program is refused. Capabilities that count in a user namespace of
/// one's own alone do not count.
fn is_privileged() -> bool {
    let own = crate::Process::own();
    let user = own.and_then(|own| own.namespace(NamespaceKind::User));
    user.is_ok_and(|user| user.inode() == FIRST_USER_NAMESPACE)
        && (Capability::SysAdmin.is_effective()
            || Capability::Bpf.is_effective() && Capability::Perfmon.is_effective())
}

pub(super) fn deadline() -> Instant {
    let now = Instant::now();
    now.checked_add(super::LONGEST).unwrap_or(now)
}

/// A signal that comes while the kernel looks a program through ends that with `EAGAIN`. libbpf tries as often.
const ATTEMPTS: usize = 5;

/// Loads a program.
pub(super) fn program(
    code: Option<Vec<u8>>,
    attach: Attach,
    name: &[u8],
) -> std::result::Result<OwnedFd, Unavailable> {
    let code = code.ok_or(Unavailable::Unknown("size of structures"))?;
    let load = || sys::bpf_load(&code, LICENSE, attach, name);
    let mut loaded = load();
    for _ in 1..ATTEMPTS {
        match &loaded {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => loaded = load(),
            _ => break,
        }
    }
    loaded.map_err(|error| refused(&error))
}

/// That the kernel does not like a program (EACCES) is no matter of privilege.
pub(super) fn refused(error: &std::io::Error) -> Unavailable {
    match error.raw_os_error() {
        Some(libc::EPERM) if !is_privileged() => Unavailable::Privilege,
        _ => Unavailable::Refused(error.to_string()),
    }
}

impl Loaded {
    fn new(code: Option<Vec<u8>>, function: u32, name: &[u8]) -> std::result::Result<Self, Unavailable> {
        let program = program(code, Attach::Iterator(function), name)?;
        let link = sys::bpf_link(program.as_fd(), None).map_err(|error| refused(&error))?;
        Ok(Self { program, link })
    }

    /// Has the program called for everything, or for one process, and takes what it writes. What was there is taken
    /// away first.
    pub(super) fn read(&self, process: Option<i32>, into: &mut Vec<u8>, deadline: Instant) -> Result<()> {
        into.clear();
        let failed = |error| Error::of_call("ask by BPF iterators", Subject::Own, error);
        let iterator = match process {
            None => sys::bpf_iterate(self.link.as_fd()),
            Some(pid) => {
                sys::bpf_link(self.program.as_fd(), Some(pid)).and_then(|link| sys::bpf_iterate(link.as_fd()))
            }
        };
        let iterator = iterator.map_err(failed)?;
        self.take(iterator.as_fd(), into, deadline)
    }

    fn take(&self, iterator: BorrowedFd<'_>, into: &mut Vec<u8>, deadline: Instant) -> Result<()> {
        let mut buffer = [0_u8; READ];
        loop {
            match nix::unistd::read(iterator, &mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => into.extend_from_slice(buffer.get(..length).unwrap_or(&[])),
                // A million objects without a row; the next reading goes on after them.
                Err(nix::Error::EINTR | nix::Error::EAGAIN) => {}
                Err(errno) => return Err(Error::of_call("read a BPF iterator", Subject::Own, os(errno))),
            }
            if into.len() > MOST {
                return Err(Error::new(
                    ErrorKind::Limit(Limit::Entries),
                    "read a BPF iterator",
                    Subject::Own,
                ));
            }
            if Instant::now() > deadline {
                return Err(Error::new(ErrorKind::Timeout, "read a BPF iterator", Subject::Own));
            }
        }
    }

    /// As [`read`](Self::read), without the rows that say nothing.
    pub(super) fn read_files(
        &self,
        process: Option<i32>,
        into: &mut Vec<u8>,
        deadline: Instant,
    ) -> Result<()> {
        self.read(process, into, deadline)?;
        row::without_fillers(into);
        Ok(())
    }
}
