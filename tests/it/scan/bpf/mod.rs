//! BPF iterators: where they may be used, where they may not, and what hosts can do to them. `docs/bpf.md` names these
//! tests.
//!
//! - `rights`: the privileges, taken away one at a time
//! - `kernels`: kernels that lack something, or forbid it; `types`: descriptions of types that are changed
//! - `silent`: more than a million files that are no sockets, and files that are closed while they are looked at
//! - `again`: loaded and unloaded a thousand times
//! - `crowd`: listeners by the million, and names of any bytes
//! - `storm`: processes that come and go, and numbers that are used again

mod again;
mod crowd;
mod kernels;
mod rights;
mod silent;
mod storm;
mod types;

use portolan::{ScanOptions, SourceChoice};
use portolan_scan::Scanner;
use serde_json::Value;

use crate::command::Ran;

/// A scanner that asks by BPF iterators, or not at all.
fn forced() -> Scanner {
    let mut options = ScanOptions::default();
    options.source = SourceChoice::Bpf;
    Scanner::new(options)
}

/// A chart of a scan that had nothing to remark, and was made by BPF iterators.
#[track_caller]
fn by_bpf(ran: Ran) -> Value {
    let chart: Value = serde_json::from_slice(&ran.done()).unwrap();
    assert_eq!((&chart["source"], &chart["source_reason"]), (&"bpf".into(), &Value::Null));
    chart
}

/// A chart of a scan that had nothing to remark, and was made by system calls; and why.
#[track_caller]
fn by_system_calls(ran: Ran) -> (Value, String) {
    let chart: Value = serde_json::from_slice(&ran.done()).unwrap();
    assert_eq!(chart["source"], "syscalls");
    let why = chart["source_reason"].as_str().unwrap_or_else(|| panic!("no reason")).to_owned();
    assert!(!why.is_empty() && !why.contains(char::is_control), "{why}");
    (chart, why)
}
