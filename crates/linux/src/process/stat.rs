//! The fields of `/proc/PID/stat` that portolan needs (`proc_pid_stat(5)`).

/// A process's `/proc/PID/stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stat {
    /// The command's name, at most 15 bytes (63 for kernel threads). The process chooses it: never trust it.
    pub command: Vec<u8>,
    /// Its state: `R`, `S`, `D`, `Z` and others.
    pub state: u8,
    /// The parent's number; 0 when it is outside our pid namespace.
    pub parent: i32,
    /// `PF_*` flags of the kernel.
    pub flags: u64,
    /// How many threads it has.
    pub threads: u32,
    /// Clock ticks after boot.
    pub start_time: u64,
    /// Where the arguments lie in the process's memory, which is laid out anew, at random, by each `execve(2)`: another
    /// number means another program. 0 without `CAP_SYS_PTRACE` over the process.
    pub arguments: u64,
}

impl Stat {
    /// `PF_KTHREAD` of `include/linux/sched.h`, the same number since 2.6.
    pub(crate) const KERNEL_THREAD: u64 = 0x0020_0000;

    /// Reads the text of the file; `None` when it is not of the form that the kernel writes.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        // The name stands in parentheses and can hold any byte, parentheses too: the last one ends it.
        let open = text.iter().position(|b| *b == b'(')?;
        let close = text.iter().rposition(|b| *b == b')')?;
        let command = text.get(open.checked_add(1)?..close)?.to_vec();
        let rest = std::str::from_utf8(text.get(close.checked_add(1)?..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let parent = fields.next()?.parse().ok()?;
        let flags = fields.nth(4)?.parse().ok()?;
        let threads = fields.nth(10)?.parse().ok()?;
        let start_time = fields.nth(1)?.parse().ok()?;
        // Field 48, since Linux 3.5.
        let arguments = fields.nth(25).and_then(|field| field.parse().ok()).unwrap_or(0);
        Some(Self { command, state, parent, flags, threads, start_time, arguments })
    }

    /// Whether it is a thread of the kernel, which has no program, files or network of its own.
    #[must_use]
    pub fn is_kernel_thread(&self) -> bool {
        self.flags & Self::KERNEL_THREAD != 0
    }

    /// Whether it has ended and waits for its parent to notice.
    #[must_use]
    pub fn is_zombie(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

#[cfg(test)]
mod tests {
    use super::Stat;

    const TEXT: &[u8] = b"42 (a) b) R 1 2 3 4 5 4194560 6 7 8 9 10 11 12 13 14 15 16 17 98765 19 20";

    #[test]
    fn fields() {
        let stat = Stat::parse(TEXT).unwrap();
        assert_eq!((stat.command.as_slice(), stat.state, stat.parent), (&b"a) b"[..], b'R', 1));
        assert_eq!((stat.flags, stat.threads, stat.start_time), (4_194_560, 16, 98765));
        assert!(!stat.is_kernel_thread() && !stat.is_zombie());
        // Cut before that field.
        assert_eq!(stat.arguments, 0);
    }

    #[test]
    fn another_program_has_its_arguments_elsewhere() {
        let own = std::fs::read("/proc/self/stat").unwrap();
        let whole = String::from_utf8(own.clone()).unwrap();
        // By its number in proc_pid_stat(5): the name is the second field.
        let after = whole.rsplit_once(") ").unwrap().1;
        let field: u64 = after.split(' ').nth(48 - 3).unwrap().parse().unwrap();
        assert_eq!(Stat::parse(&own).unwrap().arguments, field);
        assert_ne!(field, 0);
    }

    #[test]
    fn every_cut_is_refused_or_read_without_panic() {
        for end in 0..TEXT.len() {
            let _ = Stat::parse(&TEXT[..end]);
        }
        assert_eq!(Stat::parse(b""), None);
        assert_eq!(Stat::parse(b")("), None);
        assert_eq!(Stat::parse(b"1 (x) \xff"), None);
    }
}
