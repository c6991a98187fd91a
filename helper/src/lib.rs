//! `portolan-helper`: enters a container's mount namespace, reads files and expands patterns there, and answers with
//! frames (`docs/protocol.md`).
//!
//! Only a single-threaded process may join a mount namespace (`setns(2)`), so an agent cannot do it itself. And
//! inside, everything is the attacker's: this program therefore starts no thread, reads no environment, loads
//! nothing, and calls no service of the C library that would look for files (names, locales, time zones).
//!
//! It is a program of its own, or, for an agent that ships a single binary, the agent's own binary started anew
//! ([`run_if_asked`]).
//!
//! # The order, and why
//! 1. `PR_SET_DUMPABLE` 0 and every inherited descriptor closed, before anything else can fail.
//! 2. The process is taken hold of while its number still means something: pidfd, root directory, start time. (A
//!    server is given its mount namespace and its root by the library, which has checked them.) A procfs of our own
//!    is made for step 7, because the container's cannot be trusted.
//! 3. `setns`, then `chroot` to the process's root: `setns` lands in the root of the namespace, which for a process
//!    in a chroot is the whole host. In between the root's own file system is judged.
//! 4. Capabilities dropped but for `CAP_DAC_READ_SEARCH`, `NO_NEW_PRIVS`, dumpable 0 and the death signal once more.
//! 5. With `--pid-namespace`, a fork: `setns` moves only children there.
//! 6. Limits on resources, Landlock against writing, and a filter that leaves only the calls of step 7.
//! 7. Find the inode as `O_PATH`, judging every mount on the way, look what it is, and only then reopen that very
//!    inode for reading.
//!
//! A server does of this what does not depend on the container (1, the procfs, `NO_NEW_PRIVS`, 6) once, and its
//! children inherit it.
//!
//! # Layout
//! `arguments` · `serve` (the server and its children) · `target` (step 2) · `enter` (3, 5) · `confine` (1, 4, 6) · `seal` (a
//! copy of this program in sealed memory) · `walk`, `mounts`, `owners`, `open` (7) · `operations`: `read`, `glob`, `include` ·
//! `answer` (frames) · `sys` (system calls; the only `unsafe`, with the `sys` of `confine`, `seal` and `serve`)
#![deny(unsafe_code)]

mod answer;
mod arguments;
mod confine;
mod enter;
mod find;
mod glob;
mod include;
mod mounts;
mod open;
mod operations;
mod owners;
mod read;
mod seal;
mod serve;
#[allow(unsafe_code)]
mod sys;
mod target;
mod walk;

use std::os::unix::ffi::OsStrExt as _;

use portolan_wire::code::{ErrorCode, Stage};
use portolan_wire::frame::Hello;
use portolan_wire::limits::{DEFAULT_TIMEOUT_MS, MAX_REQUEST};
use portolan_wire::request::Request;

use answer::{Answer, Fault};
use arguments::{Arguments, OneShot, STRICT, Usage, Whom};
use target::Target;

/// The name, argument 0, by which a process is asked to be the helper.
pub const NAME: &str = "portolan-helper";

/// Is the helper, if this process was started as such: argument 0 is [`NAME`]. Else it does nothing.
///
/// An agent that ships a single binary calls it as the first thing in `main`, before it starts a thread or reads
/// anything, and tells the library so (`Files::with_own_binary`). Its price is in `README.md`: the whole binary is
/// copied to sealed memory once, and its start-up is paid once more, whenever the library starts its server.
///
/// # Example
/// ```
/// // The first line of `main`:
/// portolan_helper::run_if_asked();
/// // ... and the agent goes on.
/// ```
pub fn run_if_asked() {
    if std::env::args_os().next().is_some_and(|name| name.as_bytes() == NAME.as_bytes()) {
        run();
    }
}

/// Is the helper, and ends this process.
pub fn run() -> ! {
    confine::before_all();
    let words: Vec<Vec<u8>> = sys::arguments();
    let code = match Arguments::parse(&words) {
        Ok(Arguments::Once(once)) => one_shot(once, &words),
        Ok(Arguments::Serve(socket)) => serve_on(socket),
        Err(Usage::Help) => i32::from(!sys::write_all(1, arguments::HELP.as_bytes())),
        Err(Usage::Wrong(why)) => wrong(why),
    };
    sys::exit(code)
}

fn wrong(why: &str) -> i32 {
    sys::write_all(2, format!("portolan-helper: {why}; see portolan-helper --help\n").as_bytes());
    2
}

fn serve_on(socket: std::os::fd::RawFd) -> i32 {
    confine::close_all_but(&[socket]);
    let Ok(socket) = sys::adopt(socket) else {
        return wrong("serve wants the number of an open socket");
    };
    match serve::run(socket) {
        Ok(()) => 0,
        Err(fault) => answer::exit_code(fault.failure.code),
    }
}

fn one_shot(once: OneShot, words: &[Vec<u8>]) -> i32 {
    match once.whom {
        Whom::Number { .. } => confine::close_all_but(&[]),
        Whom::Descriptors { pidfd, root } => confine::close_all_but(&[pidfd, root]),
    }
    let OneShot { whom, pid_namespace, strict, request } = once;
    let waiting = u32::try_from(DEFAULT_TIMEOUT_MS).unwrap_or(u32::MAX);
    confine::end_after(request.as_ref().map_or(waiting, |request| request.timeout_ms));
    let mut hello = Hello::default();
    // A batch is read only then: a copy of this program reads it itself.
    let target = target::take(whom)
        .and_then(|t| seal::if_visible(whom, pid_namespace, &t, words, &mut hello.posture).map(|()| t));
    let request = match request {
        Some(request) => request,
        None => match sys::read_all(0, MAX_REQUEST).map(|bytes| Request::parse(&bytes)) {
            Ok(Ok(request)) if !request.operations.is_empty() => request,
            _ => {
                let mut answer = Answer::new(&Request::default());
                answer.refuse(&Fault::new(Stage::Request, ErrorCode::InvalidInput));
                return answer::exit_code(ErrorCode::InvalidInput);
            }
        },
    };
    let request = if strict { Request { demand: STRICT, ..request } } else { request };
    confine::end_after(request.timeout_ms);
    let mut answer = Answer::new(&request);
    answer.hello = hello;
    match target.and_then(|target| enter_and_answer(target, pid_namespace, &request, &mut answer)) {
        Ok(()) => answer.finish(),
        Err(fault) => {
            answer.refuse(&fault);
            return answer::exit_code(fault.failure.code);
        }
    }
    answer.failed().map_or(0, answer::exit_code)
}

fn enter_and_answer(
    target: Target,
    pid_namespace: bool,
    request: &Request,
    answer: &mut Answer,
) -> Result<(), Fault> {
    let parent = sys::parent();
    let inside = enter::one_shot(target, pid_namespace, request.any_file_system, answer)?;
    confine::for_good(&mut answer.hello)?;
    confine::keep_reading(&mut answer.hello, parent)?;
    if pid_namespace {
        enter::pid_namespace(request.timeout_ms)?;
    }
    confine::limit(&mut answer.hello);
    confine::wall_in(&mut answer.hello, None);
    answer.satisfies(request.demand)?;
    operations::all(&inside, request, answer);
    Ok(())
}
