//! `portolan scan`

use std::io::Write as _;

use portolan::metadata::Answer;
use portolan::{ErrorKind, Host, ScanOptions};

use super::note;
use crate::arguments::{Scan, Source};
use crate::failure::Failure;
use crate::{json, metadata, table};

pub(crate) fn run(options: &Scan) -> Result<(), Failure> {
    if options.source == Source::Bpf {
        return Err(Failure::Unsupported(
            "scan by BPF iterators: not in this version; use --source auto or --source syscalls",
        ));
    }
    let mut how = ScanOptions::default();
    how.thorough = options.thorough;
    let host = Host::new().with_scan_options(how);
    let mut chart = host.scan()?;
    let survey = || host.survey(&chart);
    // The runtimes are asked meanwhile, and nobody waits for them longer than need be.
    let (answer, survey) = if options.no_runtime_api {
        (Answer::default(), survey())
    } else {
        metadata::beside(&host, &chart, survey)
    };
    answer.apply(&mut chart);
    let text = if options.json {
        let mut json = json::inventory(&chart, &survey);
        metadata::add(&mut json, &answer);
        let mut text = json.to_string();
        text.push('\n');
        text
    } else {
        table::chart(&chart)
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::output)?;
    if !options.json {
        // That processes end meanwhile is no news to a person; programs find it in the JSON.
        for fault in chart.faults.iter().filter(|fault| fault.kind != ErrorKind::TargetGone) {
            note(&fault.to_string());
        }
        answer.faults.iter().for_each(|fault| note(&fault.to_string()));
    }
    Ok(())
}
