//! A host of one test's own: a network namespace in which the thread of the test, and all that it starts, is at home.
//!
//! Ports are free there, and addresses can be added; of the machine's own network nothing is touched.

use nix::sched::{CloneFlags, unshare};

use crate::tool::{told, tool};

/// Runs a test on a thread that is at home in a new network namespace with its loopback up.
pub(crate) fn alone(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            ip(&["link", "set", "lo", "up"]);
            test();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Changes the network of the calling thread.
pub(crate) fn ip(arguments: &[&str]) {
    told(tool("ip").args(arguments));
}
