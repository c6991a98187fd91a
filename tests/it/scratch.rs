//! Directories of the host that vanish with their test.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A new directory, which everybody may enter and read.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Below `/tmp`, which no container of `world` sees.
    pub(crate) fn new() -> Self {
        Self::below("/tmp")
    }

    pub(crate) fn below(place: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(place).join(format!("portolan-it-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file in it; gives its path.
    pub(crate) fn file(&self, name: &str, bytes: &str) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Copies a program into it, executable by all; gives its path.
    pub(crate) fn program(&self, from: &Path, name: &str) -> PathBuf {
        let path = self.join(name);
        fs::copy(from, &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A test that failed half way may have left it in any state.
        let _ = fs::remove_dir_all(&self.0);
    }
}
