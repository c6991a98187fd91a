//! One request, from the socket to the answer.

use std::os::fd::{AsFd as _, OwnedFd, RawFd};
use std::time::Duration;

use portolan_wire::code::{ErrorCode, Stage};
use portolan_wire::request::{Action, Operation, Request};

use super::{Hub, sys};
use crate::answer::{Answer, Fault, Whole};
use crate::{confine, enter, operations};

/// That a child has taken a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) pid: i32,
    timeout_ms: u32,
    /// The library's number for it.
    pub(super) id: u64,
}

impl Taken {
    pub(super) const LENGTH: usize = 16;

    pub(super) fn read(note: &[u8]) -> Option<Self> {
        let (pid, rest) = note.split_first_chunk()?;
        let (timeout_ms, rest) = rest.split_first_chunk()?;
        let id = rest.first_chunk()?;
        Some(Self {
            pid: i32::from_ne_bytes(*pid),
            timeout_ms: u32::from_ne_bytes(*timeout_ms),
            id: u64::from_ne_bytes(*id),
        })
    }

    fn bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        let parts = self.pid.to_ne_bytes().into_iter().chain(self.timeout_ms.to_ne_bytes());
        for (to, from) in bytes.iter_mut().zip(parts.chain(self.id.to_ne_bytes())) {
            *to = from;
        }
        bytes
    }

    pub(super) fn time(self) -> Duration {
        Duration::from_millis(self.timeout_ms.into())
    }
}

/// Where a copy of the answer's pipe is kept: descriptors are closed in their order when a process ends, so the
/// caller sees the pipe's end only after every file was let go.
const LAST: RawFd = 60;

/// Waits for a request, answers it, and ends.
pub(super) fn work(mut hub: Hub) -> ! {
    // A fork has no death signal; without one it would go on taking requests when its server is gone.
    crate::sys::die_with_parent();
    if crate::sys::parent() != hub.pid {
        crate::sys::exit(0);
    }
    rehearse(&mut hub);
    let (length, fds) = match sys::receive(hub.socket.as_fd(), &mut hub.buffer) {
        // Nobody came, or nobody is there any more.
        Err(_) | Ok((0, _)) | Ok((_, None)) => crate::sys::exit(0),
        Ok((length, Some(fds))) => (length, fds),
    };
    let request = Request::parse(hub.buffer.get(..length).unwrap_or(&[]));
    let (id, timeout_ms) = request.as_ref().map_or((0, 0), |request| (request.id, request.timeout_ms));
    let note = Taken { pid: sys::own_pid(), timeout_ms, id };
    let [namespace, root, output] = fds;
    let output = std::mem::ManuallyDrop::new(output);
    let to = if hub.waiting.take() <= hub.few { &hub.bell } else { &hub.taken };
    let told = crate::sys::write_to(to.as_fd(), &note.bytes());
    // Where so many descriptors are not allowed, the pipe ends a little early.
    let _ = sys::place(output.as_fd(), LAST);
    if !told || sys::place(output.as_fd(), 1).is_err() {
        crate::sys::exit(1);
    }
    let request = request.unwrap_or_default();
    confine::end_after(request.timeout_ms);
    let mut answer = Answer::new(&request);
    answer.hello = hub.hello;
    if let Err(fault) = serve(hub, namespace, root, &request, &mut answer) {
        answer.refuse(&fault);
    }
    crate::sys::exit(0)
}

/// Goes through the motions while nobody waits. After a fork the kernel gives a process its pages, of code and of
/// data, only as it comes to them, and a request comes to some twenty.
fn rehearse(hub: &mut Hub) {
    let operation = Operation { action: Action::Stat, path: b"/".to_vec() };
    let request = Request { operations: vec![operation], ..Request::default() };
    let bytes = request.to_bytes().unwrap_or_default();
    if let Some(into) = hub.buffer.get_mut(..bytes.len()) {
        into.copy_from_slice(&bytes);
    }
    let Ok(request) = Request::parse(&bytes) else { return };
    let mut answer = Answer::new(&request);
    answer.hello = hub.hello;
    // Of the server's own procfs, and to nobody.
    if let Ok(look) = crate::sys::look(hub.procfs.as_fd(), false) {
        let told = answer.stat(look.stat).and_then(|()| answer.data(&[0; 1024]));
        answer.operation(told.map(|()| Whole::default()));
    }
    answer.discard();
}

fn serve(
    hub: Hub,
    namespace: OwnedFd,
    root: OwnedFd,
    request: &Request,
    answer: &mut Answer,
) -> Result<(), Fault> {
    if request.operations.is_empty() {
        return Err(Fault::new(Stage::Request, ErrorCode::InvalidInput));
    }
    // Whoever takes this process over is not to hear other requests, or to speak to the server.
    let Hub { socket, taken, bell, waiting, procfs, pid, buffer, .. } = hub;
    drop((socket, taken, bell, waiting));
    // The process ends soon; until then nothing is given back that the kernel would have to unmap.
    std::mem::forget(buffer);
    answer.hello.mount_namespace =
        crate::sys::look(namespace.as_fd(), false).map_err(|e| Fault::of_errno(Stage::Enter, e))?.stat.inode;
    let ids = request.ids.clone();
    let inside = enter::served(namespace.as_fd(), root, procfs, ids, request.any_file_system)?;
    drop(namespace);
    confine::keep_reading(&mut answer.hello, pid)?;
    answer.satisfies(request.demand)?;
    operations::all(&inside, request, answer);
    answer.finish();
    std::mem::forget(inside);
    Ok(())
}
