//! Which system calls the helper can still make once it works inside (`seccomp(2)`).
//!
//! A helper that is taken over by what it reads cannot execute, connect, signal, trace, mount or make a process: the
//! kernel ends it. What `openat` and `openat2` are asked to do cannot be seen by such a filter; Landlock forbids
//! writing where the kernel has it.
//!
//! To install a filter costs more than to serve a request, so a server installs one for itself and all its children.
//! It has what entering takes, which is void once the capabilities for it are gone. And two calls, to make a process
//! and to signal one, pass only with a token in an argument that the kernel ignores: the server keeps it in a page
//! that its children do not get.

use libc::{sock_filter, sock_fprog};

/// All that reading and globbing need, and what the C library does to allocate, to print nothing, and to end.
const ALLOWED: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_openat2,
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_pread64,
    libc::SYS_statx,
    STATMOUNT,
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_mmap,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    // To say which capability was missing.
    libc::SYS_capget,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // A debug build asks whether a descriptor is open before it closes it.
    #[cfg(debug_assertions)]
    libc::SYS_fcntl,
];

/// What a server and its children do before a container is entered.
const SERVING: &[libc::c_long] = &[
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_ppoll,
    libc::SYS_wait4,
    libc::SYS_dup3,
    libc::SYS_chroot,
    libc::SYS_fchdir,
    libc::SYS_chdir,
    libc::SYS_capset,
    libc::SYS_getppid,
    libc::SYS_getpid,
    libc::SYS_setitimer,
];

/// The same number on every architecture; the C library may not know it yet.
const STATMOUNT: libc::c_long = 457;

/// `AUDIT_ARCH_*` of `linux/audit.h`: numbers of system calls mean something only together with it.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: Option<u32> = Some(0xc000_003e);
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: Option<u32> = Some(0xc000_00b7);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURE: Option<u32> = None;

/// Offsets in `struct seccomp_data`.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const ARGUMENTS_AT: u32 = 16;

/// Operations of classic BPF (`linux/bpf_common.h`): load a word, jump if equal, return.
const LOAD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

const KILL: sock_filter = step(RETURN, 0, 0, libc::SECCOMP_RET_KILL_PROCESS);
const ALLOW: sock_filter = step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW);

const fn step(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// The program; `None` on an architecture whose number we do not know.
pub(in crate::confine) fn program(token: Option<u64>) -> Option<Vec<sock_filter>> {
    let mut program = vec![step(LOAD, 0, 0, ARCHITECTURE_AT), step(JUMP_EQUAL, 1, 0, ARCHITECTURE?), KILL];
    program.push(step(LOAD, 0, 0, NUMBER_AT));
    let serving = if token.is_some() { SERVING } else { &[] };
    for number in ALLOWED.iter().chain(serving) {
        // Equal: the next step, which allows. Else: over it.
        program.push(step(JUMP_EQUAL, 0, 1, u32::try_from(*number).ok()?));
        program.push(ALLOW);
    }
    if let Some(token) = token {
        let word = |number: i32| u64::from(number.unsigned_abs());
        // The death signal and being undumpable, for this process only and with these values.
        for (option, value) in [
            (libc::PR_SET_PDEATHSIG, word(libc::SIGKILL)),
            (libc::PR_SET_DUMPABLE, 0),
            (libc::PR_GET_DUMPABLE, 0),
        ] {
            allow_if(&mut program, libc::SYS_prctl, &[(0, word(option)), (1, value)])?;
        }
        allow_if(&mut program, libc::SYS_setns, &[(1, word(libc::CLONE_NEWNS))])?;
        allow_if(&mut program, libc::SYS_prlimit64, &[(0, 0), (1, u64::from(libc::RLIMIT_CPU))])?;
        allow_if(&mut program, libc::SYS_clone, &[(0, word(libc::SIGCHLD)), (5, token)])?;
        allow_if(&mut program, libc::SYS_kill, &[(1, word(libc::SIGKILL)), (5, token)])?;
    }
    program.push(KILL);
    Some(program)
}

/// Allows a call if these of its arguments have these values.
fn allow_if(program: &mut Vec<sock_filter>, number: libc::c_long, wanted: &[(u32, u64)]) -> Option<()> {
    let [low_at, high_at] = if cfg!(target_endian = "little") { [0, 4] } else { [4, 0] };
    let mut words = Vec::new();
    for (argument, value) in wanted {
        let at = ARGUMENTS_AT.checked_add(argument.checked_mul(8)?)?;
        words.push((at.checked_add(low_at)?, u32::try_from(value & u64::from(u32::MAX)).ok()?));
        words.push((at.checked_add(high_at)?, u32::try_from(value.checked_shr(32)?).ok()?));
    }
    // Two steps for each word, then the one that allows, then the number again for the next rule.
    let mut left = u8::try_from(words.len().checked_mul(2)?.checked_add(2)?).ok()?;
    program.push(step(JUMP_EQUAL, 0, left, u32::try_from(number).ok()?));
    for (at, word) in words {
        left = left.checked_sub(2)?;
        program.push(step(LOAD, 0, 0, at));
        program.push(step(JUMP_EQUAL, 0, left.checked_sub(1)?, word));
    }
    program.push(ALLOW);
    program.push(step(LOAD, 0, 0, NUMBER_AT));
    Some(())
}

/// The form in which the kernel takes it. It points into the program, which must outlive it.
pub(super) fn header(program: &mut [sock_filter]) -> Option<sock_fprog> {
    Some(sock_fprog { len: u16::try_from(program.len()).ok()?, filter: program.as_mut_ptr() })
}
