//! `rules`: a row for each kind of service.

use portolan::Rules;

use super::{drawn, empty};

/// The kinds of services.
pub(crate) fn rules(rules: &Rules) -> String {
    let mut table = empty(&["KIND", "TITLE", "CATEGORY", "PORTS"]);
    let mut rows: Vec<[String; 4]> = Vec::new();
    for rule in rules.iter() {
        let ports: Vec<String> = rule.ports.iter().map(u16::to_string).collect();
        rows.push([rule.kind.clone(), rule.title.clone(), rule.category.clone(), ports.join(" ")]);
    }
    rows.sort();
    let count = rows.len();
    table.add_rows(rows);
    format!("{}\n\n{count} rules\n", drawn(&table))
}
