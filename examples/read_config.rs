//! A configuration file inside a container, and the files that it includes, read as nginx reads them.
//!
//! ```sh
//! cargo run --release --example read_config -- TARGET /etc/nginx/nginx.conf
//! ```
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::path::{Path, PathBuf};

use portolan::{GlobOptions, Host, ReadOptions, Target};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(target), Some(path)) = (arguments.next(), arguments.next()) else {
        return Err("usage: read_config TARGET PATH".into());
    };
    let host = Host::new();
    let target = host.target(&target)?;
    show(&host, &target, Path::new(&path), 0)
}

fn show(host: &Host, target: &Target, path: &Path, depth: u32) -> Result<(), Box<dyn std::error::Error>> {
    // A file that includes itself is nginx's error, and must not be our loop.
    if depth > 8 {
        return Err(format!("includes are nested too deeply at {}", path.display()).into());
    }
    let content = host.read(target, path, &ReadOptions::default())?;
    let text = String::from_utf8_lossy(&content.bytes);
    println!("# {} ({} bytes)", path.display(), content.size);
    for line in text.lines() {
        // Written by whoever runs the container: nothing of it may reach the terminal as a command.
        println!("    {}", line.replace(|c: char| c.is_control() && c != '\t', "\u{fffd}"));
    }
    for pattern in text.lines().filter_map(included) {
        // A relative pattern is meant from the directory of the main file.
        let pattern: PathBuf = path.parent().unwrap_or(Path::new("/")).join(pattern);
        println!("# include {}", pattern.display());
        for found in host.glob(target, &pattern, &GlobOptions::default())?.entries {
            show(host, target, &found.path, depth.saturating_add(1))?;
        }
    }
    Ok(())
}

/// The pattern of a line such as `include conf.d/*.conf;`.
fn included(line: &str) -> Option<&str> {
    line.trim().strip_prefix("include ")?.strip_suffix(';').map(str::trim)
}
