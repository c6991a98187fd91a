//! `portolan logs`

use std::io::{IsTerminal as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use portolan::logs::open::{DESCRIPTORS, log_files};
use portolan::logs::{Entry, Event, Log, Mapping, Options, Place, Source, Stdio, Stream};
use portolan::{Escaped, Host, Target};
use serde_json::{Value, json};

use super::note;
use crate::arguments::{Logs, OutputStream};
use crate::failure::Failure;

pub(crate) fn run(options: &Logs) -> Result<(), Failure> {
    let host = Host::new();
    let target = host.target(&options.target)?;
    let stdio = host.stdio(&target)?;
    if options.places {
        return places(&stdio, &target, options.json);
    }
    let mut how = Options::default();
    how.lines = options.lines.0;
    how.follow = options.follow;
    how.stream = options.stream.map(|stream| match stream {
        OutputStream::Stdout => Stream::Stdout,
        OutputStream::Stderr => Stream::Stderr,
    });
    how.longest = usize::try_from(options.max_line).unwrap_or(usize::MAX);
    let mut log = Log::open(&stdio, &how).map_err(|error| named(&options.target, error))?;
    let printer = Printer { options, escaped: std::io::stdout().is_terminal() };
    loop {
        let polled = log.poll()?;
        let quiet = polled.events.is_empty();
        printer.print(polled.events)?;
        if polled.more {
            continue;
        }
        if !options.follow {
            return printer.print(log.finish());
        }
        // Nobody would see what comes next, and a container that is quiet would never let us know.
        if portolan::hung_up(std::io::stdout()) {
            return Err(Failure::Unread);
        }
        if quiet && !target.process.is_alive() {
            // What it wrote last may have come since.
            printer.print(log.poll()?.events)?;
            printer.print(log.finish())?;
            note(&format!("{} has ended", Escaped(options.target.as_bytes())));
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(options.interval_ms));
    }
}

/// Says whose log it is.
fn named(target: &str, error: portolan::logs::Error) -> Failure {
    Failure::Log(Escaped(target.as_bytes()).to_string(), error.into())
}

struct Printer<'a> {
    options: &'a Logs,
    escaped: bool,
}

impl Printer<'_> {
    fn print(&self, events: Vec<Event>) -> Result<(), Failure> {
        let mut text = Vec::new();
        for event in events {
            match event {
                Event::Entry(entry) => self.line(&entry, &mut text),
                other => {
                    // In its place among the lines.
                    write(&std::mem::take(&mut text))?;
                    if let Some(said) = told(&other) {
                        note(&said);
                    }
                }
            }
            if text.len() > 64 * 1024 {
                write(&std::mem::take(&mut text))?;
            }
        }
        write(&text)
    }

    fn line(&self, entry: &Entry, text: &mut Vec<u8>) {
        if self.options.json {
            text.extend_from_slice(object(entry).to_string().as_bytes());
        } else {
            if self.options.timestamps {
                let stamp = if entry.stamp.is_empty() { "-" } else { &entry.stamp };
                text.extend_from_slice(format!("{stamp} {} ", entry.stream).as_bytes());
            }
            if self.escaped {
                // Tabs do no harm.
                let parts: Vec<String> =
                    entry.bytes.split(|b| *b == b'\t').map(|part| Escaped(part).to_string()).collect();
                text.extend_from_slice(parts.join("\t").as_bytes());
            } else {
                text.extend_from_slice(&entry.bytes);
            }
            if entry.truncated {
                text.extend_from_slice(b" [cut]");
            }
        }
        text.push(b'\n');
    }
}

fn told(event: &Event) -> Option<String> {
    Some(match event {
        Event::Rotated => "the log was rotated; going on with the new file".to_owned(),
        Event::Truncated => "the log was cut; reading it from its start".to_owned(),
        Event::Gone => "the log's file is not there; waiting for it".to_owned(),
        Event::Missed => "the log was rotated more than once; lines are missing here".to_owned(),
        Event::Compressed(files) => {
            format!("older lines are in {files} compressed files, which are not read")
        }
        Event::LeftOut(lines) => {
            format!("up to {lines} of the last lines are left out: they are too long together")
        }
        _ => return None,
    })
}

/// An object of `logs --json`. What is no UTF-8 is replaced, and `lossy` says so.
fn object(entry: &Entry) -> Value {
    let text = String::from_utf8_lossy(&entry.bytes);
    json!({
        "time": Some(&entry.stamp).filter(|stamp| !stamp.is_empty()),
        "stream": entry.stream.to_string(),
        "line": text,
        "truncated": entry.truncated,
        "malformed": entry.malformed,
        "lossy": matches!(text, std::borrow::Cow::Owned(_)),
    })
}

fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut output = std::io::stdout();
    output.write_all(bytes).and_then(|()| output.flush()).map_err(Failure::output)
}

/// `logs --where`
fn places(stdio: &Stdio, target: &Target, as_json: bool) -> Result<(), Failure> {
    let found = log_files(&target.process, DESCRIPTORS)?;
    let mapping = Mapping::new()?;
    let mut files = Vec::new();
    for file in &found.files {
        files.push((Escaped(&file.path).to_string(), mapping.of_file(&target.process, file)?));
    }
    if found.incomplete {
        note(&format!("only the first {DESCRIPTORS} descriptors were looked at"));
    }
    let text = if as_json {
        let mut text = as_value(stdio, &files).to_string();
        text.push('\n');
        text
    } else {
        as_text(stdio, &files)
    };
    write(text.as_bytes())
}

fn as_value(stdio: &Stdio, files: &[(String, Place)]) -> Value {
    let source = match &stdio.source {
        Source::File(file) => json!({ "file": shown(&file.path), "format": file.format.to_string() }),
        Source::Journal(fields) => json!({ "journal": fields }),
        Source::Inside(path) => json!({ "inside": Escaped(path).to_string() }),
        Source::Nowhere(why) => json!({ "nowhere": why }),
        _ => Value::Null,
    };
    let files = files.iter().map(|(path, place)| match place {
        Place::Host(host) => json!({ "path": path, "host": shown(host) }),
        Place::Deleted => json!({ "path": path, "host": null, "why": "it was deleted" }),
        Place::Helper(why) => json!({ "path": path, "host": null, "why": why }),
        _ => Value::Null,
    });
    json!({ "stdio": source, "evidence": stdio.evidence, "files": files.collect::<Vec<_>>() })
}

fn as_text(stdio: &Stdio, files: &[(String, Place)]) -> String {
    let mut lines = vec![match &stdio.source {
        Source::File(file) => format!("output: {} ({})", shown(&file.path), file.format),
        Source::Journal(fields) => format!("output: the journal, {}", Escaped(fields.join(" ").as_bytes())),
        Source::Inside(path) => format!("output: {} inside, which 'portolan tail' reads", Escaped(path)),
        Source::Nowhere(why) => format!("output: nowhere; {}", Escaped(why.as_bytes())),
        _ => "output: not known".to_owned(),
    }];
    lines.extend(stdio.evidence.iter().map(|clause| format!("- {}", Escaped(clause.as_bytes()))));
    for (path, place) in files {
        lines.push(match place {
            Place::Host(host) => format!("file: {path} is {} here", shown(host)),
            Place::Deleted => format!("file: {path} was deleted, and is still written to"),
            Place::Helper(why) => format!("file: {path}, which 'portolan tail' reads: {why}"),
            _ => format!("file: {path}"),
        });
    }
    lines.push(String::new());
    lines.join("\n")
}

fn shown(path: &std::path::Path) -> String {
    Escaped(path.as_os_str().as_bytes()).to_string()
}
