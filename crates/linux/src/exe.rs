//! An executable sealed in memory, and how it is started.
//!
//! A process that works inside a container should not be started from a file: a container that gets hold of
//! `/proc/PID/exe` could write to it once it has ended (CVE-2019-5736). A sealed memfd has no path, and no one can
//! change it (`memfd_create(2)`).

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::error::{ErrorKind, Feature, Subject};
use crate::{Error, Result, sys};

/// An executable, checked and, where the kernel allows it, copied into a sealed memfd.
#[derive(Debug)]
pub struct SealedExe {
    path: PathBuf,
    memory: Option<OwnedFd>,
}

/// Where the standard output of what is started goes.
#[derive(Debug, Clone, Copy)]
enum Output {
    Piped,
    Closed,
}

/// Nothing that we start is larger, not even an agent that is its own helper.
const MAX_SIZE: u64 = 512 * 1024 * 1024;
const NAME: &CStr = c"portolan-helper";

impl SealedExe {
    /// Reads an executable and seals a copy of it.
    ///
    /// The file must belong to root or to this user, and nobody else may be able to write to it: whoever can,
    /// could run what they like with this process's rights.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::PermissionDenied`] when the file's owner or mode is not safe.
    pub fn read(path: &Path) -> Result<Self> {
        let subject = || Subject::Path(path.as_os_str().as_bytes().to_vec());
        let failed = |e| Error::of_call("read", subject(), e);
        let mut file = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)
            .map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        let own = nix::unistd::geteuid().as_raw();
        let safe = meta.is_file() && (meta.uid() == 0 || meta.uid() == own) && meta.mode() & 0o022 == 0;
        if !safe || meta.len() > MAX_SIZE {
            return Err(Error::new(ErrorKind::PermissionDenied, "trust", subject()));
        }
        let memory = match sealed_copy(&mut file) {
            Ok(memory) => Some(memory),
            // `vm.memfd_noexec` = 2, or no memory file system at all: the file itself must do.
            Err(e) if matches!(e.raw_os_error(), Some(libc::EACCES | libc::EPERM | libc::ENOSYS)) => None,
            Err(e) => return Err(failed(e)),
        };
        Ok(Self { path: path.to_owned(), memory })
    }

    /// Whether it is started from sealed memory. If not, memory may not be executed on this host.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.memory.is_some()
    }

    /// The file that it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts it with an empty environment, in a session of its own, in `/`, its output on a pipe, its input and
    /// error output closed, and no other descriptors than those that are named (they keep their numbers).
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] when executing memory is refused and so is the file; [`ErrorKind::Limit`] when
    /// no descriptor is left; [`ErrorKind::Io`] when the kernel has no room for another process.
    pub fn spawn(&self, arguments: &[&OsStr], inherit: &[BorrowedFd<'_>]) -> Result<Child> {
        self.spawn_with(arguments, inherit, Output::Piped)
    }

    /// The same, with its output closed as well: for a program that speaks over a descriptor that it inherits.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    pub fn spawn_silent(&self, arguments: &[&OsStr], inherit: &[BorrowedFd<'_>]) -> Result<Child> {
        self.spawn_with(arguments, inherit, Output::Closed)
    }

    fn spawn_with(&self, arguments: &[&OsStr], inherit: &[BorrowedFd<'_>], output: Output) -> Result<Child> {
        if let Some(memory) = &self.memory {
            // In the child the number is the same, and the link is followed before close-on-exec acts.
            let program = format!("/proc/self/fd/{}", memory.as_raw_fd());
            match self.start(OsStr::new(&program), arguments, inherit, output) {
                Err(e) if e.raw_os_error() == Some(libc::EACCES) => {}
                other => return other.map_err(|e| self.failed(e)),
            }
        }
        self.start(self.path.as_os_str(), arguments, inherit, output).map_err(|e| {
            let refused = e.raw_os_error() == Some(libc::EACCES);
            let error = self.failed(e);
            if refused { error.with_kind(ErrorKind::Unsupported(Feature::MemfdExec)) } else { error }
        })
    }

    fn start(
        &self,
        program: &OsStr,
        arguments: &[&OsStr],
        inherit: &[BorrowedFd<'_>],
        output: Output,
    ) -> io::Result<Child> {
        let output = match output {
            Output::Piped => Stdio::piped(),
            Output::Closed => Stdio::null(),
        };
        let mut command = Command::new(program);
        command.arg0("portolan-helper").args(arguments).env_clear().current_dir("/");
        command.stdin(Stdio::null()).stdout(output).stderr(Stdio::null());
        sys::spawn_with(command, inherit)
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::of_call("start", Subject::Path(self.path.as_os_str().as_bytes().to_vec()), source)
    }
}

fn sealed_copy(file: &mut File) -> io::Result<OwnedFd> {
    let mut memory = File::from(sys::memfd(NAME)?);
    io::copy(&mut file.take(MAX_SIZE), &mut memory)?;
    memory.flush()?;
    nix::sys::stat::fchmod(&memory, nix::sys::stat::Mode::from_bits_truncate(0o511))
        .map_err(crate::error::os)?;
    // A descriptor that can write would make exec fail with ETXTBSY: go on with one that can only read.
    let number = memory.as_raw_fd();
    let read_only = File::open(format!("/proc/self/fd/{number}"))?;
    sys::seal(memory.as_fd())?;
    Ok(read_only.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_program_runs_and_cannot_be_changed() {
        let exe = SealedExe::read(Path::new("/bin/echo")).unwrap();
        let child = exe.spawn(&[OsStr::new("hello")], &[]).unwrap();
        assert_eq!(child.wait_with_output().unwrap().stdout, b"hello\n");
        if let Some(memory) = &exe.memory {
            let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
            let written = File::options().write(true).open(path).and_then(|mut f| f.write(b"x"));
            assert!(written.is_err(), "the seals do not hold");
        }
    }

    #[test]
    fn nothing_is_inherited_but_what_is_named() {
        let exe = SealedExe::read(Path::new("/bin/ls")).unwrap();
        let (leak, named) = (File::open("/").unwrap(), File::open("/").unwrap());
        // Even one that was opened without close-on-exec.
        nix::fcntl::fcntl(&leak, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
        let child = exe.spawn(&[OsStr::new("/proc/self/fd")], &[named.as_fd()]).unwrap();
        let listed = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        let mut numbers: Vec<i32> = listed.lines().map(|l| l.parse().unwrap()).collect();
        numbers.retain(|n| ![0, 1, 2].contains(n));
        // ls itself has the directory open.
        assert!(numbers.contains(&named.as_raw_fd()) && numbers.len() == 2, "{numbers:?}");
    }

    #[test]
    fn a_file_that_others_can_write_is_not_trusted() {
        let path = std::env::temp_dir().join(format!("portolan-exe-{}", std::process::id()));
        std::fs::copy("/bin/true", &path).unwrap();
        let mode =
            |m| std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(m)).unwrap();
        mode(0o757);
        let writable = SealedExe::read(&path).unwrap_err().kind();
        mode(0o755);
        let safe = SealedExe::read(&path).is_ok();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(writable, ErrorKind::PermissionDenied);
        assert!(safe);
        assert_eq!(SealedExe::read(&path).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
