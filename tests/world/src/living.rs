//! The processes that belong to the containers now alive: no leftovers, whoever counts.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

static LIVING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// A process that is registered as long as this exists.
#[derive(Debug)]
pub(crate) struct Living(u32);

impl Living {
    pub(crate) fn new(pid: u32) -> Self {
        lock().insert(pid);
        Self(pid)
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        lock().remove(&self.0);
    }
}

pub(crate) fn living() -> BTreeSet<u32> {
    lock().clone()
}

fn lock() -> MutexGuard<'static, BTreeSet<u32>> {
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}
