//! `portolan watch`

use std::io::Write as _;
use std::time::Duration;

use portolan::{ScanOptions, Scanner, Stopper, WatchOptions};

use super::note;
use crate::arguments::Watch;
use crate::failure::Failure;
use crate::{json, table};

/// How often is looked whether anybody still reads.
const LOOK: Duration = Duration::from_millis(500);

pub(crate) fn run(options: &Watch) -> Result<(), Failure> {
    let mut what = ScanOptions::default();
    what.thorough = options.thorough;
    what.source = options.source.choice();
    let mut how = WatchOptions::default();
    how.interval = Duration::from_millis(options.interval_ms);
    how.poll = options.poll;
    let watch = Scanner::new(what).watch(how);
    if !watch.is_told() && !options.poll {
        note(
            "the kernel does not tell us what starts and ends (see portolan doctor); scanning again and again",
        );
    }
    end_with_reader(watch.stopper());
    for update in watch {
        let update = update?;
        let text = if options.json {
            format!("{}\n", json::text(&json::update(&update)))
        } else {
            table::update(&update)
        };
        let mut output = std::io::stdout();
        output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(Failure::output)?;
    }
    Err(Failure::Unread)
}

/// On a host where nothing changes, nothing is written, and nothing else would tell that nobody reads.
fn end_with_reader(stopper: Stopper) {
    std::thread::spawn(move || {
        while !portolan::hung_up(std::io::stdout()) {
            std::thread::sleep(LOOK);
        }
        stopper.stop();
    });
}
