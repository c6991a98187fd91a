//! Whether the whole host can be asked in one pass.

use std::time::{Duration, Instant};

use portolan_linux::Error;
use portolan_linux::bpf::{Iterators, Unavailable, holders, tasks};

use super::{Check, State};

const FEATURE: &str = "scan: everything in one pass (BPF iterators)";
const WITHOUT: &str = "without: system calls, which find the same and cost more";

/// Loads the programs, which tests them on our own sockets, and makes a pass over all processes.
pub(super) fn one_pass() -> Check {
    let iterators = match Iterators::load() {
        Ok(iterators) => iterators,
        Err(why) => return refused(&why),
    };
    match pass(&iterators) {
        Ok(found) => made(iterators.has_names(), &found),
        Err(error) => {
            let detail = format!("loaded, but a pass over all processes fails: {error}; {WITHOUT}");
            Check { feature: FEATURE, state: State::Missing, detail }
        }
    }
}

/// Another pass than that of the test on ourselves: this one is over everything.
fn pass(iterators: &Iterators) -> Result<String, Error> {
    let now = Instant::now();
    let deadline = now.checked_add(Duration::from_secs(1)).unwrap_or(now);
    let mut rows = Vec::new();
    iterators.tasks(&mut rows, deadline)?;
    let processes = tasks(&rows).filter(|task| task.pid() == task.thread()).count();
    iterators.listeners(&mut rows, deadline)?;
    Ok(format!("{processes} processes and {} listeners found", holders(&rows).count()))
}

fn made(has_names: bool, found: &str) -> Check {
    let (state, detail) = match has_names {
        true => (State::Works, found.to_owned()),
        false => (
            State::Partly,
            format!(
                "{found}; programs may not read the kernel's memory here (kernel_lockdown(7)), and so not the names of \
                 Unix sockets: sock_diag is asked for them in each network namespace that has some"
            ),
        ),
    };
    Check { feature: FEATURE, state, detail }
}

fn refused(why: &Unavailable) -> Check {
    let advice = match why {
        Unavailable::Privilege => "give them, or leave it so",
        Unavailable::Refused(_) => {
            "look what filter of system calls or security module this process is under"
        }
        Unavailable::NoTypes(_) => "mount sysfs, or boot a kernel that has it",
        Unavailable::Elsewhere(_) => "run where /proc is that of this process's own pid and time namespace",
        // Of this kernel, of which we know too little.
        _ => "please report it, with the output of `uname -a`",
    };
    Check { feature: FEATURE, state: State::Missing, detail: format!("{why}; {advice}; {WITHOUT}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_says_what_to_do_and_what_is_done_instead() {
        for (why, says) in [
            (Unavailable::Privilege, "CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN"),
            (Unavailable::Refused("Function not implemented".to_owned()), "filter of system calls"),
            (Unavailable::NoTypes("No such file or directory".to_owned()), "CONFIG_DEBUG_INFO_BTF"),
            (Unavailable::Unknown("struct sock: port"), "struct sock: port"),
            (Unavailable::Elsewhere("another time namespace"), "time namespace"),
            (Unavailable::SelfTest("a socket's address"), "a socket's address"),
        ] {
            let Check { state, detail, .. } = refused(&why);
            assert_eq!(state, State::Missing);
            assert!(detail.contains(says) && detail.ends_with(WITHOUT), "{detail}");
        }
    }

    #[test]
    fn without_names_it_works_in_part() {
        assert_eq!(made(true, "all").state, State::Works);
        let partly = made(false, "all");
        assert_eq!(partly.state, State::Partly);
        assert!(partly.detail.contains("sock_diag"), "{partly:?}");
    }
}
