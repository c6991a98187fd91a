//! `portolan tail`

use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use portolan::{Batch, ErrorKind, Escaped, Event, Files, Host, Operation, Outcome, TailOptions, Target};

use super::note;
use crate::arguments::Tail;
use crate::failure::Failure;

pub(crate) fn run(options: &Tail) -> Result<(), Failure> {
    let host = Host::new();
    let target = host.target(&options.target)?;
    let files = host.files()?;
    if options.follow { follow(files, &target, options) } else { once(files, &target, options) }
}

/// The last lines, and no more.
fn once(files: &Files, target: &Target, options: &Tail) -> Result<(), Failure> {
    let lines = Operation::Lines { lines: options.lines, max_bytes: options.max_bytes };
    let batch = Batch::new()
        .operation(lines, &options.path)
        .max_bytes(options.max_bytes)
        .timeout(Duration::from_millis(options.timeout_ms));
    let batch = if options.any_file_system { batch.any_file_system() } else { batch };
    for outcome in files.batch(&target.process, &batch)? {
        if let Outcome::Content(content) = outcome? {
            write(&content.bytes)?;
        }
    }
    Ok(())
}

/// The last lines, and whatever comes.
fn follow(files: &Files, target: &Target, options: &Tail) -> Result<(), Failure> {
    let path = Escaped(options.path.as_os_str().as_bytes());
    let mut how = TailOptions::default();
    how.lines = options.lines;
    how.max_bytes = options.max_bytes;
    how.timeout = Duration::from_millis(options.timeout_ms);
    how.any_file_system = options.any_file_system;
    let mut tail = portolan::Tail::new(&options.path, how);
    let mut trouble = None;
    loop {
        let events = match tail.poll(files, &target.process) {
            Ok(events) => {
                trouble = None;
                events
            }
            // What may pass is waited for, and told once.
            Err(error) if passes(error.kind()) => {
                if trouble.replace(error.kind()) != Some(error.kind()) {
                    note(&format!("{error}; still trying"));
                }
                Vec::new()
            }
            Err(error) => return Err(error.into()),
        };
        // More than one look may read is there: the next one comes at once.
        let read: usize = events.iter().map(length).sum();
        for event in events {
            match event {
                Event::Data(bytes) => write(&bytes)?,
                Event::Rotated => note(&format!("{path} was replaced; going on with the new file")),
                Event::Truncated => note(&format!("{path} was cut; reading it from its start")),
                Event::Gone => note(&format!("{path} is not there; waiting for it")),
                _ => {}
            }
        }
        // Nobody would see what comes next, and a file that is quiet would never let us know.
        if portolan::hung_up(std::io::stdout()) {
            return Err(Failure::Unread);
        }
        if u64::try_from(read).unwrap_or(u64::MAX) < options.max_bytes {
            std::thread::sleep(Duration::from_millis(options.interval_ms));
        }
    }
}

fn length(event: &Event) -> usize {
    match event {
        Event::Data(bytes) => bytes.len(),
        _ => 0,
    }
}

fn passes(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Timeout | ErrorKind::Busy | ErrorKind::HelperDied)
}

fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut output = std::io::stdout();
    output.write_all(bytes).and_then(|()| output.flush()).map_err(Failure::output)
}
