//! An agent that ships a single binary: it is its own helper.
//!
//! ```sh
//! cargo run --release --features portolan/own-helper --example own_helper -- TARGET PATH...
//! ```
#![allow(clippy::print_stdout, reason = "an example prints")]

use portolan::{Batch, Files, Host, Outcome};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Before anything else: the library starts this very binary as the helper.
    portolan::run_helper_if_asked();

    let mut arguments = std::env::args().skip(1);
    let Some(target) = arguments.next() else {
        return Err("usage: own_helper TARGET PATH...".into());
    };
    let host = Host::with_files(Files::with_own_binary()?.strict());
    let target = host.target(&target)?;
    // All of them in one entry into the container.
    let batch = arguments.fold(Batch::new(), |batch, path| batch.read(path));
    for outcome in host.files()?.batch(&target.process, &batch)? {
        match outcome {
            Ok(Outcome::Content(content)) => print!("{}", String::from_utf8_lossy(&content.bytes)),
            Ok(_) => {}
            Err(error) => println!("{error}"),
        }
    }
    Ok(())
}
