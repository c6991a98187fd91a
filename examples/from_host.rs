//! What a plain connection from the host gets.
//!
//! ```sh
//! cargo run --release --example from_host -- 127.0.0.1:6379
//! ```
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr = std::env::args().nth(1).ok_or("usage: from_host ADDRESS:PORT")?.parse()?;
    match TcpStream::connect_timeout(&address, Duration::from_secs(2)) {
        Ok(_) => println!("connected: somebody listens on {address} on the host itself"),
        Err(error) => println!("{error}"),
    }
    Ok(())
}
