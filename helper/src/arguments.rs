//! The arguments. The environment is never read: it may be the agent's, with its keys.

use std::os::fd::RawFd;

use portolan_wire::frame::posture;
use portolan_wire::limits::{DEFAULT_MAX_BYTES, DEFAULT_MAX_ENTRIES, DEFAULT_TIMEOUT_MS, MAX_PATH};
use portolan_wire::request::{Action, Demand, Operation, Read, Request};

pub(crate) const HELP: &str = "\
portolan-helper: reads files, and expands patterns, inside one container

usage:
  portolan-helper stat    --pid PID [options] -- PATH
  portolan-helper read    --pid PID [options] -- PATH
  portolan-helper lines   --pid PID [options] -- PATH     the last lines
  portolan-helper glob    --pid PID [options] -- PATTERN
  portolan-helper include --pid PID [options] -- PATTERN  the matching paths, and what is in them
  portolan-helper batch   --pid PID < REQUEST             several of these in one entry
  portolan-helper serve FD                                for the library: requests on a socket

  --pid N              a process of the container
  --start-time N       its start time (field 22 of /proc/N/stat); fail if the number was reused
  --pidfd N --root-fd N  inherited descriptors instead of --pid and --start-time
  --max-bytes N        of each file at most so many bytes (204800); a larger file is refused ...
  --prefix             ... unless its first bytes are enough
  --offset N           read: begin at this byte (0)
  --lines N            lines: so many (10)
  --max-entries N      glob, include: at most so many paths (10000)
  --timeout-ms N       give up after so long (2000)
  --any-file-system    also FUSE and network file systems, whose server may never answer
  --strict             refuse if this kernel lets us give up less than it should
  --pid-namespace      join the container's pid namespace too

The answer is a stream of binary frames, described in docs/protocol.md. To read a file by hand, use
`portolan cat`. Needs CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_SYS_CHROOT and CAP_DAC_READ_SEARCH.
";

/// What `--strict` demands. That it runs from sealed memory is not its own doing.
pub(crate) const STRICT: Demand = Demand {
    posture: posture::NOT_DUMPABLE
        | posture::NO_NEW_PRIVS
        | posture::PRIVATE_PROCFS
        | posture::LIMITED
        | posture::DEATH_SIGNAL,
    seccomp: 2,
    landlock: 1,
};

/// Who is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    Number { pid: i32, start_time: Option<u64> },
    Descriptors { pidfd: RawFd, root: RawFd },
}

