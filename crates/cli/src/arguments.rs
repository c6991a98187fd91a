//! What can be said on the command line, and the help that teaches it.

use portolan::SourceChoice;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

const ABOUT: &str = "Chart a Linux host: its containers, what listens in them, and ways in";

const LONG: &str = "\
Charts a Linux host: which containers run, what listens in each, even where no port is published, no route leads in \
and no runtime has an API. Reads files and expands patterns inside, and connects from inside.";

const EXAMPLES: &str = "\
Examples:
  portolan scan                                      the chart
  portolan watch                                     what comes and goes
  portolan cat web /etc/nginx/nginx.conf             a file inside the container 'web'
  portolan glob web '/etc/nginx/conf.d/*.conf'       the files that its include means
  portolan tail web /var/log/nginx/access.log -f     a log, through its rotations
  portolan logs web -f                               what it wrote to its standard output and error
  portolan dial cache 127.0.0.1:6379                 talk to a port of its loopback
  portolan tunnel cache 6379 --port 0                a local way in, for any client
  portolan explain 4242                              why pid 4242 belongs where it does
  portolan doctor                                    what works here, and what is missing

TARGET is a container's name, its id or a unique prefix of it, or pid:N for the container of process N.
Exit codes: 0 done, 1 the operation failed, 2 wrong usage, 3 a missing privilege.";

#[derive(Debug, Parser)]
#[command(name = "portolan", version, about = ABOUT, long_about = LONG, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The chart: containers, what runs in them, and where it is configured, logs and is reached
    Scan(Scan),
    /// What changes on the chart, as it happens
    Watch(Watch),
    /// A file's bytes, from inside a container
    Cat(Cat),
    /// The paths that match a pattern inside a container, one a line
    Glob(Glob),
    /// The last lines of a file inside a container, and what is appended to it
    Tail(Tail),
    /// The last lines of a container's standard output and error, and what follows, from where its runtime keeps them
    Logs(Logs),
    /// Join standard input and output to a socket made inside a container
    Dial(Dial),
    /// A local way in for any client: a Unix socket or port here, an address inside there
    Tunnel(Tunnel),
    /// Why a process belongs to its container
    Explain(Explain),
    /// The kinds of services that are recognised
    Rules(Rules),
    /// Which features work here, and what each missing one needs
    Doctor,
    /// A completion script for a shell
    #[command(after_help = "Example:\n  portolan completions bash > /etc/bash_completion.d/portolan")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portolan scan                          services by container, the host's own last
  portolan scan web cache -v             of two containers, and why they are taken for what they are
  portolan scan --listeners              a row for each listener
  portolan scan --json | jq '.services[] | select(.kind == \"redis\") | .endpoints'

Addresses are those inside of the container, the best first. A log's path is followed by that of the same file on the
host, where there is one. Configurations are read by each service's own rules; what could not be read or understood is
told below the service. Passwords are never printed. COLUMNS overrides the terminal's width; in a file or a pipe,
nothing is cut or broken.

Docker and Podman are asked about their containers, for half a second at most; with --json their answer is under
'metadata'. The chart needs none of it: what they do not say in time is told as a fault.

What could not be looked at is told on standard error, and under 'faults' with --json. REACH says from where a
listener can be reached: its own loopback only, its network namespace, or the host's network. In JSON a Unix socket
has its path under 'address' ('@' before an abstract name), and port 0.

