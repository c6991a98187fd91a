//! `portolan scan`

use std::io::Write as _;

use portolan::Host;

use super::note;
use crate::arguments::{Scan, Source};
use crate::failure::Failure;
use crate::{json, table};

pub(crate) fn run(options: &Scan) -> Result<(), Failure> {
    if options.source == Source::Bpf {
        return Err(Failure::Unsupported(
            "scan by BPF iterators: not in this version; use --source auto or --source syscalls",
        ));
    }
    let chart = Host::new().scan()?;
    let text = if options.json {
        let mut text = json::inventory(&chart).to_string();
        text.push('\n');
        text
    } else {
        table::chart(&chart)
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::output)?;
    if !options.json {
        for fault in &chart.faults {
            note(&fault.to_string());
        }
    }
    Ok(())
}
