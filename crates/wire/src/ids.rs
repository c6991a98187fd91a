//! The ids that a user namespace maps (`user_namespaces(7)`), as seen from ours.
//!
//! A process in a user namespace has power only over files whose owner and group are mapped there. The helper stays
//! outside and could read any, so it keeps the rule itself: what is not for everybody is read only if the
//! container's own root could.

use alloc::vec::Vec;

use crate::WireError;
use crate::limits::MAX_RANGES;

/// Users and groups that belong to a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ids {
    /// First id and how many, as the helper's own user namespace numbers them.
    pub users: Vec<(u32, u32)>,
    /// The same for groups.
    pub groups: Vec<(u32, u32)>,
}

impl Ids {
    /// From the texts of `/proc/PID/uid_map` and `/proc/PID/gid_map`.
    ///
    /// # Errors
    /// [`WireError::BadLength`] for a text that the kernel does not write.
    ///
    /// # Example
    /// ```
    /// use portolan_wire::ids::Ids;
    ///
    /// let ids = Ids::parse(b"         0     100000      65536\n", b"0 100000 65536\n")?;
    /// assert!(ids.holds(100_000, 165_535) && !ids.holds(0, 100_000));
    /// # Ok::<(), portolan_wire::WireError>(())
    /// ```
    pub fn parse(users: &[u8], groups: &[u8]) -> Result<Self, WireError> {
        Ok(Self { users: ranges(users)?, groups: ranges(groups)? })
    }

    /// Whether both a file's owner and its group are mapped.
    #[must_use]
    pub fn holds(&self, user: u32, group: u32) -> bool {
        holds(&self.users, user) && holds(&self.groups, group)
    }

    /// Whether every id is mapped, as in the host's own namespace.
    #[must_use]
    pub fn holds_all(&self) -> bool {
        let all =
            |ranges: &[(u32, u32)]| ranges.iter().any(|(first, count)| *first == 0 && *count == u32::MAX);
        all(&self.users) && all(&self.groups)
    }
}

/// Each line: the first id inside, the first id outside, how many.
fn ranges(text: &[u8]) -> Result<Vec<(u32, u32)>, WireError> {
    let bad = WireError::BadLength;
    let text = core::str::from_utf8(text).map_err(|_| bad)?;
    let range = |line: &str| {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u32>);
        match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(_)), Some(Ok(first)), Some(Ok(count)), None) => Ok((first, count)),
            _ => Err(bad),
        }
    };
    let ranges: Vec<_> =
        text.lines().take(MAX_RANGES.saturating_add(1)).map(range).collect::<Result<_, _>>()?;
    if ranges.len() > MAX_RANGES { Err(bad) } else { Ok(ranges) }
}

fn holds(ranges: &[(u32, u32)], id: u32) -> bool {
    ranges.iter().any(|(first, count)| id.checked_sub(*first).is_some_and(|past| past < *count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_ids_only() {
        let ids = Ids::parse(b"         0     100000      65536\n", b"0 100000 65536\n 70000 5 1\n");
        let Ok(ids) = ids else { panic!("{ids:?}") };
        assert!(ids.holds(100_000, 100_000) && ids.holds(165_535, 5));
        assert!(!ids.holds(165_536, 100_000) && !ids.holds(0, 0) && !ids.holds(100_000, 0));
        assert!(!ids.holds_all());
    }

    #[test]
    fn the_hosts_own_namespace_maps_all() {
        let all = b"         0          0 4294967295\n";
        let Ok(ids) = Ids::parse(all, all) else { panic!("not understood") };
        assert!(ids.holds_all() && ids.holds(4_294_967_294, 1));
    }

    #[test]
    fn texts_that_no_kernel_writes() {
        for text in [&b"0 0"[..], b"a b c", b"\xff", b"0 0 1\nx", b"-1 0 1", b"0 0 1 2", b"0 4294967296 1"] {
            assert!(Ids::parse(text, b"").is_err());
        }
        assert!(Ids::parse(&b"0 0 1\n".repeat(341), b"").is_err());
        // A namespace without maps yet: nothing is its own.
        assert!(!Ids::default().holds(0, 0));
    }
}
