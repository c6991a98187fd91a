//! Both ways to scan tell the same: by BPF iterators, and by system calls. What they do not have in common has a name.
//!
//! - `equal`: on a host that changes at random
//! - `explained`: the names of differences, and when each applies, by `/proc`
//! - `named`: each of these differences, made on purpose
//! - `holders`: who holds which socket, by the links of `/proc`
//! - `nested`: in pid namespaces, with and without a `/proc` of their own
//! - `clock`: in a time namespace

mod clock;
mod equal;
mod explained;
mod holders;
mod named;
mod nested;
