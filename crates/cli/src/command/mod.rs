//! One file a command.

pub(crate) mod cat;
pub(crate) mod completions;
pub(crate) mod dial;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod glob;
pub(crate) mod logs;
pub(crate) mod rules;
pub(crate) mod scan;
pub(crate) mod tail;
pub(crate) mod tunnel;
pub(crate) mod watch;

/// A note on standard error. What cannot be told there cannot be told anywhere.
pub(crate) fn note(line: &str) {
    let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("portolan: {line}\n"));
}
