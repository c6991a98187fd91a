//! A copy of this program in sealed memory.
//!
//! Where the container can see the helper (it joins its pid namespace, or the container shares the host's), its
//! `/proc/PID/exe` is a way to the file that it was started from, which a privileged container could write to once
//! the helper has ended (CVE-2019-5736). The library starts the helper from a sealed memfd; a helper that was
//! started from a file does it itself here.

use std::os::fd::AsFd as _;

use portolan_wire::code::{ErrorCode, Stage};
use portolan_wire::frame::posture;

use crate::answer::{Answer, Fault};
use crate::request::{Request, Whom};
use crate::sys;
use crate::target::Target;

pub(crate) fn if_visible(
    request: &Request,
    target: &Target,
    arguments: &[Vec<u8>],
    answer: &mut Answer,
) -> Result<(), Fault> {
    let unknown = |errno| Fault::of_errno(Stage::Confine, errno);
    let own = sys::openat_root(b"/proc/self/exe", libc::O_RDONLY).map_err(unknown)?;
    if sys::is_sealed(own.as_fd()) {
        answer.hello.posture |= posture::SEALED;
        return Ok(());
    }
    if !request.pid_namespace && !target.sees_us {
        return Ok(());
    }
    // The descriptors of the request would not survive: their numbers are in the arguments, so keep them open.
    let keep = match request.whom {
        Whom::Descriptors { .. } => vec![target.pidfd.as_fd(), target.root.as_fd()],
        Whom::Number { .. } => Vec::new(),
    };
    // It comes back only when it failed.
    let _refused = sys::exec_sealed_copy(own.as_fd(), arguments, &keep);
    if request.pid_namespace {
        return Err(Fault::new(Stage::Confine, ErrorCode::Unsupported));
    }
    // Seen, but not in its pid namespace's tree: not being dumpable has to be enough.
    Ok(())
}
