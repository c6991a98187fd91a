//! The system calls by which the helper gives things up. The rule is that of `crate::sys`.

use std::os::fd::AsRawFd as _;
use std::time::Duration;

use crate::sys::{Errno, Result, done, owned, prctl};

// `linux/capability.h`; all of them in the lower half of the sets.
pub(crate) const CAP_DAC_READ_SEARCH: u8 = 2;
pub(crate) const CAP_SYS_CHROOT: u8 = 18;
pub(crate) const CAP_SYS_PTRACE: u8 = 19;
pub(crate) const CAP_SYS_ADMIN: u8 = 21;

pub(crate) fn set_no_new_privileges() -> Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1).map(drop)
}

/// No signal is blocked, and these end this process: whoever started it may have had it otherwise, and the standard
/// library has handlers that would ask for more than the filter allows.
pub(crate) fn default_signals() {
    for signal in [libc::SIGALRM, libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: sets the default action, no handler of ours.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: a signal set of zeroes is valid, and the call below initialises it.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` lives through the call.
    unsafe { libc::sigemptyset(&raw mut set) };
    // SAFETY: as above; the old mask is not asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) };
}

/// SIGALRM after this time: it ends a system call that hangs.
pub(crate) fn alarm(after: Duration) {
    let value = libc::timeval {
        tv_sec: libc::time_t::try_from(after.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_usec: libc::suseconds_t::from(after.subsec_micros()),
    };
    let timer = libc::itimerval { it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 }, it_value: value };
    // SAFETY: `timer` lives through the call; the old timer is not asked for.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
}

/// Lowers a resource limit, for good.
pub(crate) fn limit(resource: libc::__rlimit_resource_t, value: u64) {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: the structure lives through the call. A refusal leaves the limit as it was.
    unsafe { libc::setrlimit(resource, &raw const limit) };
}

/// Landlock (`landlock(7)`, Linux 5.13): everything but reading files and directories is handled, and nothing of it
/// is allowed anywhere. Gives the ABI in use, 0 for none.
pub(crate) fn forbid_writing() -> u8 {
    #[repr(C)]
    #[derive(Default)]
    struct Ruleset {
        files: u64,
        network: u64,
        scoped: u64,
    }
    const VERSION: u32 = 1;
    const READ: u64 = (1 << 2) | (1 << 3);
    let null = std::ptr::null::<Ruleset>();
    // SAFETY: the kernel's way to ask for the version: no structure, size 0.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, null, 0, VERSION) };
    let Some(abi) = u8::try_from(version).ok().filter(|abi| *abi > 0) else {
        return 0;
    };
    // What each ABI added: 13 rights, linking and renaming, truncating, (network), ioctl on devices.
    let rights = match abi {
        1 => 13_u32,
        2 => 14,
        3 | 4 => 15,
        _ => 16,
    };
    let all = 1_u64.checked_shl(rights).unwrap_or(0).saturating_sub(1);
    let mut rules = Ruleset { files: all & !READ, ..Ruleset::default() };
    // A structure as long as the kernel knows it: an older one refuses more.
    let mut size = size_of::<u64>();
    if abi >= 4 {
        (rules.network, size) = (0b11, size_of::<[u64; 2]>());
    }
    if abi >= 6 {
        (rules.scoped, size) = (0b11, size_of::<[u64; 3]>());
    }
    // SAFETY: the structure lives through the call and is at least as long as is said.
    let made = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const rules, size, 0) };
    let Ok(ruleset) = owned(made) else {
        return 0;
    };
    // SAFETY: a live descriptor and no flags.
    let done = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) };
    if done == 0 { abi } else { 0 }
}

/// `SECCOMP_SET_MODE_FILTER`; whether the kernel took it. There is no way back.
pub(crate) fn filter_calls(mut program: Vec<libc::sock_filter>) -> bool {
    let Some(header) = super::filter::header(&mut program) else {
        return false;
    };
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: header and program live through the call, and the length is the program's.
    unsafe { libc::syscall(libc::SYS_seccomp, mode, 0, &raw const header) == 0 }
}

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const CAP_VERSION_3: u32 = 0x2008_0522;

fn join(low: u32, high: u32) -> u64 {
    u64::from(high).wrapping_shl(32) | u64::from(low)
}

fn capget() -> [CapData; 2] {
    let mut header = CapHeader { version: CAP_VERSION_3, pid: 0 };
    let mut data = [CapData::default(); 2];
    // SAFETY: version 3 writes two elements, and both structures live through the call.
    unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    data
}

/// The effective set.
pub(crate) fn capabilities() -> u64 {
    let [low, high] = capget();
    join(low.effective, high.effective)
}

/// Keeps these capabilities, as far as they are permitted, and gives up all others.
pub(crate) fn keep_only(capabilities: &[u8]) -> Result<()> {
    let [low, _] = capget();
    let wanted = capabilities.iter().fold(0, |all, one| all | 1_u32.checked_shl((*one).into()).unwrap_or(0));
    let kept = low.permitted & wanted;
    let data = [CapData { effective: kept, permitted: kept, inheritable: 0 }, CapData::default()];
    let mut header = CapHeader { version: CAP_VERSION_3, pid: 0 };
    // Ambient capabilities are gone with the permitted and inheritable ones (`capabilities(7)`).
    // SAFETY: version 3 reads two elements, and both structures live through the call.
    done(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) }).map(drop)
}

/// Empties the bounding set as far as it may; gives what is left.
pub(crate) fn drop_bounding_set() -> u64 {
    let mut left = 0_u64;
    for capability in 0_u32..64 {
        let number = libc::c_ulong::from(capability);
        match prctl(libc::PR_CAPBSET_DROP, number) {
            Ok(_) => {}
            Err(Errno(libc::EINVAL)) => break, // past the last capability of this kernel
            Err(_) if prctl(libc::PR_CAPBSET_READ, number) == Ok(1) => {
                left |= 1_u64.checked_shl(capability).unwrap_or(0);
            }
            Err(_) => {}
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confine::filter::program;

    const TOKEN: u64 = 0x1234_5678_9abc_def0;

    /// The signal that ends a child which makes this system call behind the filter.
    fn signal_after(token: Option<u64>, number: libc::c_long, arguments: [u64; 6]) -> i32 {
        // SAFETY: the child makes system calls and ends; it takes no lock that another thread may hold.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let filtered =
                set_no_new_privileges().is_ok() && filter_calls(program(token).unwrap_or_default());
            let [a, b, c, d, e, f] = arguments;
            // SAFETY: the tests' arguments name nothing: no descriptor but 0, no memory, no process but a child.
            let made = unsafe { libc::syscall(number, a, b, c, d, e, f) };
            let code = if filtered || (number == libc::SYS_clone && made == 0) { 0 } else { 1 };
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(code) };
        }
        let mut status = 0;
        // SAFETY: `status` lives through the call.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert!(libc::WIFSIGNALED(status) || libc::WEXITSTATUS(status) == 0, "the filter was not taken");
        if libc::WIFSIGNALED(status) { libc::WTERMSIG(status) } else { 0 }
    }

    #[test]
    fn the_filter_ends_what_does_more_than_read() {
        for token in [None, Some(TOKEN)] {
            for number in [
                libc::SYS_socket,
                libc::SYS_execve,
                libc::SYS_execveat,
                libc::SYS_setns,
                libc::SYS_unshare,
                libc::SYS_unlinkat,
                libc::SYS_ptrace,
                libc::SYS_clone,
                libc::SYS_clone3,
                libc::SYS_kill,
                libc::SYS_pidfd_send_signal,
                libc::SYS_mount,
                libc::SYS_tgkill,
                libc::SYS_mprotect,
                libc::SYS_prctl,
                libc::SYS_process_vm_readv,
                libc::SYS_io_uring_setup,
                libc::SYS_bpf,
            ] {
                assert_eq!(
                    signal_after(token, number, [0; 6]),
                    libc::SIGSYS,
                    "system call {number}, {token:?}"
                );
            }
            for number in [libc::SYS_pread64, libc::SYS_close, libc::SYS_openat2, libc::SYS_getdents64] {
                assert_eq!(signal_after(token, number, [0; 6]), 0, "system call {number}");
            }
        }
        // What a server does to enter is not there in a helper for one request.
        assert_eq!(signal_after(None, libc::SYS_chroot, [0; 6]), libc::SIGSYS);
        assert_eq!(signal_after(Some(TOKEN), libc::SYS_chroot, [0; 6]), 0);
    }

    #[test]
    fn processes_are_made_and_signalled_with_the_token_only() {
        let word = |number: i32| u64::from(number.unsigned_abs());
        let (chld, kill) = (word(libc::SIGCHLD), word(libc::SIGKILL));
        // No process has this number.
        let nobody = u64::from(u32::MAX >> 2);
        let with = |number, arguments| signal_after(Some(TOKEN), number, arguments);
        assert_eq!(with(libc::SYS_clone, [chld, 0, 0, 0, 0, TOKEN]), 0);
        assert_eq!(with(libc::SYS_kill, [nobody, kill, 0, 0, 0, TOKEN]), 0);
        for wrong in [0, TOKEN + 1, TOKEN ^ (1 << 40), TOKEN & 0xffff_ffff] {
            assert_eq!(with(libc::SYS_clone, [chld, 0, 0, 0, 0, wrong]), libc::SIGSYS);
            assert_eq!(with(libc::SYS_kill, [nobody, kill, 0, 0, 0, wrong]), libc::SIGSYS);
        }
        // With namespaces, or with another signal: not even then.
        let user = chld | word(libc::CLONE_NEWUSER);
        assert_eq!(with(libc::SYS_clone, [user, 0, 0, 0, 0, TOKEN]), libc::SIGSYS);
        assert_eq!(with(libc::SYS_kill, [nobody, word(libc::SIGSTOP), 0, 0, 0, TOKEN]), libc::SIGSYS);
        // Into a mount namespace, and into no other.
        assert_eq!(with(libc::SYS_setns, [99, word(libc::CLONE_NEWNS), 0, 0, 0, 0]), 0);
        for kind in [libc::CLONE_NEWNET, libc::CLONE_NEWUSER, libc::CLONE_NEWPID] {
            assert_eq!(with(libc::SYS_setns, [99, word(kind), 0, 0, 0, 0]), libc::SIGSYS);
        }
        // Limits: on its own processor time.
        assert_eq!(with(libc::SYS_prlimit64, [0, u64::from(libc::RLIMIT_CPU), 0, 0, 0, 0]), 0);
        for wrong in [[1, u64::from(libc::RLIMIT_CPU)], [0, u64::from(libc::RLIMIT_NOFILE)]] {
            assert_eq!(with(libc::SYS_prlimit64, [wrong[0], wrong[1], 0, 0, 0, 0]), libc::SIGSYS);
        }
        assert_eq!(with(libc::SYS_prctl, [word(libc::PR_SET_PDEATHSIG), kill, 0, 0, 0, 0]), 0);
        assert_eq!(with(libc::SYS_prctl, [word(libc::PR_SET_DUMPABLE), 1, 0, 0, 0, 0]), libc::SIGSYS);
    }
}
