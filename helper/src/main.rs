//! `portolan-helper`: enters a container's mount namespace, reads one file or expands one pattern there, and
//! answers with frames on its standard output (`docs/protocol.md`).
//!
//! Only a single-threaded process may join a mount namespace (`setns(2)`), so an agent cannot do it itself. And
//! inside, everything is the attacker's: this program therefore starts no thread, reads no environment, loads
//! nothing, and calls no service of the C library that would look for files (names, locales, time zones).
//!
//! # The order, and why
//! 1. `PR_SET_DUMPABLE` 0 and every inherited descriptor closed, before anything else can fail.
//! 2. pidfd, root directory and start time of the process are taken and verified while its number still means
//!    something; a procfs of our own is made for step 7, because the container's cannot be trusted.
//! 3. `setns` by the pidfd, then `chroot` to the process's root: `setns` lands in the root of the namespace,
//!    which for a process in a chroot is the whole host.
//! 4. Capabilities dropped but for `CAP_DAC_READ_SEARCH`, `NO_NEW_PRIVS`, dumpable 0 once more.
//! 5. With `--pid-namespace`, a fork: `setns` moves only children there.
//! 6. Limits on resources, Landlock against writing, and a filter that leaves only the calls of step 7.
//! 7. Open as `O_PATH`, look what it is, and only then reopen that very inode for reading.
//!
//! # Layout
//! `request` (arguments) · `target` (step 2) · `enter` (3, 5) · `confine` (1, 4, 6) · `filter` (6) · `seal` (a copy of this program
//! in sealed memory) · `open` (7) · `owners` (whose files) · `read` · `glob` · `answer` (frames) · `sys` (all system calls; the only `unsafe`)
#![deny(unsafe_code)]

mod answer;
mod confine;
mod enter;
mod filter;
mod glob;
mod open;
mod owners;
mod read;
mod request;
mod seal;
#[allow(unsafe_code)]
mod sys;
mod target;

use std::process::ExitCode;

use answer::{Answer, Fault};
use request::{Operation, Request, Usage};

fn main() -> ExitCode {
    confine::before_all();
    let arguments: Vec<Vec<u8>> = sys::arguments();
    let request = match Request::parse(&arguments) {
        Ok(request) => request,
        Err(Usage::Help) => {
            sys::write_all(1, request::HELP.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(Usage::Wrong(why)) => {
            sys::write_all(2, format!("portolan-helper: {why}; see portolan-helper --help\n").as_bytes());
            return ExitCode::from(2);
        }
    };
    let mut answer = Answer::new(request.timeout);
    match serve(&request, &arguments, &mut answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => answer.fail(&fault),
    }
}

fn serve(request: &Request, arguments: &[Vec<u8>], answer: &mut Answer) -> Result<(), Fault> {
    sys::alarm(request.timeout);
    confine::close_all_but(request);
    let target = target::take(request)?;
    seal::if_visible(request, &target, arguments, answer)?;
    let inside = enter::mount_namespace(target, request.pid_namespace, answer)?;
    confine::after_entering(answer)?;
    if request.pid_namespace {
        enter::pid_namespace(request)?;
    }
    confine::last(request, answer);
    match &request.operation {
        Operation::Read(options) => read::file(&inside, &request.path, options, answer),
        Operation::Glob(options) => glob::expand(&inside, &request.path, options, answer),
    }
}
