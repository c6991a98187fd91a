//! This process, as `/proc` knows it.
//!
//! A program in a pid namespace of its own may see a `/proc` of another one, mostly the host's. The number that
//! `getpid(2)` gives is another process's there, and a number of that `/proc` is another process's for every system call
//! that takes one. `/proc/self` is right everywhere (`proc_pid(5)`).

use std::sync::OnceLock;

use super::Process;
use crate::error::{ErrorKind, Subject};
use crate::{Error, Result};

impl Process {
    /// This very process, by its number in `/proc`, which need not be `std::process::id()`.
    ///
    /// # Errors
    /// When `/proc` does not show it: it is not mounted, or is of a pid namespace that this process is not in.
    ///
    /// # Example
    /// ```
    /// let me = portolan_linux::Process::own()?;
    /// assert!(me.is_alive());
    /// # Ok::<(), portolan_linux::Error>(())
    /// ```
    pub fn own() -> Result<Self> {
        Self::open(Self::own_pid()?)
    }

    /// The number of this process in `/proc`.
    ///
    /// # Errors
    /// As [`own`](Self::own).
    pub fn own_pid() -> Result<i32> {
        const CALL: &str = "read the link self";
        let subject = || Subject::Pid(std::process::id().cast_signed());
        let link = std::fs::read_link("/proc/self").map_err(|e| Error::of_call(CALL, subject(), e))?;
        let number = link.to_str().and_then(|number| number.parse().ok());
        number.ok_or_else(|| Error::new(ErrorKind::Io, CALL, subject()))
    }

    /// Whether the numbers in `/proc` are those that system calls take here: it is of the pid namespace of this process.
    /// That is so for as long as the process lives; it is looked up once.
    #[must_use]
    pub fn numbers_are_ours() -> bool {
        static ARE: OnceLock<bool> = OnceLock::new();
        *ARE.get_or_init(|| {
            let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
            are_ours(&status, std::process::id())
        })
    }
}

/// By the text of `/proc/self/status`: `NSpid` has the numbers of a process from the namespace of that `/proc` down to
/// its own.
fn are_ours(status: &str, own: u32) -> bool {
    let Some(numbers) = status.lines().find_map(|line| line.strip_prefix("NSpid:")) else { return false };
    let mut numbers = numbers.split_ascii_whitespace();
    numbers.next().is_some_and(|first| first.parse() == Ok(own)) && numbers.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_its_own_numbers() {
        assert!(Process::numbers_are_ours());
        assert_eq!(Process::own_pid().unwrap(), std::process::id().cast_signed());
        assert_eq!(Process::own().unwrap().pid(), std::process::id().cast_signed());
    }

    #[test]
    fn a_proc_of_another_namespace_has_others() {
        assert!(are_ours("Name:\tx\nNSpid:\t17\n", 17));
        for foreign in
            ["NSpid:\t4242\t17\n", "NSpid:\t17\t17\n", "NSpid:\t18\n", "NSpid:\n", "Name:\tNSpid:\n", ""]
        {
            assert!(!are_ours(foreign, 17), "{foreign:?}");
        }
    }
}
