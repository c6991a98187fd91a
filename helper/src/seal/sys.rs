//! The system calls of memory that is sealed and executed. The rule is that of `crate::sys`.

use std::ffi::CString;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use crate::sys::{Errno, Result, c_string, done, last, openat_root, owned, read, write_all};

/// Whether a file can no longer be written: only a memfd has seals at all.
pub(crate) fn is_sealed(file: BorrowedFd<'_>) -> bool {
    // SAFETY: a live descriptor; the command takes no argument.
    let seals = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) };
    seals > 0 && seals & libc::F_SEAL_WRITE != 0
}

/// Copies a program to sealed memory and executes it with these arguments and an empty environment. Comes back
/// only when that failed.
pub(crate) fn exec_sealed_copy(
    program: BorrowedFd<'_>,
    arguments: &[Vec<u8>],
    keep: &[BorrowedFd<'_>],
) -> Errno {
    match sealed_copy(program) {
        Ok(copy) => exec(&copy, arguments, keep),
        Err(errno) => errno,
    }
}

fn memfd(flags: libc::c_uint) -> Result<OwnedFd> {
    // SAFETY: a constant C string and flags.
    owned(unsafe { libc::memfd_create(c"portolan-helper".as_ptr(), flags) }.into())
}

fn sealed_copy(program: BorrowedFd<'_>) -> Result<OwnedFd> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // MFD_EXEC is Linux 6.3; before, every memfd is executable.
    let copy = memfd(flags | libc::MFD_EXEC).or_else(|errno| match errno {
        Errno(libc::EINVAL) => memfd(flags),
        other => Err(other),
    })?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let got = read(program, &mut buffer)?;
        if got == 0 {
            break;
        }
        if !write_all(copy.as_raw_fd(), buffer.get(..got).unwrap_or(&[])) {
            return Err(Errno(libc::EIO));
        }
    }
    let seals = libc::F_SEAL_WRITE | libc::F_SEAL_GROW | libc::F_SEAL_SHRINK | libc::F_SEAL_SEAL;
    let path = format!("/proc/self/fd/{}", copy.as_raw_fd());
    // One that can write would make exec fail with ETXTBSY.
    let read_only = openat_root(path.as_bytes(), libc::O_RDONLY)?;
    // SAFETY: a live descriptor and flags.
    done(unsafe { libc::fcntl(copy.as_raw_fd(), libc::F_ADD_SEALS, seals) }.into())?;
    Ok(read_only)
}

fn exec(program: &OwnedFd, arguments: &[Vec<u8>], keep: &[BorrowedFd<'_>]) -> Errno {
    let words: Result<Vec<CString>> = std::iter::once(&b"portolan-helper"[..])
        .chain(arguments.iter().map(Vec::as_slice))
        .map(c_string)
        .collect();
    let words = match words {
        Ok(words) => words,
        Err(errno) => return errno,
    };
    let mut pointers: Vec<*const libc::c_char> = words.iter().map(|word| word.as_ptr()).collect();
    pointers.push(std::ptr::null());
    let environment = [std::ptr::null::<libc::c_char>()];
    for fd in keep {
        // SAFETY: a live descriptor and a flag.
        unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0) };
    }
    let fd = program.as_raw_fd();
    let (argv, envp) = (pointers.as_ptr(), environment.as_ptr());
    // SAFETY: both arrays end with a null pointer; they and their strings live through the call.
    unsafe { libc::syscall(libc::SYS_execveat, fd, c"".as_ptr(), argv, envp, libc::AT_EMPTY_PATH) };
    last()
}
