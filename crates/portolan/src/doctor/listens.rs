//! Whether it is told who begins to listen.

use portolan_linux::bpf::{ListenEvents, Unavailable};

use super::{Check, State};

const FEATURE: &str = "watch: told who begins to listen (BPF tracepoint)";
const WITHOUT: &str = "without: processes that started lately are asked again and again";

/// Loads the program, which tests it on a socket of our own.
pub(super) fn listens() -> Check {
    match ListenEvents::open() {
        Ok(_) => Check { feature: FEATURE, state: State::Works, detail: "TCP, in all namespaces".to_owned() },
        Err(why) => refused(&why),
    }
}

fn refused(why: &Unavailable) -> Check {
    Check { feature: FEATURE, state: State::Missing, detail: format!("{why}; {WITHOUT}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_is_done_instead() {
        let Check { state, detail, .. } = refused(&Unavailable::Privilege);
        assert_eq!(state, State::Missing);
        assert!(detail.contains("CAP_BPF") && detail.ends_with(WITHOUT), "{detail}");
    }
}
