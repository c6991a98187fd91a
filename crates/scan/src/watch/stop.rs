//! How a watch is ended from another thread: a pipe that is closed.

use std::io::{PipeReader, PipeWriter};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};

/// Ends a watch, from any thread.
#[derive(Debug, Clone)]
pub struct Stopper(Arc<Mutex<Option<PipeWriter>>>);

impl Stopper {
    /// Ends the watch, soon: a scan that is under way is finished. More than once is as good as once.
    pub fn stop(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The watch's side.
#[derive(Debug)]
pub(super) struct Stop {
    /// None when there was no descriptor for it: then the watch looks between its scans.
    reader: Option<PipeReader>,
    stopper: Stopper,
}

impl Stop {
    pub(super) fn new() -> Self {
        let (reader, writer) = std::io::pipe().ok().unzip();
        Self { reader, stopper: Stopper(Arc::new(Mutex::new(writer))) }
    }

    pub(super) fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.reader.is_some() && self.stopper.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    pub(super) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.reader.as_ref().map(PipeReader::as_fd)
    }
}
