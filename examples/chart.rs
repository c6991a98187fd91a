//! The chart of this host: its containers, and what listens in each of them.
//!
//! ```sh
//! cargo run --release --example chart
//! ```
#![allow(clippy::print_stdout, reason = "an example prints")]

use portolan::Host;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let chart = Host::new().scan()?;
    for container in &chart.containers {
        let name = container.name.as_deref().or(container.hostname.as_deref()).unwrap_or("(no name)");
        println!(
            "{name}: {} container {}, first process {}",
            container.runtime, container.id, container.init.pid
        );
        for listener in chart.listeners_of(&container.id) {
            let command = listener.command.as_deref().unwrap_or("?");
            println!("    {command} on {} {}, {}", listener.protocol, listener.place(), listener.reach);
        }
    }
    // What could not be looked at is part of the answer.
    for fault in &chart.faults {
        println!("not seen: {fault}");
    }
    Ok(())
}
