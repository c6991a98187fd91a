//! How a watch is ended from another thread: a pipe that is closed.

use std::io::{PipeReader, PipeWriter};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Ends a watch, from any thread.
#[derive(Debug, Clone)]
pub struct Stopper(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    stopped: AtomicBool,
    writer: Mutex<Option<PipeWriter>>,
}

impl Stopper {
    /// Ends the watch, soon: a scan that is under way is finished. More than once is as good as once.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Release);
        self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The watch's side.
#[derive(Debug)]
pub(super) struct Stop {
    /// None when there was no descriptor for it: then the watch looks now and then.
    reader: Option<PipeReader>,
    stopper: Stopper,
}

impl Stop {
    pub(super) fn new() -> Self {
        Self::of(std::io::pipe().ok())
    }

    #[cfg(test)]
    pub(super) fn without_descriptor() -> Self {
        Self::of(None)
    }

    fn of(pipe: Option<(PipeReader, PipeWriter)>) -> Self {
        let (reader, writer) = pipe.unzip();
        let shared = Shared { stopped: AtomicBool::new(false), writer: Mutex::new(writer) };
        Self { reader, stopper: Stopper(Arc::new(shared)) }
    }

    pub(super) fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopper.0.stopped.load(Ordering::Acquire)
    }

    pub(super) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.reader.as_ref().map(PipeReader::as_fd)
    }
}
