//! `portolan glob`

use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use portolan::{Escaped, GlobOptions, Host};

use super::note;
use crate::arguments::Glob;
use crate::failure::Failure;

pub(crate) fn run(options: &Glob) -> Result<(), Failure> {
    let host = Host::new();
    let target = host.target(&options.target)?;
    let mut how = GlobOptions::default()
        .max_entries(options.max_entries)
        .timeout(Duration::from_millis(options.timeout_ms));
    how.any_file_system = options.any_file_system;
    let matches = host.glob(&target, &options.pattern, &how)?;
    let mut text = Vec::new();
    for entry in &matches.entries {
        let path = entry.path.as_os_str().as_bytes();
        if options.null {
            text.extend_from_slice(path);
            text.push(0);
        } else {
            // Writing to memory does not fail.
            let _ = writeln!(text, "{}", Escaped(path));
        }
    }
    let mut output = std::io::stdout();
    output.write_all(&text).and_then(|()| output.flush()).map_err(Failure::output)?;
    if matches.skipped > 0 {
        note(&format!("{} directories could not be looked into", matches.skipped));
    }
    match matches.incomplete {
        None => Ok(()),
        Some(error) => Err(error.into()),
    }
}
