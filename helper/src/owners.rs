//! Whose files a container may have read for it.
//!
//! A process in a user namespace has power only over files whose owner and group are mapped there
//! (`user_namespaces(7)`). The helper stays outside and would read any, so it keeps the rule itself: a file that is
//! not for everybody is read only if the container's own root could.

use crate::sys::{Errno, Stat};

/// The ids that a user namespace maps, as seen from ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Owners {
    users: Vec<(u64, u64)>,
    groups: Vec<(u64, u64)>,
}

impl Owners {
    /// From the texts of `/proc/PID/uid_map` and `gid_map`.
    pub(crate) fn parse(users: &[u8], groups: &[u8]) -> Result<Self, Errno> {
        Ok(Self { users: ranges(users)?, groups: ranges(groups)? })
    }

    /// Whether the container's root may read a file of this owner, group and mode.
    pub(crate) fn may_read(&self, stat: &Stat) -> bool {
        let for_everybody = stat.mode & 0o004 != 0;
        for_everybody || (holds(&self.users, stat.user) && holds(&self.groups, stat.group))
    }
}

/// Each line: the first id inside, the first id outside, how many.
fn ranges(text: &[u8]) -> Result<Vec<(u64, u64)>, Errno> {
    let bad = Errno(libc::EBADMSG);
    let text = std::str::from_utf8(text).map_err(|_| bad)?;
    let range = |line: &str| {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u64>);
        let (Some(Ok(_)), Some(Ok(first)), Some(Ok(count))) =
            (numbers.next(), numbers.next(), numbers.next())
        else {
            return Err(bad);
        };
        Ok((first, first.saturating_add(count)))
    };
    text.lines().map(range).collect()
}

fn holds(ranges: &[(u64, u64)], id: u32) -> bool {
    ranges.iter().any(|(first, end)| (*first..*end).contains(&u64::from(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(user: u32, group: u32, mode: u32) -> Stat {
        Stat { mode, size: 0, user, group }
    }

    #[test]
    fn mapped_ids_only() {
        let owners =
            Owners::parse(b"         0     100000      65536\n", b"0 100000 65536\n 70000 5 1\n").unwrap();
        assert!(owners.may_read(&file(100_000, 100_000, 0o600)));
        assert!(owners.may_read(&file(165_535, 5, 0o600)));
        assert!(!owners.may_read(&file(165_536, 100_000, 0o600)));
        assert!(!owners.may_read(&file(0, 0, 0o600)), "the host's root");
        assert!(!owners.may_read(&file(100_000, 0, 0o640)), "both have to be mapped");
        assert!(owners.may_read(&file(0, 0, 0o644)), "for everybody");
    }

    #[test]
    fn the_hosts_own_namespace_maps_all() {
        let all = b"         0          0 4294967295\n";
        assert!(Owners::parse(all, all).unwrap().may_read(&file(0, 0, 0)));
        assert!(Owners::parse(all, all).unwrap().may_read(&file(4_294_967_294, 1, 0)));
    }

    #[test]
    fn texts_that_no_kernel_writes() {
        for text in [&b"0 0"[..], b"a b c", b"\xff", b"0 0 1\nx", b"-1 0 1"] {
            assert!(Owners::parse(text, b"").is_err());
        }
        // A namespace without maps yet: nothing is its own.
        assert!(!Owners::parse(b"", b"").unwrap().may_read(&file(0, 0, 0o600)));
    }
}