The kernel is asked by BPF iterators where they work: all processes and listeners in one pass, for a fraction of what
system calls cost. Where they are refused, /proc and sock_diag tell the same, and nothing is said about it; 'source' and
'source_reason' with --json, and 'portolan doctor', tell which way it was and why. --source chooses; with bpf, it fails
where that is refused. Sockets that no process has (the kernel's own, or on their way in a message) are found in the
host's network namespace by both, in others by system calls or with --thorough.

Network namespaces are found by the processes in them, by their threads (the first 64 of each, by system calls), by
their listeners' sockets (by BPF), and by bind mounts such as those of 'ip netns add'. --thorough finds the others too;
it costs about a microsecond for each open file of the host, and four for each socket, which is borrowed for a moment.")]
pub(crate) struct Scan {
    /// Only these: container names, ids or unique prefixes of them, or pid:N
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
    /// Print JSON (schema portolan.inventory/1) instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Print a row for each listener, and nothing of services
    #[arg(long, conflicts_with = "json")]
    pub(crate) listeners: bool,
    /// Do not look what runs: quicker, and nothing is read inside of containers
    #[arg(long)]
    pub(crate) no_services: bool,
    /// Say why containers and services are taken for what they are
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Do not ask Docker and Podman for labels, ports and health
    #[arg(long)]
    pub(crate) no_runtime_api: bool,
    /// How the kernel is asked
    #[arg(long, value_enum, default_value_t = Source::Auto)]
    pub(crate) source: Source,
    /// Look for network namespaces that only an open descriptor or a socket holds, at all threads, and for sockets of nobody
    #[arg(long)]
    pub(crate) thorough: bool,
    /// Recognise services by the rules of this directory, too
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) rules: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portolan rules
  portolan rules --rules /etc/portolan/rules --json | jq -r '.rules[].kind'

The rules of the directory's *.toml files go before those that are built in. docs/rules.md tells how they are written.")]
pub(crate) struct Rules {
    /// Print JSON (schema portolan.rules/1) instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// With the rules of this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) rules: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portolan watch
  portolan watch --json | jq -c '.listeners.added[]'

The first update is all that there is. After that, a line for each change: '+' came, '~' changed, '-' went; with
--json an object on a line for each update (schema portolan.update/1). Where the kernel tells what starts and ends,
a container is told within 100 ms of listening, if it listens in its first minute, and everything else within the
interval. Where BPF may be used as well, TCP is told within 100 ms at any age; UDP and Unix sockets within two seconds in
the first minute, and within five later. Where the kernel tells nothing, the host is scanned again and again. It goes on
until it is interrupted.")]
pub(crate) struct Watch {
    /// Print JSON, an object on a line for each update
    #[arg(long)]
    pub(crate) json: bool,
    /// Scan everything at least every so many milliseconds
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..))]
    pub(crate) interval_ms: u64,
    /// Scan again and again even where the kernel would tell what happens
    #[arg(long)]
    pub(crate) poll: bool,
    /// How the kernel is asked
    #[arg(long, value_enum, default_value_t = Source::Auto)]
    pub(crate) source: Source,
    /// Look for network namespaces that only an open descriptor or a socket holds, and at all threads
    #[arg(long)]
    pub(crate) thorough: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// The best way that works here
    Auto,
    /// BPF iterators: everything in one pass
    Bpf,
    /// /proc and `sock_diag`
    Syscalls,
}

