//! Counting what a test may have left on the host.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::living::living;

/// How long something may take to go: the kernel tears much down behind our back.
const SETTLE: Duration = Duration::from_secs(2);

/// What there was on the host at some moment: mounts, named network namespaces, control groups, children of
/// this process.
///
/// Containers that are alive in other threads do not count. Other children do if they stay for 2 seconds, so
/// a test with a census should not share its process with tests that run slow programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    found: BTreeSet<String>,
}

impl Census {
    /// Looks around.
    #[must_use]
    pub fn take() -> Self {
        let mut found = BTreeSet::new();
        found.extend(mounts().map(|mount| format!("mount {mount}")));
        for directory in ["/run/netns", "/var/run/netns"] {
            found.extend(entries(directory).map(|path| format!("netns {}", path.display())));
        }
        found.extend(cgroups().map(|path| format!("cgroup {}", path.display())));
        found.extend(children().map(|child| format!("child {child}")));
        Self { found }
    }

    /// What is different by now, one a line; empty if nothing is. Waits up to 2 seconds for that.
    #[must_use]
    pub fn changes(&self) -> String {
        let start = Instant::now();
        loop {
            let changes = self.compare(&Self::take());
            if changes.is_empty() || start.elapsed() > SETTLE {
                return changes;
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// Fails the test if anything was left or taken away.
    ///
    /// # Panics
    ///
    /// When there are [`changes`](Self::changes).
    #[track_caller]
    pub fn assert_unchanged(&self) {
        let changes = self.changes();
        assert!(changes.is_empty(), "the host is not as it was:\n{changes}");
    }

    fn compare(&self, now: &Self) -> String {
        let mut changes = String::new();
        for left in now.found.difference(&self.found) {
            let _ = writeln!(changes, "left: {left}");
        }
        for gone in self.found.difference(&now.found).filter(|gone| !gone.starts_with("child ")) {
            let _ = writeln!(changes, "gone: {gone}");
        }
        changes
    }
}

fn mounts() -> impl Iterator<Item = String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts.lines().map(str::to_owned).collect::<Vec<_>>().into_iter()
}

fn entries(directory: impl AsRef<Path>) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// All control groups but the siblings of our own: whoever has put us into a group manages those, and makes
/// and removes them at any time.
fn cgroups() -> impl Iterator<Item = PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own: Vec<&Path> = own.lines().filter_map(|line| line.splitn(3, ':').nth(2)).map(Path::new).collect();
    let mut found = Vec::new();
    for line in mounts() {
        let Some((place, kind)) = line.split_once(" - ") else { continue };
        let Some(top) = place.split(' ').nth(4).map(Path::new) else { continue };
        if kind.starts_with("cgroup") {
            walk(top, top, &own, &mut found);
        }
    }
    found.into_iter()
}

fn walk(top: &Path, directory: &Path, own: &[&Path], found: &mut Vec<PathBuf>) {
    for path in entries(directory).filter(|path| path.is_dir() && !path.is_symlink()) {
        let group = Path::new("/").join(path.strip_prefix(top).unwrap_or(&path));
        let sibling = own.iter().any(|own| {
            own.parent().is_some_and(|parent| parent != Path::new("/") && Some(parent) == group.parent())
        });
        if sibling && !own.contains(&group.as_path()) {
            continue;
        }
        walk(top, &path, own, found);
        found.push(path);
    }
}

/// The children of this process, zombies too, that belong to no living container.
fn children() -> impl Iterator<Item = String> {
    let living = living();
    let us = std::process::id();
    entries("/proc").filter_map(move |path| {
        let pid: u32 = path.file_name()?.to_str()?.parse().ok()?;
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        // The name in parentheses may hold anything.
        let (name, rest) = stat.rsplit_once(") ")?;
        let parent: u32 = rest.split(' ').nth(1)?.parse().ok()?;
        (parent == us && !living.contains(&pid)).then(|| format!("{name}) {}", rest.get(..1).unwrap_or("")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_noticed() {
        let before = Census::take();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let id = child.id();
        let now = before.compare(&Census::take());
        child.kill().unwrap();
        assert!(now.contains(&id.to_string()), "{now}");
        // A zombie is left as well.
        assert!(before.compare(&Census::take()).contains(&id.to_string()));
        child.wait().unwrap();
        before.assert_unchanged();
    }
}