/// One entry into one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OneShot {
    pub(crate) whom: Whom,
    pub(crate) pid_namespace: bool,
    /// Whatever the request demands itself.
    pub(crate) strict: bool,
    /// `None`: a batch, which is read from standard input.
    pub(crate) request: Option<Request>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arguments {
    Once(OneShot),
    Serve(RawFd),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Usage {
    Help,
    Wrong(&'static str),
}

/// What the options say, before it is known which of them fit together.
struct Options {
    pid: Option<i32>,
    start_time: Option<u64>,
    pidfd: Option<RawFd>,
    root: Option<RawFd>,
    max_bytes: u64,
    prefix: bool,
    offset: u64,
    lines: u64,
    max_entries: u64,
    timeout_ms: u64,
    any_file_system: bool,
    strict: bool,
    pid_namespace: bool,
}

impl Arguments {
    pub(crate) fn parse(arguments: &[Vec<u8>]) -> Result<Self, Usage> {
        let mut words = arguments.iter().map(Vec::as_slice);
        let command = match words.next() {
            None | Some(b"--help" | b"-h" | b"help") => return Err(Usage::Help),
            Some(b"serve") => {
                let socket = number(words.next())?;
                let sane = socket > 2 && words.next().is_none();
                return if sane {
                    Ok(Self::Serve(socket))
                } else {
                    Err(Usage::Wrong("serve wants one number"))
                };
            }
            Some(word @ (b"stat" | b"read" | b"lines" | b"glob" | b"include" | b"batch")) => word,
            Some(_) => return Err(Usage::Wrong("the first word is no operation")),
        };
        let options = Options::parse(command, &mut words)?;
        let request = if command == b"batch" {
            None
        } else {
            let path = words.next().ok_or(Usage::Wrong("a path is missing after '--'"))?.to_vec();
            Some(options.request(command, path)?)
        };
        if words.next().is_some() {
            return Err(Usage::Wrong("one path only"));
        }
        let Options { pid_namespace, strict, .. } = options;
        Ok(Self::Once(OneShot { whom: options.whom()?, pid_namespace, strict, request }))
    }
}

impl Options {
    fn parse<'a>(command: &[u8], words: &mut impl Iterator<Item = &'a [u8]>) -> Result<Self, Usage> {
        let mut it = Self {
            pid: None,
            start_time: None,
            pidfd: None,
            root: None,
            max_bytes: DEFAULT_MAX_BYTES,
            prefix: false,
            offset: 0,
            lines: 10,
            max_entries: DEFAULT_MAX_ENTRIES,
            timeout_ms: DEFAULT_TIMEOUT_MS,
            any_file_system: false,
            strict: false,
            pid_namespace: false,
        };
        let single = command != b"batch";
        let reads = matches!(command, b"read" | b"lines" | b"include");
        let finds = matches!(command, b"glob" | b"include");
        loop {
            match words.next() {
                Some(b"--") if single => return Ok(it),
                Some(b"--pid") => it.pid = Some(number(words.next())?),
                Some(b"--start-time") => it.start_time = Some(number(words.next())?),
                Some(b"--pidfd") => it.pidfd = Some(number(words.next())?),
                Some(b"--root-fd") => it.root = Some(number(words.next())?),
                Some(b"--max-bytes") if reads => it.max_bytes = number(words.next())?,
                Some(b"--prefix") if reads => it.prefix = true,
                Some(b"--offset") if command == b"read" => it.offset = number(words.next())?,
                Some(b"--lines") if command == b"lines" => it.lines = number(words.next())?,
                Some(b"--max-entries") if finds => it.max_entries = number(words.next())?,
                Some(b"--timeout-ms") if single => it.timeout_ms = number(words.next())?,
                Some(b"--any-file-system") if single => it.any_file_system = true,
                Some(b"--strict") => it.strict = true,
                Some(b"--pid-namespace") => it.pid_namespace = true,
                Some(b"--help" | b"-h") => return Err(Usage::Help),
                Some(_) => return Err(Usage::Wrong("unknown option, or '--' is missing before the path")),
                None if single => return Err(Usage::Wrong("a path is missing: -- PATH")),
                None => return Ok(it),
            }
        }
    }

    fn whom(&self) -> Result<Whom, Usage> {
        match (self.pid, self.pidfd, self.root) {
            (Some(pid), None, None) if pid > 0 => Ok(Whom::Number { pid, start_time: self.start_time }),
            (None, Some(pidfd), Some(root)) if self.start_time.is_none() && pidfd > 2 && root > 2 => {
                Ok(Whom::Descriptors { pidfd, root })
            }
            _ => Err(Usage::Wrong("name the process by --pid, or by --pidfd and --root-fd")),
        }
    }

    fn request(&self, command: &[u8], path: Vec<u8>) -> Result<Request, Usage> {
        if path.first() != Some(&b'/') {
            return Err(Usage::Wrong("the path must begin with a slash"));
        }
        if path.len() > MAX_PATH {
            return Err(Usage::Wrong("the path is longer than 4095 bytes"));
        }
        if self.offset > i64::MAX.unsigned_abs() {
            return Err(Usage::Wrong("the offset is too large"));
        }
        let Self { max_bytes, offset, prefix, lines, max_entries, .. } = *self;
        let action = match command {
            b"stat" => Action::Stat,
            b"lines" => Action::Lines { lines, max_bytes },
            b"glob" => Action::Glob { max_entries },
            b"include" => Action::Include { max_entries, max_bytes, prefix },
            _ => Action::Read(Read { max_bytes, offset, prefix }),
        };
        // Of an include each file may have as many; all of them together what that makes.
        let files = if command == b"include" { max_entries } else { 1 };
        Ok(Request {
            // A timer of zero would be none at all; a day is for ever.
            timeout_ms: u32::try_from(self.timeout_ms.clamp(1, 86_400_000)).unwrap_or(u32::MAX),
            max_bytes: max_bytes.saturating_mul(files),
            max_entries,
            any_file_system: self.any_file_system,
            operations: vec![Operation { action, path }],
            ..Request::default()
        })
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

    fn parse(line: &str) -> Result<Arguments, Usage> {
        Arguments::parse(&line.split(' ').map(|w| w.as_bytes().to_vec()).collect::<Vec<_>>())
    }

    fn once(line: &str) -> (OneShot, Request) {
        let Ok(Arguments::Once(once)) = parse(line) else { panic!("{line}") };
        let request = once.request.clone().unwrap_or_default();
        (once, request)
    }

    #[test]
    fn what_is_understood() {
        let (one, request) = once("read --pid 42 --start-time 7 --max-bytes 9 --prefix --offset 3 -- /etc/x");
        assert_eq!(one.whom, Whom::Number { pid: 42, start_time: Some(7) });
        let read = Action::Read(Read { max_bytes: 9, prefix: true, offset: 3 });
        assert_eq!(request.operations, [Operation { action: read, path: b"/etc/x".to_vec() }]);
        assert_eq!((request.max_bytes, request.timeout_ms), (9, 2000));
        let (one, request) = once("glob --pidfd 3 --root-fd 4 --timeout-ms 0 --pid-namespace -- /*");
        assert_eq!(one.whom, Whom::Descriptors { pidfd: 3, root: 4 });
        assert!(one.pid_namespace && request.timeout_ms > 0, "no timeout is never no limit");
        assert_eq!(once("read --pid 1 -- /--help").1.operations[0].path, b"/--help");
        assert_eq!(
            once("lines --pid 1 -- /l").1.operations[0].action,
            Action::Lines { lines: 10, max_bytes: 204_800 }
        );
        let (one, request) = once("include --pid 1 --strict --any-file-system --max-entries 3 -- /*.conf");
        assert!(request.any_file_system && one.strict && request.max_bytes == 3 * 204_800);
        assert_eq!(once("batch --pid 1").0.request, None);
        assert_eq!(parse("serve 3"), Ok(Arguments::Serve(3)));
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(Arguments::parse(&[]), Err(Usage::Help));
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
            "stat --pid 1 --max-bytes 1 -- /x",
            "read --pid 1 --offset 9223372036854775808 -- /x",
            "batch --pid 1 -- /x",
            "batch --pid 1 --timeout-ms 5",
            "serve",
            "serve 0",
            "serve x",
            "serve 3 4",
        ] {
            assert!(matches!(parse(line), Err(Usage::Wrong(_))), "{line}");
        }
        let long = [b"read".to_vec(), b"--pid".to_vec(), b"1".to_vec(), b"--".to_vec(), vec![b'/'; 4096]];
        assert!(matches!(Arguments::parse(&long), Err(Usage::Wrong(_))));
    }
}
