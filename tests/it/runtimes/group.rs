//! A control group of one's own, for a program that makes others below it.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::traces::removed_group;

/// The kernel takes a while to let go of a control group whose last process has ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same name in each hierarchy that systemd keeps processes in; gone with all below when it is dropped.
#[derive(Debug)]
pub(crate) struct Group(Vec<PathBuf>);

impl Group {
    pub(crate) fn new(name: &str) -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let tops = mounts.lines().filter_map(|line| {
            let (place, kind) = line.split_once(" - ")?;
            let kept = kind.starts_with("cgroup2 ") || kind.ends_with("name=systemd");
            kept.then(|| place.split(' ').nth(4).map(Path::new))?
        });
        let group = Self(tops.map(|top| top.join(name)).collect());
        assert!(!group.0.is_empty(), "no control groups are mounted");
        group.0.iter().for_each(|path| fs::create_dir(path).unwrap());
        group
    }

    /// A shell script that goes there, and becomes the program of its arguments.
    pub(crate) fn script(&self) -> String {
        let goes = self.0.iter().map(|path| format!("echo $$ > {}/cgroup.procs && ", path.display()));
        goes.collect::<String>() + "exec \"$0\" \"$@\""
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let start = Instant::now();
        while !self.0.iter().all(|path| removed_group(path)) {
            if start.elapsed() > PATIENCE {
                assert!(std::thread::panicking(), "left on the host: {:?}", self.0);
                eprintln!("left on the host: {:?}", self.0);
                return;
            }
            sleep(Duration::from_millis(20));
        }
    }
}
