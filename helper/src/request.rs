//! The arguments. The environment is never read: it may be the agent's, with its keys.

use std::os::fd::RawFd;
use std::time::Duration;

use portolan_wire::limits::{DEFAULT_MAX_BYTES, DEFAULT_MAX_ENTRIES, DEFAULT_TIMEOUT_MS, MAX_PATH};

pub(crate) const HELP: &str = "\
portolan-helper: reads a file, or expands a pattern, inside one container

usage:
  portolan-helper read --pid PID [options] -- PATH
  portolan-helper glob --pid PID [options] -- PATTERN

  --pid N              a process of the container
  --start-time N       its start time (field 22 of /proc/N/stat); fail if the number was reused
  --pidfd N --root-fd N  inherited descriptors instead of --pid and --start-time
  --max-bytes N        read: at most so many bytes (204800); a larger file is refused ...
  --prefix             ... unless its first bytes are enough
  --offset N           read: begin at this byte (0)
  --max-entries N      glob: at most so many paths (10000)
  --timeout-ms N       give up after so long (2000)
  --pid-namespace      join the container's pid namespace too

The answer is a stream of binary frames, described in docs/protocol.md. To read a file by hand, use
`portolan cat`. Needs CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_SYS_CHROOT and CAP_DAC_READ_SEARCH.
";

/// Who is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    Number { pid: i32, start_time: Option<u64> },
    Descriptors { pidfd: RawFd, root: RawFd },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) max_bytes: u64,
    pub(crate) prefix: bool,
    pub(crate) offset: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Glob {
    pub(crate) max_entries: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Read(Read),
    Glob(Glob),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) whom: Whom,
    pub(crate) operation: Operation,
    /// The path or pattern: bytes, beginning with a slash.
    pub(crate) path: Vec<u8>,
    pub(crate) timeout: Duration,
    pub(crate) pid_namespace: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Usage {
    Help,
    Wrong(&'static str),
}

impl Request {
    pub(crate) fn parse(arguments: &[Vec<u8>]) -> Result<Self, Usage> {
        let mut words = arguments.iter().map(Vec::as_slice);
        let glob = match words.next() {
            Some(b"read") => false,
            Some(b"glob") => true,
            None | Some(b"--help" | b"-h" | b"help") => return Err(Usage::Help),
            Some(_) => return Err(Usage::Wrong("the first word must be 'read' or 'glob'")),
        };
        let (mut pid, mut start_time, mut pidfd, mut root) = (None, None, None, None);
        let mut read = Read { max_bytes: DEFAULT_MAX_BYTES, prefix: false, offset: 0 };
        let mut max_entries = DEFAULT_MAX_ENTRIES;
        let mut timeout = DEFAULT_TIMEOUT_MS;
        let mut pid_namespace = false;
        loop {
            match words.next() {
                Some(b"--") => break,
                Some(b"--pid") => pid = Some(number(words.next())?),
                Some(b"--start-time") => start_time = Some(number(words.next())?),
                Some(b"--pidfd") => pidfd = Some(number(words.next())?),
                Some(b"--root-fd") => root = Some(number(words.next())?),
                Some(b"--max-bytes") if !glob => read.max_bytes = number(words.next())?,
                Some(b"--prefix") if !glob => read.prefix = true,
                Some(b"--offset") if !glob => read.offset = number(words.next())?,
                Some(b"--max-entries") if glob => max_entries = number(words.next())?,
                Some(b"--timeout-ms") => timeout = number(words.next())?,
                Some(b"--pid-namespace") => pid_namespace = true,
                Some(b"--help" | b"-h") => return Err(Usage::Help),
                Some(_) => return Err(Usage::Wrong("unknown option, or '--' is missing before the path")),
                None => return Err(Usage::Wrong("a path is missing: -- PATH")),
            }
        }
        let path = words.next().ok_or(Usage::Wrong("a path is missing after '--'"))?.to_vec();
        if words.next().is_some() {
            return Err(Usage::Wrong("one path only"));
        }
        if path.first() != Some(&b'/') {
            return Err(Usage::Wrong("the path must begin with a slash"));
        }
        if path.len() > MAX_PATH {
            return Err(Usage::Wrong("the path is longer than 4095 bytes"));
        }
        let whom = match (pid, pidfd, root) {
            (Some(pid), None, None) if pid > 0 => Whom::Number { pid, start_time },
            (None, Some(pidfd), Some(root)) if start_time.is_none() && pidfd > 2 && root > 2 => {
                Whom::Descriptors { pidfd, root }
            }
            _ => return Err(Usage::Wrong("name the process by --pid, or by --pidfd and --root-fd")),
        };
        if read.offset > i64::MAX.unsigned_abs() {
            return Err(Usage::Wrong("the offset is too large"));
        }
        // A timer of zero would be none at all; a day is for ever.
        let timeout = Duration::from_millis(timeout.clamp(1, 86_400_000));
        let operation = if glob { Operation::Glob(Glob { max_entries }) } else { Operation::Read(read) };
        Ok(Self { whom, operation, path, timeout, pid_namespace })
    }
}

fn number<N: std::str::FromStr>(word: Option<&[u8]>) -> Result<N, Usage> {
    word.and_then(|w| std::str::from_utf8(w).ok())
        .and_then(|w| w.parse().ok())
        .ok_or(Usage::Wrong("an option wants a number, or its number is out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request, Usage> {
        Request::parse(&line.split(' ').map(|w| w.as_bytes().to_vec()).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_understood() {
        let request =
            parse("read --pid 42 --start-time 7 --max-bytes 9 --prefix --offset 3 -- /etc/x").unwrap();
        assert_eq!(request.whom, Whom::Number { pid: 42, start_time: Some(7) });
        assert_eq!(request.operation, Operation::Read(Read { max_bytes: 9, prefix: true, offset: 3 }));
        assert_eq!((request.path.as_slice(), request.timeout), (&b"/etc/x"[..], Duration::from_secs(2)));
        let request = parse("glob --pidfd 3 --root-fd 4 --timeout-ms 0 --pid-namespace -- /*").unwrap();
        assert_eq!(request.whom, Whom::Descriptors { pidfd: 3, root: 4 });
        assert!(request.pid_namespace && request.timeout > Duration::ZERO, "no timeout is never no limit");
        assert_eq!(parse("read --pid 1 -- /--help").unwrap().path, b"/--help");
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(Request::parse(&[]), Err(Usage::Help));
        assert_eq!(parse("read --help"), Err(Usage::Help));
        for line in [
            "write --pid 1 -- /x",
            "read -- /x",
            "read --pid 0 -- /x",
            "read --pid -1 -- /x",
            "read --pid 99999999999 -- /x",
            "read --pid x -- /x",
            "read --pid 1 /x",
            "read --pid 1 --",
            "read --pid 1 -- x",
            "read --pid 1 -- /x /y",
            "read --pid 1 --pidfd 3 -- /x",
            "read --pidfd 3 -- /x",
            "read --pidfd 0 --root-fd 4 -- /x",
            "read --pid 1 --max-entries 1 -- /x",
            "glob --pid 1 --prefix -- /x",
            "read --pid 1 --offset 9223372036854775808 -- /x",
        ] {
            assert!(matches!(parse(line), Err(Usage::Wrong(_))), "{line}");
        }
        let long = [b"read".to_vec(), b"--pid".to_vec(), b"1".to_vec(), b"--".to_vec(), vec![b'/'; 4096]];
        assert!(matches!(Request::parse(&long), Err(Usage::Wrong(_))));
    }
}
