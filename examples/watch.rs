//! What comes and goes on this host, as it happens, until it is interrupted.
//!
//! ```sh
//! sudo cargo run --release --example watch
//! ```
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::time::Duration;

use portolan::{Host, WatchOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = WatchOptions::default();
    options.interval = Duration::from_secs(30);
    let watch = Host::new().scanner().watch(options);
    if !watch.is_told() {
        println!("the kernel does not tell us what starts and ends: the host is scanned again and again");
    }
    for update in watch {
        // The first update is all that there is.
        let update = update?;
        for listener in &update.diff.listeners.added {
            let place = listener.container.as_deref().unwrap_or("the host");
            println!("{place} listens on {} {}", listener.protocol, listener.place());
        }
        for container in &update.diff.containers.removed {
            println!("{} is gone", container.name.as_deref().unwrap_or(&container.id));
        }
    }
    Ok(())
}
