//! What an Erlang virtual machine runs.

use super::grammar::What;

/// The modules that it starts (`-s`, `-run`), and what it boots from (`-boot`), by erl(1).
pub(super) fn runs(arguments: &[Vec<u8>]) -> Vec<What<'_>> {
    let mut what = Vec::new();
    for (option, value) in arguments.iter().zip(arguments.iter().skip(1)) {
        match option.as_slice() {
            // What follows is for the program.
            b"-extra" => break,
            b"-s" | b"-run" => what.push(What::Module(value)),
            b"-boot" => what.push(What::Script(value)),
            _ => {}
        }
    }
    // A virtual machine is told few of them; a hostile one a hundred thousand.
    what.truncate(16);
    what
}
