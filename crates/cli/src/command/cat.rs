//! `portolan cat`

use std::io::Write as _;
use std::time::Duration;

use portolan::{Escaped, Host, ReadOptions};
use std::os::unix::ffi::OsStrExt as _;

use super::note;
use crate::arguments::Cat;
use crate::failure::Failure;

pub(crate) fn run(options: &Cat) -> Result<(), Failure> {
    let host = Host::new();
    let target = host.target(&options.target)?;
    let mut how = ReadOptions::default()
        .max_bytes(options.max_bytes)
        .offset(options.offset)
        .timeout(Duration::from_millis(options.timeout_ms));
    how.prefix = options.prefix;
    how.pid_namespace = options.pid_namespace;
    how.any_file_system = options.any_file_system;
    let content = host.read(&target, &options.path, &how)?;
    let mut output = std::io::stdout();
    output.write_all(&content.bytes).and_then(|()| output.flush()).map_err(Failure::output)?;
    if content.truncated {
        let path = Escaped(options.path.as_os_str().as_bytes());
        let (shown, size) = (content.bytes.len(), content.size);
        note(&match size {
            0 => format!("{path}: the first {shown} bytes; there are more"),
            _ => format!("{path}: {shown} bytes from {}, of {size}", options.offset),
        });
    }
    Ok(())
}
