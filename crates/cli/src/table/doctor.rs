//! `doctor`: a row for each feature.

use portolan::doctor::{Check, State};

use super::{coloured, drawn, empty};

/// What works here, and what is missing.
pub(crate) fn doctor(checks: &[Check]) -> String {
    let mut table = empty(&["FEATURE", "STATE", "DETAIL"]);
    for check in checks {
        table.add_row([check.feature.to_owned(), check.state.to_string(), check.detail.clone()]);
    }
    let mut text = drawn(&table);
    if coloured() {
        for (state, colour) in [(State::Works, 32), (State::Partly, 33), (State::Missing, 31)] {
            text = text.replace(&format!("  {state}"), &format!("  \x1b[{colour}m{state}\x1b[0m"));
        }
    }
    text.push('\n');
    text
}
