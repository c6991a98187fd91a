//! The helper as a program of its own; see the library of the same name.
#![forbid(unsafe_code)]

fn main() {
    portolan_helper::run()
}
