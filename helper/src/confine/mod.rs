//! Giving up what the work inside does not need.

mod filter;
#[allow(unsafe_code)]
mod sys;

use std::os::fd::RawFd;
use std::time::Duration;

use portolan_wire::code::{FileKind, Stage};
use portolan_wire::frame::{Hello, posture};

use crate::answer::Fault;
use crate::sys as base;
use crate::sys::Errno;

pub(crate) use sys::{CAP_DAC_READ_SEARCH, CAP_SYS_ADMIN, CAP_SYS_CHROOT, CAP_SYS_PTRACE, capabilities};

/// The first thing of all. Not dumpable means that no process inside can trace us or open `/proc/PID` of us; a
/// panic must not look for symbols in the container's files, nor unwind.
pub(crate) fn before_all() {
    base::set_not_dumpable();
    base::die_with_parent();
    // Started from a memfd, it would be called by a number.
    base::set_name(c"portolan-helper");
    std::panic::set_hook(Box::new(|_| std::process::abort()));
    sys::default_signals();
}

/// Closes all inherited descriptors but the standard ones and these: one that leads to the host would be a way out
/// for whoever takes this process over.
pub(crate) fn close_all_but(keep: &[RawFd]) {
    let mut keep = keep.to_vec();
    keep.sort_unstable();
    let mut from = 3;
    for fd in keep {
        base::close_range(from, Some(fd));
        from = fd.saturating_add(1);
    }
    base::close_range(from, None);
}

/// What is given up for good and for all children, wherever the process stands. Needs `CAP_SETPCAP` for the bounding
/// set, which an agent need not have; `NO_NEW_PRIVS` makes up for it.
pub(crate) fn for_good(hello: &mut Hello) -> Result<(), Fault> {
    hello.bounding = sys::drop_bounding_set();
    sys::set_no_new_privileges().map_err(fault)?;
    hello.posture |= posture::NO_NEW_PRIVS;
    Ok(())
}

/// Before a container is entered: what entering takes, and reading.
pub(crate) fn keep_entering() -> Result<(), Fault> {
    sys::keep_only(&[CAP_SYS_ADMIN, CAP_SYS_CHROOT, CAP_DAC_READ_SEARCH]).map_err(fault)
}

/// After `setns` and `chroot`, nothing needs a capability but reading files that their owners protect.
pub(crate) fn keep_reading(hello: &mut Hello, parent: i32) -> Result<(), Fault> {
    sys::keep_only(&[CAP_DAC_READ_SEARCH]).map_err(fault)?;
    // A change of credentials may have made us dumpable again, and have taken the death signal (`prctl(2)`).
    base::set_not_dumpable();
    base::die_with_parent();
    if base::parent() != parent {
        // It died in between: there is nobody to answer.
        base::exit(1);
    }
    hello.effective = capabilities();
    if base::is_not_dumpable() {
        hello.posture |= posture::NOT_DUMPABLE;
    }
    hello.posture |= posture::DEATH_SIGNAL;
    Ok(())
}

fn fault(errno: Errno) -> Fault {
    Fault::of_errno(Stage::Confine, errno)
}

/// Memory for the largest answer and its sorting; a directory that needs more is a flood.
const MEMORY: u64 = 512 * 1024 * 1024;
/// Descriptors: a path takes three at once.
const DESCRIPTORS: u64 = 64;

/// Limits on resources.
pub(crate) fn limit(hello: &mut Hello) {
    sys::limit(libc::RLIMIT_CORE, 0);
    sys::limit(libc::RLIMIT_NOFILE, DESCRIPTORS);
    sys::limit(libc::RLIMIT_AS, MEMORY);
    // Not if the answer itself goes to a file.
    if base::standard_output_kind() != FileKind::Regular {
        sys::limit(libc::RLIMIT_FSIZE, 0);
    }
    hello.posture |= posture::LIMITED;
}

/// Ends this process a moment after its time: a system call that hangs does not look at the clock.
pub(crate) fn end_after(timeout_ms: u32) {
    let timeout = Duration::from_millis(timeout_ms.into());
    // Between a request's own deadline and its caller's lie 50 ms, or a tenth of it if it is short.
    let grace = timeout.checked_div(20).unwrap_or_default().min(Duration::from_millis(25));
    sys::alarm(timeout.saturating_add(grace).saturating_add(Duration::from_micros(1)));
    sys::limit(libc::RLIMIT_CPU, timeout.as_secs().saturating_add(2));
}

/// The last wall around a helper that is taken over: Landlock against writing, and a filter of system calls. What
/// this kernel does not have is left out, and the hello frame says what is there. A server's filter also has the
/// calls that take its token.
pub(crate) fn wall_in(hello: &mut Hello, token: Option<u64>) {
    hello.landlock = sys::forbid_writing();
    if let Some(program) = filter::program(token) {
        hello.seccomp = if sys::filter_calls(program) { 2 } else { 0 };
    }
}
