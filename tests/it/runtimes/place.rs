//! A directory with mounts in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::tool::{attempt, tool};

/// How long monitors may take to end after their containers.
const PATIENCE: Duration = Duration::from_secs(5);

/// A new directory on a real disk (`/tmp` can be memory, and short), gone with its mounts when it is dropped.
#[derive(Debug)]
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new(what: &str) -> Self {
        let path = Path::new("/var/tmp").join(super::name(what));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The path of something in it, as text for arguments.
    pub(crate) fn at(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// A new directory in it.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }
}

/// Whether a program runs that has a path among its arguments.
fn is_in_use(path: &Path) -> bool {
    let path = path.to_str().unwrap_or_default();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok()).any(|line| {
        // The arguments end in NUL; a path can stand inside one, as in `--root=PATH`.
        String::from_utf8_lossy(&line).contains(path)
    })
}

impl Drop for Place {
    fn drop(&mut self) {
        // Monitors clean up after their containers, and would make the directories anew that we remove.
        let start = Instant::now();
        while is_in_use(&self.0) && start.elapsed() < PATIENCE {
            sleep(Duration::from_millis(10));
        }
        // The mount made last lies on top. Our names hold nothing that mountinfo would escape.
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        for point in mounts.lines().rev().filter_map(|line| line.split(' ').nth(4)) {
            if Path::new(point).starts_with(&self.0) {
                attempt(tool("umount").arg(point));
            }
        }
        if let Err(error) = fs::remove_dir_all(&self.0) {
            let left = format!("{} is left: {error}", self.0.display());
            assert!(std::thread::panicking(), "{left}");
            eprintln!("{left}");
        }
    }
}
