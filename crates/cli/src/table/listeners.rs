//! `scan --listeners`: a row for each listener.

use portolan::{Container, Inventory, Listener, Protocol};

use super::{called, drawn, empty, number_of, short};

/// The listeners by container, the host's own last.
pub(crate) fn listeners(chart: &Inventory) -> String {
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
    let summary = format!(
        "{}, {}, {:.1} ms",
        number_of(chart.containers.len(), "container"),
        number_of(chart.listeners.len(), "listener"),
        chart.elapsed.as_secs_f64() * 1e3,
    );
    format!("{}\n{summary}\n", drawn(&table))
}

fn head(container: &Container) -> [String; 3] {
    [called(container), container.runtime.to_string(), short(&container.id)]
}

fn tail(listener: &Listener) -> [String; 4] {
    let pid = listener.owner.map_or_else(|| "-".to_owned(), |owner| owner.pid.to_string());
    let address = match listener.protocol {
        Protocol::Tcp => listener.place(),
        other => format!("{other} {}", listener.place()),
    };
    [pid, address, listener.reach.to_string(), listener.command.clone().unwrap_or_default()]
}
