//! A page as a table, for wide terminals: a row for each service, below the name of its container.

use super::fold::{fold, length};
use super::page::{Entry, Page};
use super::{coloured, paint::Paint};

const HEADS: [&str; 5] = ["SERVICE", "PID", "REACHED AT", "CONFIGURATION", "LOGS"];
/// Between columns.
const GAP: usize = 2;
/// Where rows begin, below the name of their container.
const INDENT: usize = 2;

type Cells = [Vec<String>; 5];

pub(super) fn drawn(page: &Page, width: usize) -> String {
    let coloured = coloured();
    let rows: Vec<Vec<Cells>> =
        page.groups.iter().map(|group| group.services.iter().map(cells).collect()).collect();
    let widths = widths(rows.iter().flatten(), width);
    let mut text = String::new();
    if rows.iter().any(|rows| !rows.is_empty()) {
        let heads = HEADS.map(|head| vec![head.to_owned()]);
        row(&mut text, &heads, &widths, Paint::Bold, coloured);
    }
    let put = |text: &mut String, indent: usize, paint: Paint, line: &str| {
        for line in fold(line, width.saturating_sub(indent)) {
            text.push_str(&format!("{:indent$}{}\n", "", paint.on(line, coloured)));
        }
    };
    for (group, rows) in page.groups.iter().zip(&rows) {
        let head = std::iter::once(&group.name).chain(&group.about).cloned().collect::<Vec<_>>().join("  ");
        put(&mut text, 0, Paint::Bold, &head);
        for line in &group.evidence {
            put(&mut text, INDENT, Paint::Dim, &format!("because {line}"));
        }
        if rows.is_empty() && group.others.is_empty() {
            put(&mut text, INDENT, Paint::Dim, "nothing listens");
        }
        for (cells, service) in rows.iter().zip(&group.services) {
            row(&mut text, cells, &widths, Paint::Name, coloured);
            for line in &service.faults {
                put(&mut text, INDENT.saturating_add(2), Paint::Trouble, &format!("fault: {line}"));
            }
            for line in &service.evidence {
                put(&mut text, INDENT.saturating_add(2), Paint::Dim, &format!("because {line}"));
            }
        }
        for (number, line) in group.others.iter().enumerate() {
            let before = if number == 0 && !rows.is_empty() { "of no service: " } else { "" };
            put(&mut text, INDENT, Paint::Plain, &format!("{before}{line}"));
        }
        text.push('\n');
    }
    put(&mut text, 0, Paint::Plain, &page.summary);
    text
}

fn cells(service: &Entry) -> Cells {
    let mut name = vec![service.name.clone()];
    name.extend(Some(&service.version).filter(|version| !version.is_empty()).cloned());
    let mut reached = service.reached.clone();
    reached.extend(service.needs.iter().map(|needs| format!("needs {needs}")));
    let mut config = service.config.clone();
    config.extend(service.status.iter().map(|status| format!("status {status}")));
    config.extend(service.data.iter().map(|data| format!("data {data}")));
    [name, vec![service.pid.clone()], reached, config, service.logs.clone()]
}

/// How wide each column is: what it needs where there is room for all, else what is left is shared fairly.
fn widths<'a>(rows: impl Iterator<Item = &'a Cells>, width: usize) -> [usize; 5] {
    let mut needed = HEADS.map(length);
    for row in rows {
        for (needed, lines) in needed.iter_mut().zip(row) {
            *needed = lines.iter().map(|line| length(line)).fold(*needed, usize::max);
        }
    }
    let mut order = [0, 1, 2, 3, 4];
    order.sort_by_key(|at| needed.get(*at).copied());
    let mut left = width.saturating_sub(INDENT).saturating_sub(GAP.saturating_mul(4));
    let mut widths = [0; 5];
    for (done, at) in order.into_iter().enumerate() {
        let share = left.checked_div(order.len().saturating_sub(done)).unwrap_or(left);
        if let (Some(width), Some(needed)) = (widths.get_mut(at), needed.get(at)) {
            *width = share.min(*needed);
            left = left.saturating_sub(*width);
        }
    }
    widths
}

fn row(text: &mut String, cells: &Cells, widths: &[usize; 5], first: Paint, coloured: bool) {
    let head = first == Paint::Bold;
    let folded: Vec<Vec<String>> = cells
        .iter()
        .zip(widths)
        .map(|(lines, width)| lines.iter().flat_map(|line| fold(line, (*width).max(1))).collect())
        .collect();
    let height = folded.iter().map(Vec::len).max().unwrap_or(0);
    for line in 0..height {
        let mut out = " ".repeat(INDENT);
        let mut blank = 0_usize;
        for (column, (lines, width)) in folded.iter().zip(widths).enumerate() {
            let cell = lines.get(line).map_or("", String::as_str);
            if !cell.is_empty() {
                out.push_str(&" ".repeat(blank));
                let paint = if column == 0 && line == 0 || head { first } else { Paint::Plain };
                out.push_str(&paint.on(cell, coloured));
                blank = 0;
            }
            blank = blank.saturating_add(width.saturating_sub(length(cell))).saturating_add(GAP);
        }
        text.push_str(out.trim_end());
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_narrow_leaves_its_share_to_others() {
        let wide = |length: usize| vec!["x".repeat(length)];
        let row = [wide(10), wide(4), wide(20), wide(200), wide(90)];
        assert_eq!(widths([&row].into_iter(), 120), [10, 4, 20, 38, 38]);
        assert_eq!(widths([&row].into_iter(), 400), [10, 4, 20, 200, 90]);
    }
}
