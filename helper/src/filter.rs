//! Which system calls the helper can still make once it works inside (`seccomp(2)`).
//!
//! A helper that is taken over by what it reads cannot execute, connect, signal, trace, mount or make a process: the
//! kernel ends it. What `openat` and `openat2` are asked to do cannot be seen by such a filter; Landlock forbids
//! writing where the kernel has it.

use libc::{sock_filter, sock_fprog};

/// All that reading and globbing need, and what the C library does to allocate, to print nothing, and to end.
const ALLOWED: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_openat2,
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_lseek,
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

/// Operations of classic BPF (`linux/bpf_common.h`): load a word, jump if equal, return.
const LOAD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

const fn step(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// The program; `None` on an architecture whose number we do not know.
pub(crate) fn program() -> Option<Vec<sock_filter>> {
    let kill = step(RETURN, 0, 0, libc::SECCOMP_RET_KILL_PROCESS);
    let mut program = vec![step(LOAD, 0, 0, ARCHITECTURE_AT), step(JUMP_EQUAL, 1, 0, ARCHITECTURE?), kill];
    program.push(step(LOAD, 0, 0, NUMBER_AT));
    for number in ALLOWED {
        // Equal: the next step, which allows. Else: over it.
        program.push(step(JUMP_EQUAL, 0, 1, u32::try_from(*number).ok()?));
        program.push(step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    }
    program.push(kill);
    Some(program)
}

/// The form in which the kernel takes it. It points into the program, which must outlive it.
pub(crate) fn header(program: &mut [sock_filter]) -> Option<sock_fprog> {
    Some(sock_fprog { len: u16::try_from(program.len()).ok()?, filter: program.as_mut_ptr() })
}
