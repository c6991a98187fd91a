//! The life of a container's first process between its clone and its exec.
//!
//! It is a copy of one thread of a process with many, so it must not allocate, lock or panic: see `step.rs`.

use std::ffi::CString;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, open};
use nix::mount::{MntFlags, mount, umount2};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, fchmod, umask};
use nix::unistd::{chdir, chroot, mkdir, pivot_root, read, sethostname, setsid, symlinkat, write};

use crate::step::{Plan, Program, Step};
use crate::sys;

/// What a child tells: a step's number, one of the kinds below, and a value.
pub(crate) type Report = [u8; 12];
/// The value is an errno.
pub(crate) const ERRNO: i32 = 0;
/// The value is the wait status of the prepare script.
pub(crate) const STATUS: i32 = 1;
/// No failure: from now on it dies with its parent, and waits for a byte to go on.
pub(crate) const ARMED: i32 = 2;

enum Failure {
    Errno(Errno),
    Status(i32),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

/// Runs the steps, the last of which is an exec; returns only when one has failed and been reported.
pub(crate) fn run(plan: &Plan) -> i32 {
    for (number, step) in (0_u32..).zip(&plan.steps) {
        if let Err(failure) = run_step(plan, number, step) {
            let (kind, value) = match failure {
                Failure::Errno(errno) => (ERRNO, errno as i32),
                Failure::Status(status) => (STATUS, status),
            };
            // A parent that does not listen any more is about to kill us.
            let _ = tell(plan, number, kind, value);
            break;
        }
    }
    127
}

fn run_step(plan: &Plan, number: u32, step: &Step) -> Result<(), Failure> {
    match step {
        Step::Streams => {
            sys::duplicate(plan.null.as_fd(), 0)?;
            sys::duplicate(plan.log.as_fd(), 1)?;
            sys::duplicate(plan.log.as_fd(), 2)?;
        }
        Step::CloseOthers(ranges) => {
            for (first, last) in ranges {
                sys::close_range(*first, *last)?;
            }
        }
        Step::DieWithParent => die_with_parent(plan, number)?,
        Step::Signals => sys::reset_signals()?,
        Step::Umask => {
            umask(Mode::S_IWGRP | Mode::S_IWOTH);
        }
        Step::Session => {
            setsid()?;
        }
        Step::User { uid, gid, groups } => sys::become_user(*uid, *gid, groups)?,
        Step::Mount { source, target, kind, flags, data } => mount(
            source.as_ref().map(CString::as_c_str),
            target.as_c_str(),
            kind.as_ref().map(CString::as_c_str),
            *flags,
            data.as_ref().map(CString::as_c_str),
        )?,
        Step::Attach { tree, target } => {
            let tree = plan.trees.get(*tree).ok_or(Errno::EBADF)?;
            sys::attach(tree.as_fd(), target)?;
        }
        Step::Directory(path) => match mkdir(path.as_c_str(), Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno.into()),
        },
        Step::File { path, content, mode } => write_file(path, content, *mode)?,
        Step::Link { path, target } => symlinkat(target.as_c_str(), AT_FDCWD, path.as_c_str())?,
        Step::Pivot(path) => {
            // The old root ends up on top of the new one, from where it can be let go without a directory
            // to put it in.
            chdir(path.as_c_str())?;
            pivot_root(c".", c".")?;
            umount2(c".", MntFlags::MNT_DETACH)?;
            chdir(c"/")?;
        }
        Step::Chroot(path) => {
            chroot(path.as_c_str())?;
            chdir(c"/")?;
        }
        Step::Enter(path) => chdir(path.as_c_str())?,
        Step::Hostname(name) => sethostname(name.as_str())?,
        Step::Loopback => sys::loopback_up()?,
        Step::Script(program) => {
            let (pid, _) = sys::clone(0, false, || {
                execute(program);
                126
            })?;
            let status = sys::wait_for(pid)?;
            if status != 0 {
                return Err(Failure::Status(status));
            }
        }
        Step::Command(program) => return Err(execute(program).into()),
    }
    Ok(())
}

/// The kernel is to kill us when the thread that cloned us ends. Should that have happened just before, no
/// thread of the parent can answer any more: a killed one finishes its system call, but not its next line.
/// Only so can we know; asking for the parent's pid tells nothing in a pid namespace of our own.
fn die_with_parent(plan: &Plan, number: u32) -> Result<(), Errno> {
    set_pdeathsig(Signal::SIGKILL)?;
    tell(plan, number, ARMED, 0)?;
    let mut byte = [0];
    if retry(|| read(&plan.go, &mut byte))? == 0 {
        sys::exit(127);
    }
    Ok(())
}

fn tell(plan: &Plan, number: u32, kind: i32, value: i32) -> Result<(), Errno> {
    let mut report: Report = [0; 12];
    let bytes = number.to_ne_bytes().into_iter().chain(kind.to_ne_bytes()).chain(value.to_ne_bytes());
    for (to, from) in report.iter_mut().zip(bytes) {
        *to = from;
    }
    // So few bytes go into a pipe as one.
    retry(|| write(&plan.report, &report)).map(drop)
}

fn write_file(path: &CString, mut content: &[u8], mode: u32) -> Result<(), Errno> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_CLOEXEC;
    let file = open(path.as_c_str(), flags, Mode::from_bits_truncate(0o600))?;
    while !content.is_empty() {
        let written = retry(|| write(&file, content))?;
        content = content.get(written..).unwrap_or_default();
    }
    fchmod(&file, Mode::from_bits_truncate(mode))
}

/// Like a shell: the first candidate that is there; if none can be run, the error that says most.
fn execute(program: &Program) -> Errno {
    let mut worst = Errno::ENOENT;
    for candidate in &program.candidates {
        match sys::execute(candidate, &program.arguments, &program.environment) {
            Errno::ENOENT | Errno::ENOTDIR => {}
            errno => worst = errno,
        }
    }
    worst
}

fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            done => return done,
        }
    }
}
