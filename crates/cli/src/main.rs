//! The command `portolan`: the chart of a host, files inside its containers, and connections into them.
//!
//! Results go to standard output, everything else to standard error, one line for an error. Exit codes: 0 done,
//! 1 the operation failed, 2 wrong usage, 3 a missing privilege.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a command prints")]

mod arguments;
mod command;
mod failure;
mod json;
mod metadata;
mod progress;
mod table;
mod words;

use std::io::Write as _;
use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no failures; clap writes each where it belongs.
            let wrong = error.use_stderr();
            let _ = error.print();
            return ExitCode::from(if wrong { 2 } else { 0 });
        }
    };
    let result = match arguments.command {
        Command::Scan(options) => command::scan::run(&options),
        Command::Watch(options) => command::watch::run(&options),
        Command::Cat(options) => command::cat::run(&options),
        Command::Glob(options) => command::glob::run(&options),
        Command::Tail(options) => command::tail::run(&options),
        Command::Logs(options) => command::logs::run(&options),
        Command::Dial(options) => command::dial::run(&options),
        Command::Tunnel(options) => command::tunnel::run(&options),
        Command::Explain(options) => command::explain::run(&options),
        Command::Rules(options) => command::rules::run(&options),
        Command::Doctor => command::doctor::run(),
        Command::Completions { shell } => command::completions::run(shell),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(line) = failure.line() {
                let _ = writeln!(std::io::stderr(), "portolan: {line}");
            }
            ExitCode::from(failure.code())
        }
    }
}
