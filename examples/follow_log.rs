//! The last lines of a log inside a container, and what is appended to it, line by line.
//!
//! ```sh
//! cargo run --release --example follow_log -- TARGET /var/log/nginx/access.log
//! ```
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::time::Duration;

use portolan::{Event, Host, LogLines, Tail, TailOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(target), Some(path)) = (arguments.next(), arguments.next()) else {
        return Err("usage: follow_log TARGET PATH".into());
    };
    let host = Host::new();
    let target = host.target(&target)?;
    let mut log = Tail::new(path, TailOptions::default());
    // A line that has no end would be held for ever; this one comes in pieces.
    let mut lines = LogLines::new(64 * 1024);
    loop {
        for event in log.poll(host.files()?, &target.process)? {
            match event {
                Event::Data(bytes) => lines.push(&bytes).iter().for_each(|line| show(line)),
                // What was begun will not be finished.
                Event::Rotated | Event::Truncated | Event::Gone => show(&lines.rest()),
                _ => {}
            }
        }
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// Written by whoever runs the container: nothing of it may reach the terminal as a command.
fn show(line: &[u8]) {
    if !line.is_empty() {
        println!("{}", String::from_utf8_lossy(line).replace(char::is_control, "\u{fffd}"));
    }
}
