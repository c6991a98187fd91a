//! All processes and listeners of a host in one pass, by programs that run in the kernel.
//!
//! # What it does
//! A BPF iterator (`iter/task`, `iter/task_file`; Linux 5.8) is shown each thread and each open file of all processes,
//! whatever namespaces they are in, and writes a row for those that count. What takes thousands of system calls takes
//! some dozens. The programs are put together when they are loaded, from what the kernel says of its own types (BTF), so
//! that no compiler and no file of another host's kernel is needed; they are tested on sockets of our own before they are
//! believed.
//!
//! # What it does not do
//! It sees what has a process: a socket that is on its way from one to another, or belongs to the kernel, is in no
//! table of open files ([`sock_diag`](crate::sock_diag) knows those). It sees the processes of the reader's pid namespace,
//! by their numbers there. It never gives part of an answer as the whole: a pass that takes too long fails.
//!
//! # What it costs
//! The programs are loaded once. A pass costs the kernel about a tenth of a microsecond for each open file. A file that
//! its owner closes just while it is looked at is closed a moment later, when the reading returns: it does so after some
//! thousands of files.
//!
//! # What it needs
//! `CAP_BPF` and `CAP_PERFMON`, or `CAP_SYS_ADMIN`, in the first user namespace; a kernel from 5.11 on that describes its
//! types. Nobody needs to be traced, and no namespace is entered.
//!
//! - `btf`: the kernel's types; `layout`: the members that are needed
//! - `insn`: instructions; `program`: the programs
//! - `load`: into the kernel, and reading; `row`: what is read
//! - `self_test`: on our own sockets
//! - `listen_events`: for a watch, who begins to listen

mod btf;
mod insn;
mod layout;
mod listen_events;
mod load;
mod program;
mod row;
mod self_test;
mod unavailable;

use std::time::{Duration, Instant};

use crate::{Process, Result};
pub use listen_events::ListenEvents;
use load::Programs;
pub use row::{Holder, Task, holders, tasks};
pub use unavailable::Unavailable;

/// Longer than a pass takes over two million open files.
const LONGEST: Duration = Duration::from_secs(1);

/// The programs, loaded. They are unloaded with this.
///
/// # Example
/// ```
/// use std::time::{Duration, Instant};
///
/// use portolan_linux::bpf::{Iterators, holders};
///
/// match Iterators::load() {
///     Ok(iterators) => {
///         let mut rows = Vec::new();
///         iterators.listeners(&mut rows, Instant::now() + Duration::from_secs(1))?;
///         for row in holders(&rows) {
///             println!("process {} in {}: {:?}", row.pid, row.netns, row.listening.local);
///         }
///     }
///     Err(why) => println!("by system calls, then: {why}"),
/// }
/// # Ok::<(), portolan_linux::Error>(())
/// ```
#[derive(Debug)]
pub struct Iterators {
    programs: Programs,
    /// Whether one process alone can be asked for (Linux 6.1).
    alone: bool,
    /// Nanoseconds in a clock tick of `/proc`.
    tick: u64,
}

impl Iterators {
    /// Loads the programs, and tests them on this process and on sockets of its own.
    ///
    /// # Errors
    /// Why it cannot be done here.
    pub fn load() -> std::result::Result<Self, Unavailable> {
        if !Process::numbers_are_ours() {
            return Err(Unavailable::Elsewhere("/proc is of another pid namespace than this process"));
        }
        let tick = tick().ok_or(Unavailable::Elsewhere("the length of a clock tick is not known"))?;
        let mut iterators = Self { programs: Programs::load()?, alone: true, tick };
        self_test::run(&mut iterators)?;
        Ok(iterators)
    }

    /// Whether the names of Unix sockets can be read; otherwise rows have none.
    #[must_use]
    pub fn has_names(&self) -> bool {
        self.programs.has_names
    }

