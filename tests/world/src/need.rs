//! What a test needs from its machine, so that a test that cannot run is counted and named.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// Names the file that gets a line for every test that could not run.
pub const NOT_RUN: &str = "PORTOLAN_NOT_RUN";
/// If this variable is 1, a missing need fails the test.
pub const REQUIRE_ALL: &str = "PORTOLAN_REQUIRE_ALL";

/// Something that not every machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// All capabilities that making namespaces takes.
    Root,
    /// A program on the search path.
    Program(&'static str),
    /// A file or directory.
    File(&'static str),
    /// The overlay file system.
    Overlay,
    /// User namespaces.
    UserNamespaces,
    /// The unified hierarchy of control groups, mounted.
    CgroupV2,
    /// An IPv6 loopback.
    Ipv6,
    /// A running Docker, and its client.
    Docker,
    /// A running containerd.
    Containerd,
    /// Podman.
    Podman,
    /// The tools of LXC.
    Lxc,
    /// systemd as process 1.
    Systemd,
}

impl Need {
    /// Why this machine does not have it, or `None` if it does.
    #[must_use]
    pub fn lacking(self) -> Option<String> {
        let (there, why) = match self {
            Self::Root => (is_root(), "needs root".to_owned()),
            Self::Program(name) => (has_program(name), format!("needs the program {name}")),
            Self::File(path) => (Path::new(path).exists(), format!("needs {path}")),
            Self::Overlay => (has_overlay(), "needs the overlay file system".to_owned()),
            Self::UserNamespaces => (has_user_namespaces(), "needs user namespaces".to_owned()),
            Self::CgroupV2 => (has_cgroup_v2(), "needs the unified cgroup hierarchy".to_owned()),
            Self::Ipv6 => (TcpListener::bind("[::1]:0").is_ok(), "needs an IPv6 loopback".to_owned()),
            Self::Docker => {
                let answers = has_program("docker") && succeeds("docker", &["version"]);
                (answers, "needs a running Docker".to_owned())
            }
            Self::Containerd => {
                let answers = UnixStream::connect("/run/containerd/containerd.sock").is_ok();
                (answers, "needs a running containerd".to_owned())
            }
            Self::Podman => (has_program("podman"), "needs podman".to_owned()),
            Self::Lxc => {
                let both = has_program("lxc-start") && has_program("lxc-create");
                (both, "needs the tools of LXC".to_owned())
            }
            Self::Systemd => {
                (Path::new("/run/systemd/system").exists(), "needs systemd as process 1".to_owned())
            }
        };
        (!there).then_some(why)
    }
}

/// Whether this machine has all the needs of a test. If not, says so: on the standard error, past the capture
/// of the test harness, and as a line "TEST: why" in the file that [`NOT_RUN`] names.
///
/// # Panics
///
/// When a need is missing and [`REQUIRE_ALL`] is 1, or when the line cannot be written: no skip is silent.
#[expect(clippy::panic, reason = "failing the test is the point")]
pub fn require(test: &str, needs: &[Need]) -> bool {
    let lacking: Vec<String> = needs.iter().filter_map(|need| need.lacking()).collect();
    if lacking.is_empty() {
        return true;
    }
    let line = format!("{test}: {}\n", lacking.join(", "));
    if std::env::var_os(REQUIRE_ALL).is_some_and(|value| value == "1") {
        panic!("{REQUIRE_ALL}=1, but {line}");
    }
    let _ = io::stderr().write_all(format!("not run: {line}").as_bytes());
    if let Some(path) = std::env::var_os(NOT_RUN).filter(|path| !path.is_empty()) {
        // One write to a file opened for appending: lines of tests that run side by side do not mix.
        let file = OpenOptions::new().append(true).create(true).open(&path);
        if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
            panic!("cannot write to {}: {error}; lost: {line}", path.display());
        }
    }
    false
}

/// Returns from the test, and says so, unless the machine has everything listed: see
/// [`need::require`](crate::need::require). For tests that return `()`.
///
/// ```no_run
/// # use portolan_world::need::Need;
/// fn finds_redis() {
///     portolan_world::require!(Need::Root, Need::Program("redis-server"));
/// }
/// ```
#[macro_export]
macro_rules! require {
    ($($need:expr),+ $(,)?) => {{
        fn here() {}
        let test = ::std::any::type_name_of_val(&here).trim_end_matches("::here");
        if !$crate::need::require(test, &[$($need),+]) {
            return;
        }
    }};
}

fn is_root() -> bool {
    /// Of the capabilities in `linux/capability.h`: the one that namespaces and mounts take.
    const SYS_ADMIN: u64 = 1 << 21;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let effective_user = field("Uid:").split_whitespace().nth(1);
    let mask = u64::from_str_radix(field("CapEff:").trim(), 16).unwrap_or(0);
    effective_user == Some("0") && mask & SYS_ADMIN != 0
}

/// Daemons lie in the sbin directories, which not every search path has; containers look there.
fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(Into::into))
        .filter_map(|directory| fs::metadata(directory.join(name)).ok())
        .any(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

fn has_overlay() -> bool {
    let known = || {
        fs::read_to_string("/proc/filesystems")
            .is_ok_and(|list| list.lines().any(|line| line.ends_with("\toverlay")))
    };
    // The mount itself would load the module too; asking must not say no before that.
    known() || (succeeds("modprobe", &["overlay"]) && known())
}

fn has_user_namespaces() -> bool {
    fs::read_to_string("/proc/sys/user/max_user_namespaces").is_ok_and(|limit| limit.trim() != "0")
}

fn has_cgroup_v2() -> bool {
    fs::read_to_string("/proc/self/mountinfo")
        .is_ok_and(|mounts| mounts.lines().any(|line| line.contains(" - cgroup2 ")))
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let quiet = Stdio::null;
    let mut command = Command::new(program);
    command.args(arguments).stdin(quiet()).stdout(quiet()).stderr(quiet());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs() {
        assert_eq!(Need::Program("sh").lacking(), None);
        let why = Need::Program("no-such-program").lacking();
        assert_eq!(why.as_deref(), Some("needs the program no-such-program"));
    }

    #[test]
    fn nothing_lacks_nothing() {
        assert!(require("a test", &[]));
        assert!(require("a test", &[Need::Program("sh"), Need::File("/proc")]));
    }
}
