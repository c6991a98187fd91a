//! Which capabilities each feature needs, and what works without.

use super::{Check, State};
use crate::Capability;

/// What a feature asks of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Privilege {
    /// The feature.
    pub feature: &'static str,
    /// The capabilities that it needs over processes of other users and containers.
    pub needs: &'static [Capability],
    /// One that does as well as all of these.
    pub or: Option<Capability>,
    /// What works without them.
    pub without: &'static str,
    /// How it stands without them.
    state: State,
}

impl Privilege {
    const fn new(
        feature: &'static str,
        needs: &'static [Capability],
        without: &'static str,
        state: State,
    ) -> Self {
        Self { feature, needs, or: None, without, state }
    }

    const fn or(self, other: Capability) -> Self {
        Self { or: Some(other), ..self }
    }
}

/// Which capabilities each feature needs (`capabilities(7)`), and what works without. `docs/threat-model.md` has the
/// same table.
pub const PRIVILEGES: [Privilege; 10] = [
    Privilege::new(
        "scan: processes of all users",
        &[Capability::SysPtrace],
        "one's own processes; of others number, name and cgroup",
        State::Partly,
    ),
    Privilege::new(
        "scan: listeners in other namespaces",
        &[Capability::SysPtrace, Capability::SysAdmin],
        "the listeners of one's own network namespace; with CAP_SYS_PTRACE alone, what the text files of /proc tell of \
         the others",
        State::Partly,
    ),
    Privilege::new(
        "scan: processes, listeners and owners by BPF",
        &[Capability::Bpf, Capability::Perfmon],
        "the system calls of the rows above, with the rights that these need; they find the same and cost more",
        State::Partly,
    )
    .or(Capability::SysAdmin),
    Privilege::new(
        "scan: namespaces held by sockets alone",
        &[Capability::SysPtrace, Capability::NetAdmin],
        "those that a process, a thread, a mount or an open descriptor holds",
        State::Partly,
    ),
    Privilege::new(
        "scan: names in the records of runtimes",
        &[Capability::DacReadSearch],
        "what cgroups, command lines and variables tell, where this user may not read the records",
        State::Partly,
    ),
    Privilege::new(
        "files: enter containers",
        &[Capability::SysPtrace, Capability::SysAdmin, Capability::SysChroot],
        "nothing inside is read",
        State::Missing,
    ),
    Privilege::new(
        "files: protected files",
        &[Capability::DacReadSearch],
        "files that this user, or everybody, may read",
        State::Partly,
    ),
    Privilege::new(
        "files: a procfs of the helper's own",
        &[Capability::SysAdmin],
        "the host's /proc, for the helper's own descriptors only",
        State::Partly,
    ),
    Privilege::new(
        "files: empty the bounding set",
        &[Capability::SetPcap],
        "NO_NEW_PRIVS, which makes it void",
        State::Partly,
    ),
    Privilege::new(
        "dial: connect inside containers",
        &[Capability::SysPtrace, Capability::SysAdmin],
        "no connection is made, and none to the host instead",
        State::Missing,
    ),
];

impl Privilege {
    pub(super) fn check(&self) -> Check {
        let missing: Vec<Capability> = self.needs.iter().copied().filter(|c| !c.is_effective()).collect();
        let other = self.or.filter(|other| !missing.is_empty() && other.is_effective());
        let (state, detail) = if let Some(other) = other {
            (State::Works, format!("has {other}"))
        } else if missing.is_empty() {
            (State::Works, format!("has {}", names(self.needs)))
        } else {
            let or = self.or.map(|other| format!(" (or {other})")).unwrap_or_default();
            (self.state, format!("needs {}{or}; without: {}", names(&missing), self.without))
        };
        Check { feature: self.feature, state, detail }
    }
}

fn names(wanted: &[Capability]) -> String {
    wanted.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_the_same_table() {
        let document = include_str!("../../../../docs/threat-model.md");
        for Privilege { feature, needs, or, without, .. } in PRIVILEGES {
            let needs: Vec<String> = needs.iter().map(|c| format!("`{c}`")).collect();
            let or = or.map(|other| format!(" (or `{other}`)")).unwrap_or_default();
            let row = format!("| {feature} | {}{or} | {without} |", needs.join(", "));
            assert!(document.contains(&row), "docs/threat-model.md lacks: {row}");
        }
    }
}