    /// Whether [`tasks_of`](Self::tasks_of) and [`listeners_of`](Self::listeners_of) work (Linux 6.1).
    #[must_use]
    pub fn has_single(&self) -> bool {
        self.alone
    }

    /// A row for each process, and for each thread that is in other namespaces than the process's first, as
    /// [`tasks`] reads them. What was in the buffer is taken away.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) after the deadline;
    /// [`ErrorKind::Limit`](crate::ErrorKind::Limit) for more than 64 MiB of rows;
    /// [`ErrorKind::Io`](crate::ErrorKind::Io). Rows of a pass that failed are not all.
    pub fn tasks(&self, into: &mut Vec<u8>, deadline: Instant) -> Result<()> {
        self.programs.tasks.read(None, into, deadline)
    }

    /// A row for each listener and each process that has it, as [`holders`] reads them.
    ///
    /// # Errors
    /// As [`tasks`](Self::tasks).
    pub fn listeners(&self, into: &mut Vec<u8>, deadline: Instant) -> Result<()> {
        self.programs.files.read_files(None, into, deadline)
    }

    /// The rows of one process; none when there is no such process.
    ///
    /// # Errors
    /// As [`tasks`](Self::tasks), and [`ErrorKind::Io`](crate::ErrorKind::Io) before Linux 6.1.
    pub fn tasks_of(&self, pid: i32, into: &mut Vec<u8>) -> Result<()> {
        one(self.programs.tasks.read(Some(pid), into, load::deadline()), into)
    }

    /// The listeners of one process.
    ///
    /// # Errors
    /// As [`tasks_of`](Self::tasks_of).
    pub fn listeners_of(&self, pid: i32, into: &mut Vec<u8>) -> Result<()> {
        one(self.programs.files.read_files(Some(pid), into, load::deadline()), into)
    }

    /// A start time in the clock ticks of `/proc` ([`ProcessId::start_time`](crate::ProcessId::start_time)).
    #[must_use]
    pub fn start_time(&self, start_boottime: u64) -> u64 {
        start_boottime.checked_div(self.tick).unwrap_or(0)
    }

    /// The processes, or only ours where that can be asked for.
    fn read_own(&mut self, own: i32, rows: &mut Vec<u8>) -> std::result::Result<(), Unavailable> {
        if self.tasks_of(own, rows).is_ok() && tasks(rows).all(|row| row.pid() == own) {
            return Ok(());
        }
        self.alone = false;
        self.tasks(rows, load::deadline()).map_err(|error| Unavailable::Refused(error.to_string()))
    }

    fn read_own_files(&self, own: i32, rows: &mut Vec<u8>) -> std::result::Result<(), Unavailable> {
        let read =
            if self.alone { self.listeners_of(own, rows) } else { self.listeners(rows, load::deadline()) };
        read.map_err(|error| Unavailable::Refused(error.to_string()))
    }

    /// When this process began, in nanoseconds, as long as that is when `/proc` says.
    fn start_of(&self, own: &Process) -> std::result::Result<u64, Unavailable> {
        let mut rows = Vec::new();
        let read = if self.alone {
            self.tasks_of(own.pid(), &mut rows)
        } else {
            self.tasks(&mut rows, load::deadline())
        };
        read.map_err(|error| Unavailable::Refused(error.to_string()))?;
        let start = tasks(&rows).find(|row| row.pid() == own.pid()).map(|row| row.start_boottime());
        start.filter(|start| self.start_time(*start) == own.id().start_time).ok_or(Unavailable::Elsewhere(
            "start times in /proc are others than the kernel's own: this is another time namespace",
        ))
    }
}

/// That there is no such process is no error: it has no rows.
fn one(read: Result<()>, into: &mut Vec<u8>) -> Result<()> {
    match read {
        Err(error) if error.errno() == Some(libc::ESRCH) => {
            into.clear();
            Ok(())
        }
        other => other,
    }
}

fn tick() -> Option<u64> {
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok()??;
    1_000_000_000_u64.checked_div(u64::try_from(per_second).ok()?)
}
