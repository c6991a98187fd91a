//! What other programs say about a container: `nsenter`, `ss`, `bash`, and the links of `/proc`.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::process::Command;

/// The inode number of a process's namespace; `process` is a pid or `self`.
#[track_caller]
pub(crate) fn namespace(process: impl std::fmt::Display, kind: &str) -> u64 {
    let path = format!("/proc/{process}/ns/{kind}");
    let link = fs::read_link(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    number_of_link(link.to_str().unwrap()).unwrap()
}

/// The number in `net:[4026531833]`, `socket:[17]` and the like.
pub(crate) fn number_of_link(link: &str) -> Option<u64> {
    link.split_once('[')?.1.strip_suffix(']')?.parse().ok()
}

/// The id of a container without a runtime, by its first process and the kind of namespace that sets it apart.
#[track_caller]
pub(crate) fn nameless_id(pid: i32, kind: &str) -> String {
    format!("ns-{}-{}", namespace(pid, kind), start_time(pid))
}

/// Start time in clock ticks, field 22 of `/proc/PID/stat`.
pub(crate) fn start_time(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap()
}

/// What a program prints when `nsenter` runs it in namespaces of a process; it is to succeed.
#[track_caller]
pub(crate) fn nsenter(pid: i32, namespaces: &[&str], command: &[&str]) -> Vec<u8> {
    let mut nsenter = Command::new("nsenter");
    nsenter.args(["-t", &pid.to_string()]).args(namespaces).arg("--").args(command);
    let output = nsenter.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C").output();
    let output = output.unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The paths that a shell inside makes of a pattern, in its order; none when nothing matches.
#[track_caller]
pub(crate) fn expansion(pid: i32, pattern: &str) -> Vec<Vec<u8>> {
    let script = format!("shopt -s nullglob; for path in {pattern}; do printf '%s\\0' \"$path\"; done");
    let listed = nsenter(pid, &["-m", "-r"], &["bash", "-c", &script]);
    listed.split(|byte| *byte == 0).filter(|path| !path.is_empty()).map(<[u8]>::to_vec).collect()
}

/// A listener as `ss` shows it.
pub(crate) type Address = (IpAddr, u16);

/// The TCP listeners of a process's network namespace. `*` is the dual-stack wildcard `::`.
#[track_caller]
pub(crate) fn listeners(pid: i32) -> BTreeSet<Address> {
    addresses(&nsenter(pid, &["-n"], &["ss", "-Hltn"]))
}

/// The local addresses in the output of `ss -Hltn`.
pub(crate) fn addresses(listed: &[u8]) -> BTreeSet<Address> {
    let listed = std::str::from_utf8(listed).unwrap();
    listed
        .lines()
        .map(|line| {
            let local = line.split_whitespace().nth(3).unwrap_or_else(|| panic!("{line}"));
            let (address, port) = local.rsplit_once(':').unwrap();
            // A scope, as in `fe80::1%eth0`, is not part of the address.
            let address = address.trim_matches(['[', ']']).split('%').next().unwrap();
            let address = if address == "*" { "::" } else { address };
            (address.parse().unwrap_or_else(|_| panic!("{line}")), port.parse().unwrap())
        })
        .collect()
}

/// The Landlock ABI of this kernel by its own word, 0 for none: `landlock_create_ruleset(2)` with its version flag.
pub(crate) fn landlock() -> i64 {
    let ask = "import ctypes; print(max(0, ctypes.CDLL(None).syscall(444, None, 0, 1)))";
    let output = Command::new("python3").args(["-c", ask]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}
