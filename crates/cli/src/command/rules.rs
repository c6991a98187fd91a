//! `portolan rules`

use std::io::Write as _;
use std::path::Path;

use portolan::Rules as Known;

use crate::arguments::Rules;
use crate::failure::Failure;
use crate::{json, table};

pub(crate) fn run(options: &Rules) -> Result<(), Failure> {
    let rules = of(options.rules.as_deref())?;
    let text = if options.json { format!("{}\n", json::rules(&rules)) } else { table::rules(&rules) };
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::output)
}

/// The built-in rules, and those of a directory.
pub(crate) fn of(directory: Option<&Path>) -> Result<Known, Failure> {
    let rules = Known::built_in();
    Ok(match directory {
        Some(directory) => rules.with_directory(directory)?,
        None => rules,
    })
}
