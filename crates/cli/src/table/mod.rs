//! Output for people, colours on a terminal only.
//!
//! - `page`: what is told of each container and service, in words; `columns` and `stacked`: wide and narrow; `fold`:
//!   breaks what is too long
//! - `listeners`, `doctor`, `rules`, `update`: the other outputs
//! - `paint`: colours and emphasis

mod columns;
mod doctor;
mod fold;
mod listeners;
mod page;
mod paint;
mod rules;
mod stacked;
mod update;

use std::ffi::OsStr;
use std::io::IsTerminal as _;

use comfy_table::{ContentArrangement, Table, presets};
use portolan::Container;

pub(crate) use doctor::doctor;
pub(crate) use listeners::listeners;
pub(crate) use page::{Detail, Page};
pub(crate) use rules::rules;
pub(crate) use update::update;

/// From so many columns on, services are a row each.
const WIDE: usize = 120;
/// No terminal is taken to be narrower.
const NARROWEST: usize = 30;

/// How wide a page may be; `None` where nothing limits it.
pub(crate) fn width() -> Option<usize> {
    // Whoever sets it means it; a shell has it for itself, and does not pass it on.
    let told =
        std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).filter(|columns| *columns > 0);
    let own = || {
        let output = std::io::stdout();
        let (width, _) = output.is_terminal().then(|| terminal_size::terminal_size_of(output)).flatten()?;
        Some(usize::from(width.0)).filter(|columns| *columns > 0)
    };
    told.or_else(own).map(|columns: usize| columns.max(NARROWEST))
}

impl Page {
    /// As text: a table where there is room for one; else, and where nobody knows how much room there is, one thing a
    /// line.
    pub(crate) fn drawn(&self, width: Option<usize>) -> String {
        match width {
            Some(width) if width >= WIDE => columns::drawn(self, width),
            width => stacked::drawn(self, width),
        }
    }
}

/// What to call a container.
fn called(container: &Container) -> String {
    let name =
        container.name.clone().filter(|name| *name != container.id).or_else(|| container.hostname.clone());
    name.unwrap_or_else(|| short(&container.id))
}

/// `1 container`, `2 containers`.
fn number_of(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Hexadecimal ids are told apart by their first twelve digits, as their runtimes show them.
fn short(id: &str) -> String {
    if id.len() == 64 { id.chars().take(12).collect() } else { id.to_owned() }
}

fn empty(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

fn drawn(table: &Table) -> String {
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    let mut text = lines.join("\n");
    if coloured()
        && let Some((first, rest)) = text.split_once('\n')
    {
        text = format!("\x1b[1m{first}\x1b[0m\n{rest}");
    }
    text
}

/// On a terminal, unless `NO_COLOR` says no (<https://no-color.org>).
fn coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").as_deref().is_none_or(OsStr::is_empty)
}