impl Source {
    pub(crate) fn choice(self) -> SourceChoice {
        match self {
            Self::Auto => SourceChoice::Auto,
            Self::Bpf => SourceChoice::Bpf,
            Self::Syscalls => SourceChoice::SystemCalls,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portolan cat web /etc/nginx/nginx.conf
  portolan cat web /var/log/nginx/error.log --prefix --max-bytes 4096
  portolan cat pid:4242 /proc/self/status --pid-namespace

The path means what it means to the process inside: absolute links and '..' stay in the container. Directories,
FIFOs, devices and sockets are refused without being opened. A file over the limit is refused with its size.")]
pub(crate) struct Cat {
    /// Container name, id or unique prefix of it, or pid:N
    pub(crate) target: String,
    /// The file, as an absolute path inside
    #[arg(value_hint = ValueHint::Other)]
    pub(crate) path: PathBuf,
    /// Refuse a file of more bytes than this
    #[arg(long, value_name = "N", default_value_t = 204_800)]
    pub(crate) max_bytes: u64,
    /// Print the first bytes of a larger file instead of refusing it
    #[arg(long)]
    pub(crate) prefix: bool,
    /// Begin at this byte
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) offset: u64,
    /// Give up after so many milliseconds
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout_ms: u64,
    /// Join the container's pid namespace too, so that /proc/self leads somewhere
    #[arg(long)]
    pub(crate) pid_namespace: bool,
    /// Also on FUSE and network file systems, whose server may never answer
    #[arg(long)]
    pub(crate) any_file_system: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portolan glob web '/etc/nginx/{conf.d,sites-enabled}/*.conf'
  portolan glob web '/var/log/**/*.log' -0 | xargs -0 -n1 portolan cat web

Patterns: * ? [a-z] [!a-z] as in the shell, ** for any directories, {a,b} for either, a trailing / for directories
only. Quote the pattern, or the shell expands it on the host. Nothing that matches is no error.")]
pub(crate) struct Glob {
    /// Container name, id or unique prefix of it, or pid:N
    pub(crate) target: String,
    /// The pattern, beginning with a slash
    #[arg(value_hint = ValueHint::Other)]
    pub(crate) pattern: OsString,
    /// Stop after so many paths
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) max_entries: u64,
    /// Separate the paths by NUL, and print them raw instead of escaping control characters
    #[arg(short = '0', long = "null")]
    pub(crate) null: bool,
    /// Give up after so many milliseconds
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout_ms: u64,
    /// Look into FUSE and network file systems too, whose server may never answer
    #[arg(long)]
    pub(crate) any_file_system: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portolan tail web /var/log/nginx/error.log
  portolan tail web /var/log/nginx/access.log -n 100 -f

With -f it goes on until it is interrupted, the output is closed, or the container is gone. A file that is renamed
is read to its end before the next one, one that is cut is read from its start, and one that is deleted is waited
for; each is told on standard error. Nothing of the container is held open between two looks. What a container wrote to
its standard output is printed by 'portolan logs'.")]
pub(crate) struct Tail {
    /// Container name, id or unique prefix of it, or pid:N
    pub(crate) target: String,
    /// The file, as an absolute path inside
    #[arg(value_hint = ValueHint::Other)]
    pub(crate) path: PathBuf,
    /// Begin with so many of the last lines
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    pub(crate) lines: u64,
    /// Go on with what is appended
    #[arg(short = 'f', long)]
    pub(crate) follow: bool,
    /// With -f: look again after so many milliseconds
    #[arg(long, value_name = "N", default_value_t = 250, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) interval_ms: u64,
    /// Print at most so many bytes of the last lines
    #[arg(long, value_name = "N", default_value_t = 1_048_576, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_bytes: u64,
    /// Give up a look after so many milliseconds
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout_ms: u64,
    /// Also on FUSE and network file systems, whose server may never answer
    #[arg(long)]
    pub(crate) any_file_system: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portolan logs web
  portolan logs web -n 100 -f --timestamps
  portolan logs web --stream stderr --json | jq -r .line
  portolan logs web --where

The output is read where the runtime keeps it: Docker's json-file and local, the files of containerd, CRI-O and Podman,
LXC's console, the journal. No daemon is asked. Lines of both streams go to standard output; on a terminal control
characters are shown as \\xNN. With -f it goes on until it is interrupted, the output is closed, or the container is
gone; rotations are followed and told on standard error. For the files inside, see 'portolan tail'.")]
pub(crate) struct Logs {
    /// Container name, id or unique prefix of it, or pid:N
    pub(crate) target: String,
    /// Begin with so many of the last lines, or 'all'
    #[arg(short = 'n', long, value_name = "N", default_value = "10", value_parser = lines)]
    pub(crate) lines: Lines,
    /// Go on with what is written
    #[arg(short = 'f', long)]
    pub(crate) follow: bool,
    /// Print the time and the stream before each line
    #[arg(short = 't', long, conflicts_with = "json")]
    pub(crate) timestamps: bool,
    /// Print lines of this stream only
    #[arg(long, value_enum)]
    pub(crate) stream: Option<OutputStream>,
    /// Print JSON, an object on a line for each line
    #[arg(long)]
    pub(crate) json: bool,
    /// Print where the output goes, and which log files the process holds open, instead of what is in them
    #[arg(long = "where", conflicts_with_all = ["follow", "timestamps", "stream"])]
    pub(crate) places: bool,
    /// With -f: look again after so many milliseconds
    #[arg(long, value_name = "N", default_value_t = 250, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) interval_ms: u64,
    /// Cut lines that have more bytes than this
    #[arg(long, value_name = "N", default_value_t = 1_048_576, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_line: u32,
}

/// How many of the last lines; `None` for all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lines(pub(crate) Option<u64>);

fn lines(text: &str) -> Result<Lines, String> {
    match text {
        "all" => Ok(Lines(None)),
        number => {
            number.parse().map(|n| Lines(Some(n))).map_err(|_| "want a number of lines, or all".to_owned())
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputStream {
    /// Standard output
    Stdout,
    /// Standard error
    Stderr,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  echo PING | portolan dial cache 127.0.0.1:6379
  printf 'GET / HTTP/1.0\\r\\n\\r\\n' | portolan dial web 8080
  echo 'show info' | portolan dial proxy --unix /run/haproxy/admin.sock

The address means what it means inside: 127.0.0.1 is the container's own. The end of the input is passed on; the
command ends when the other side closes. If the connection cannot be made inside, it is not made at all.")]
pub(crate) struct Dial {
    /// Container name, id or unique prefix of it, or pid:N
    pub(crate) target: String,
    /// `ADDRESS:PORT`, `[ADDRESS]:PORT` for IPv6, or a port of 127.0.0.1
    #[arg(value_parser = address, required_unless_present = "unix", conflicts_with = "unix")]
    pub(crate) address: Option<SocketAddr>,
    /// UDP instead of TCP: each read of the input is a datagram; ends a second after the input did
    #[arg(long, conflicts_with = "unix")]
    pub(crate) udp: bool,
    /// A Unix socket by its path inside, or @NAME for an abstract one
    #[arg(long, value_name = "PATH", value_hint = ValueHint::Other)]
    pub(crate) unix: Option<PathBuf>,
    /// Give up connecting after so many milliseconds
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout_ms: u64,
    /// Connect even if the target shares the host's network, where the address is the host's
    #[arg(long)]
    pub(crate) allow_host_network: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portolan tunnel db 5432 --unix /run/db/.s.PGSQL.5432 &   psql -h /run/db -U postgres
  portolan tunnel cache 6379 --unix /run/cache.sock &      redis-cli -s /run/cache.sock ping
  portolan tunnel cache 6379 --port 16379 &                redis-cli -p 16379 ping
  portolan tunnel web --socks --port 1080 &                curl --socks5-hostname 127.0.0.1:1080 http://127.0.0.1/

Where to connect is the one line of standard output, printed as soon as clients can. Every connection is made anew
inside, and closed if that fails: the host is never reached instead. With --socks each client names the address that
it wants, so that those which a server advertises lead inside too; with an ADDRESS besides, only that one is allowed.

A Unix socket is for your own user alone, which the kernel tells; if its directory is missing it is made, and both
are removed in the end. A port of 127.0.0.1 can be used by every user and program of this host. It goes on until it
is interrupted (exit code 0) or the container is gone (1), and then tells on standard error what it has done.")]
pub(crate) struct Tunnel {
    /// Container name, id or unique prefix of it, or pid:N
    pub(crate) target: String,
    /// `ADDRESS:PORT`, `[ADDRESS]:PORT` for IPv6, or a port of 127.0.0.1; inside
    #[arg(value_parser = address, required_unless_present = "socks")]
    pub(crate) address: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) place: TunnelPlace,
    /// Let clients name the address by SOCKS5; they are to leave names to it, which are resolved inside
    #[arg(long)]
    pub(crate) socks: bool,
    /// Close what comes over so many open connections
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// Give up connecting inside after so many milliseconds
    #[arg(long, value_name = "N", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout_ms: u64,
    /// Connect even if the target shares the host's network, where the address is the host's
    #[arg(long)]
    pub(crate) allow_host_network: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct TunnelPlace {
    /// Listen on a Unix socket at this path, which must not exist
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) unix: Option<PathBuf>,
    /// Listen on this port of 127.0.0.1, or on a free one for 0
    #[arg(long, value_name = "N")]
    pub(crate) port: Option<u16>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portolan explain 4242
  portolan explain --cgroup /proc/4242/cgroup
  cat saved-cgroup.txt | portolan explain --cgroup -")]
#[group(required = true, multiple = false)]
pub(crate) struct Explain {
    /// A process, as N or pid:N
    pub(crate) pid: Option<String>,
    /// Classify the text of a /proc/PID/cgroup file ('-' for standard input) and print JSON
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) cgroup: Option<PathBuf>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    text.parse().map_err(|_| {
        "want ADDRESS:PORT with a numeric address, such as 127.0.0.1:6379 or [::1]:6379".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_teaches_by_example() {
        for command in Arguments::command().get_subcommands() {
            let taught = command.get_after_help().is_some_and(|help| help.to_string().contains("portolan "));
            assert!(
                taught || ["doctor"].contains(&command.get_name()),
                "{} has no example",
                command.get_name()
            );
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(address("80").unwrap(), "127.0.0.1:80".parse().unwrap());
        assert_eq!(address("[::1]:80").unwrap(), "[::1]:80".parse().unwrap());
        for wrong in ["", "localhost:80", "1.2.3.4", "::1:80", "70000", "1.2.3.4:"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
