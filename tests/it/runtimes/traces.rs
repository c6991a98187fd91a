//! What runtimes leave on a host: control groups that are shared by all their containers, state below `/run`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The kernel takes a while to let go of a control group whose last process has ended.
const PATIENCE: Duration = Duration::from_secs(2);

/// Files and directories that were not there before; removed when this is dropped, directories only when empty.
#[derive(Debug)]
pub(crate) struct Traces(Vec<PathBuf>);

impl Traces {
    /// Of these control groups, and of these other paths, those that are not there yet. Innermost first.
    pub(crate) fn of(groups: &[&str], others: &[&str]) -> Self {
        let places = group_places();
        let groups = groups.iter().flat_map(|name| places.iter().map(move |place| place.join(name)));
        let others = others.iter().map(PathBuf::from);
        Self(groups.chain(others).filter(|path| !path.exists()).collect())
    }

    /// Control groups that a runtime made for one container or pod, and whatever it made below them.
    pub(crate) fn left(groups: &[String]) -> Self {
        let places = group_places();
        Self(groups.iter().flat_map(|name| places.iter().map(move |place| place.join(name))).collect())
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        let start = Instant::now();
        loop {
            let left: Vec<&PathBuf> = self.0.iter().filter(|path| !removed(path)).collect();
            if left.is_empty() {
                return;
            }
            if start.elapsed() > PATIENCE {
                assert!(std::thread::panicking(), "left on the host: {left:?}");
                return;
            }
            sleep(Duration::from_millis(20));
        }
    }
}

fn removed(path: &Path) -> bool {
    let Ok(kind) = fs::symlink_metadata(path) else { return true };
    match kind.is_dir() {
        true if path.join("cgroup.procs").exists() => removed_group(path),
        true => fs::remove_dir(path).is_ok(),
        false => fs::remove_file(path).is_ok(),
    }
}

/// Removes a control group, and before it those below. Files in it are the kernel's, and go with it; a process in
/// it keeps it.
pub(crate) fn removed_group(path: &Path) -> bool {
    let below = fs::read_dir(path).into_iter().flatten().flatten();
    for entry in below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        removed_group(&entry.path());
    }
    fs::remove_dir(path).is_ok() || !path.exists()
}

/// Where a runtime may make a control group, in every hierarchy: at its root, or below our own.
fn group_places() -> BTreeSet<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let own: Vec<&str> = own.lines().filter_map(|line| line.splitn(3, ':').nth(2)).collect();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let tops = mounts.lines().filter_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        kind.starts_with("cgroup").then(|| place.split(' ').nth(4).map(Path::new))?
    });
    let below = |top: &Path| -> Vec<PathBuf> {
        let own = own.iter().map(|group| top.join(group.trim_start_matches('/')));
        own.chain([top.to_owned()]).filter(|place| place.is_dir()).collect()
    };
    tops.flat_map(below).collect()
}
