//! Giving up what the work inside does not need.

use std::time::Duration;

use portolan_wire::code::{FileKind, Stage};
use portolan_wire::frame::posture;

use crate::answer::{Answer, Fault};
use crate::filter;
use crate::request::{Request, Whom};
use crate::sys::{self, CAP_DAC_READ_SEARCH};

/// The first thing of all. Not dumpable means that no process inside can trace us or open `/proc/PID` of us; a
/// panic must not look for symbols in the container's files.
pub(crate) fn before_all() {
    sys::set_not_dumpable();
    sys::die_with_parent();
    // Started from a memfd, it would be called by a number.
    sys::set_name(c"portolan-helper");
    std::panic::set_hook(Box::new(|_| {}));
}

/// Closes all inherited descriptors but the standard ones and those of the request: one that leads to the host
/// would be a way out for whoever takes this process over.
pub(crate) fn close_all_but(request: &Request) {
    let (low, high) = match request.whom {
        Whom::Number { .. } => return sys::close_range(3, None),
        Whom::Descriptors { pidfd, root } => (pidfd.min(root), pidfd.max(root)),
    };
    for (from, to) in [(3, Some(low)), (low.saturating_add(1), Some(high)), (high.saturating_add(1), None)] {
        sys::close_range(from, to);
    }
}

/// After `setns` and `chroot`, nothing needs a capability but reading files that their owners protect.
pub(crate) fn after_entering(answer: &mut Answer) -> Result<(), Fault> {
    let fault = |errno| Fault::of_errno(Stage::Confine, errno);
    // Needs CAP_SETPCAP, which an agent need not have; NO_NEW_PRIVS makes up for it.
    answer.hello.bounding = sys::drop_bounding_set();
    sys::keep_only(CAP_DAC_READ_SEARCH).map_err(fault)?;
    sys::set_no_new_privileges().map_err(fault)?;
    // A change of credentials may have made us dumpable again (`prctl(2)`).
    sys::set_not_dumpable();
    answer.hello.effective = sys::capabilities();
    if sys::is_not_dumpable() {
        answer.hello.posture |= posture::NOT_DUMPABLE;
    }
    answer.hello.posture |= posture::NO_NEW_PRIVS;
    Ok(())
}

/// Memory for the largest answer and its sorting; a directory that needs more is a flood.
const MEMORY: u64 = 512 * 1024 * 1024;

/// The last things before the container's files are touched. Each is one more wall around a helper that is taken
/// over; what this kernel does not have is left out, and the hello frame says what is there.
pub(crate) fn last(request: &Request, answer: &mut Answer) {
    sys::limit(libc::RLIMIT_CORE, 0);
    sys::limit(libc::RLIMIT_NOFILE, 64);
    sys::limit(libc::RLIMIT_AS, MEMORY);
    sys::limit(libc::RLIMIT_CPU, request.timeout.saturating_add(Duration::from_secs(2)).as_secs());
    // Not if the answer itself goes to a file.
    if sys::standard_output_kind() != FileKind::Regular {
        sys::limit(libc::RLIMIT_FSIZE, 0);
    }
    answer.hello.landlock = sys::forbid_writing();
    if let Some(program) = filter::program() {
        answer.hello.seccomp = if sys::filter_calls(program) { 2 } else { 0 };
    }
}
