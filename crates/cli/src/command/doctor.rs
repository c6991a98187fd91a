//! `portolan doctor`

use std::io::Write as _;

use portolan::doctor::examine;

use crate::failure::Failure;
use crate::table;

pub(crate) fn run() -> Result<(), Failure> {
    let checks = examine();
    std::io::stdout().write_all(table::doctor(&checks).as_bytes()).map_err(Failure::output)
}
