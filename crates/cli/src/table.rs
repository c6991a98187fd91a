//! Tables for people: columns that line up, colours on a terminal only.

use std::io::IsTerminal as _;

use comfy_table::{ContentArrangement, Table, presets};
use portolan::doctor::{Check, State};
use portolan::{Container, Inventory, Listener, Protocol, Update};

/// `scan`: the listeners by container, the host's own last.
pub(crate) fn chart(chart: &Inventory) -> String {
    let mut table = empty(&["CONTAINER", "RUNTIME", "ID", "PID", "LISTENS ON", "REACH", "COMMAND"]);
    for container in &chart.containers {
        let mut head = head(container);
        let mut any = false;
        for listener in chart.listeners_of(&container.id) {
            table.add_row(head.iter().cloned().chain(tail(listener)));
            // The container is named on its first line only.
            head = [const { String::new() }; 3];
            any = true;
        }
        if !any {
            let rest = [container.init.pid.to_string(), "-".to_owned(), String::new(), String::new()];
            table.add_row(head.into_iter().chain(rest));
        }
    }
    // Of no container: the host's own last, before it those of network namespaces that nobody else explains.
    let of_none = || chart.listeners.iter().filter(|l| l.container.is_none());
    let (hosts, others): (Vec<_>, Vec<_>) = of_none().partition(|l| l.netns == chart.host.net);
    let mut group = None;
    for listener in others.into_iter().chain(hosts) {
        let name = match (group == Some(listener.netns), listener.netns == chart.host.net) {
            (true, _) => String::new(),
            (false, true) => "(host)".to_owned(),
            (false, false) => format!("(netns {})", listener.netns),
        };
        group = Some(listener.netns);
        table.add_row([name, String::new(), String::new()].into_iter().chain(tail(listener)));
    }
    let (containers, listeners) = (chart.containers.len(), chart.listeners.len());
    let summary = format!(
        "{containers} {}, {listeners} {}, {:.1} ms",
        if containers == 1 { "container" } else { "containers" },
        if listeners == 1 { "listener" } else { "listeners" },
        chart.elapsed.as_secs_f64() * 1e3,
    );
    format!("{}\n{summary}\n", drawn(&table))
}

/// `watch`: a line for each change
pub(crate) fn update(update: &Update) -> String {
    let mut text = update.diff.to_string();
    if let Some(count) = update.short_lived.filter(|count| *count > 0) {
        let processes = if count == 1 { "process" } else { "processes" };
        text.push_str(&format!("  {count} {processes} started and ended meanwhile\n"));
    }
    if coloured() {
        let lines = text.lines().map(|line| match line.as_bytes().first() {
            Some(b'+') => format!("\x1b[32m{line}\x1b[0m\n"),
            Some(b'-') => format!("\x1b[31m{line}\x1b[0m\n"),
            Some(b'~') => format!("\x1b[33m{line}\x1b[0m\n"),
            _ => format!("{line}\n"),
        });
        text = lines.collect();
    }
    text
}

fn head(container: &Container) -> [String; 3] {
    let name =
        container.name.clone().filter(|name| *name != container.id).or_else(|| container.hostname.clone());
    let name = name.unwrap_or_else(|| short(&container.id));
    [name, container.runtime.to_string(), short(&container.id)]
}

fn tail(listener: &Listener) -> [String; 4] {
    let pid = listener.owner.map_or_else(|| "-".to_owned(), |owner| owner.pid.to_string());
    let address = match listener.protocol {
        Protocol::Tcp => listener.place(),
        other => format!("{other} {}", listener.place()),
    };
    [pid, address, listener.reach.to_string(), listener.command.clone().unwrap_or_default()]
}

/// Hexadecimal ids are told apart by their first twelve digits, as their runtimes show them.
fn short(id: &str) -> String {
    if id.len() == 64 { id.chars().take(12).collect() } else { id.to_owned() }
}

/// `doctor`
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
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
