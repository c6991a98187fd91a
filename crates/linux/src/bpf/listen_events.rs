//! Who begins and ceases to listen, told as it happens.

use std::net::TcpListener;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use super::Unavailable;
use super::load::{has_hosts_numbers, program, refused};
use super::program::listen;
use crate::sys::{self, Attach, Ring};

/// Bytes of the ring: room for four thousand numbers.
const RING: u32 = 1 << 16;
/// A number with its head.
const EACH: u32 = 16;

/// Told by the kernel when a TCP socket begins to listen, or ceases to, in any namespace.
///
/// A program is called at the tracepoint `sock:inet_sock_set_state`, and writes the number of the process to a ring
/// buffer. What listens by other protocols has no such tracepoint, and is not told; nor is a listener that is passed to
/// another process or inherited, which goes on listening all the time.
///
/// # What it needs
/// `CAP_BPF` and `CAP_PERFMON`, or `CAP_SYS_ADMIN`, in the first user namespace; the host's pid namespace; Linux 5.8.
///
/// # What it costs
/// Some tens of nanoseconds for each change of a TCP socket's state, of which a connection has a handful: a thousandth
/// of what the connection itself takes. The ring has 64 KiB; two descriptors are held until this is dropped.
///
/// # Example
/// ```
/// use portolan_linux::bpf::ListenEvents;
///
/// if let Ok(mut events) = ListenEvents::open() {
///     let _listener = std::net::TcpListener::bind("127.0.0.1:0")?;
///     let mut told = Vec::new();
///     let all = events.read(&mut told);
///     assert!(!all || told.contains(&std::process::id().cast_signed()));
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct ListenEvents {
    ring: Ring,
    /// As long as it is open, the program is called.
    _attached: OwnedFd,
}

impl ListenEvents {
    /// Loads the program, and tests it on a socket of our own.
    ///
    /// # Errors
    /// Why it cannot be done here.
    pub fn open() -> Result<Self, Unavailable> {
        if !has_hosts_numbers()? {
            return Err(Unavailable::Elsewhere(
                "who begins to listen is told by the numbers of the host's pid namespace",
            ));
        }
        let ring = Ring::new(RING).map_err(|error| refused(&error))?;
        let program = program(listen(ring.number()), Attach::Tracepoint, b"portolan_listen")?;
        let attached = sys::bpf_trace(program.as_fd(), c"inet_sock_set_state");
        let mut events = Self { ring, _attached: attached.map_err(|error| refused(&error))? };
        events.test()?;
        Ok(events)
    }

    /// The numbers of the processes that it was since the last time, in that order; one that did it twice is there
    /// twice. It can be any process, for a short time the one that an ending process was.
    ///
    /// Gives whether these are all: where very much happens at once, some are lost.
    pub fn read(&mut self, into: &mut Vec<i32>) -> bool {
        let most = RING / EACH;
        for count in 1..=most {
            let Some(number) = self.ring.next() else { return count < most };
            // Nobody's is what the kernel does between two processes; asking for number 0 would be asking for all.
            into.extend(i32::try_from(number >> 32).ok().filter(|pid| *pid > 0));
        }
        false
    }

    /// The program is called in the thread that listens: so what is ours is there at once.
    fn test(&mut self) -> Result<(), Unavailable> {
        let own = std::process::id().cast_signed();
        let mut told = Vec::new();
        let mut is_told = |events: &mut Self| {
            told.clear();
            !events.read(&mut told) || told.contains(&own)
        };
        is_told(self);
        let listener = TcpListener::bind(("127.0.0.1", 0));
        let listener = listener.map_err(|error| Unavailable::Refused(error.to_string()))?;
        if !is_told(self) {
            return Err(Unavailable::SelfTest("a socket that listens was not told"));
        }
        drop(listener);
        if is_told(self) {
            Ok(())
        } else {
            Err(Unavailable::SelfTest("a socket that was closed was not told"))
        }
    }
}

impl std::os::fd::AsFd for ListenEvents {
    /// Can be read when there is something.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}
