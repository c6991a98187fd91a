//! A copy of this program in sealed memory.
//!
//! Where the container can see the helper (it joins its pid namespace, or the container shares the host's), its
//! `/proc/PID/exe` is a way to the file that it was started from, which a privileged container could write to once
//! the helper has ended (CVE-2019-5736). The library starts the helper from a sealed memfd; a helper that was
//! started from a file does it itself here.

#[allow(unsafe_code)]
mod sys;

use std::os::fd::AsFd as _;

use portolan_wire::code::{ErrorCode, Stage};
use portolan_wire::frame::posture;

use crate::answer::Fault;
use crate::arguments::Whom;
use crate::sys::openat_root;
use crate::target::Target;

/// Whether this program runs from sealed memory.
pub(crate) fn look(into: &mut u16) {
    let own = openat_root(b"/proc/self/exe", libc::O_RDONLY);
    if own.is_ok_and(|own| sys::is_sealed(own.as_fd())) {
        *into |= posture::SEALED;
    }
}

pub(crate) fn if_visible(
    whom: Whom,
    pid_namespace: bool,
    target: &Target,
    arguments: &[Vec<u8>],
    posture: &mut u16,
) -> Result<(), Fault> {
    look(posture);
    if *posture & posture::SEALED != 0 || (!pid_namespace && !target.sees_us) {
        return Ok(());
    }
    let own = openat_root(b"/proc/self/exe", libc::O_RDONLY)
        .map_err(|errno| Fault::of_errno(Stage::Confine, errno))?;
    // The descriptors of the request would not survive: their numbers are in the arguments, so keep them open.
    let keep = match whom {
        Whom::Descriptors { .. } => vec![target.pidfd.as_fd(), target.root.as_fd()],
        Whom::Number { .. } => Vec::new(),
    };
    // It comes back only when it failed.
    let _refused = sys::exec_sealed_copy(own.as_fd(), arguments, &keep);
    if pid_namespace {
        return Err(Fault::new(Stage::Confine, ErrorCode::Unsupported));
    }
    // Seen, but not in its pid namespace's tree: not being dumpable has to be enough.
    Ok(())
}
