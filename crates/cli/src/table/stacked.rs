//! A page as lines, one thing each: for narrow terminals, and for files, in which nothing is broken.

use super::fold::fold;
use super::page::{Entry, Group, Page};
use super::{coloured, paint::Paint};

/// Where services begin, and where what is told of them begins.
const SERVICE: usize = 2;
const FACT: usize = 4;
/// The longest label, and a blank.
const LABEL: usize = 9;
/// A terminal as narrow as this has no room for what is told beside its label.
const TIGHT: usize = 48;

pub(super) fn drawn(page: &Page, width: Option<usize>) -> String {
    let mut lines = Lines { text: String::new(), width, coloured: coloured() };
    for group in &page.groups {
        lines.group(group);
        lines.text.push('\n');
    }
    lines.put(0, Paint::Plain, &page.summary);
    lines.text
}

struct Lines {
    text: String,
    width: Option<usize>,
    coloured: bool,
}

impl Lines {
    fn group(&mut self, group: &Group) {
        let head = std::iter::once(&group.name).chain(&group.about).cloned().collect::<Vec<_>>().join("  ");
        self.put(0, Paint::Bold, &head);
        for line in &group.evidence {
            self.put(SERVICE, Paint::Dim, &format!("because {line}"));
        }
        if group.services.is_empty() && group.others.is_empty() {
            self.put(SERVICE, Paint::Dim, "nothing listens");
        }
        for service in &group.services {
            self.service(service);
        }
        if !group.others.is_empty() && !group.services.is_empty() {
            self.put(SERVICE, Paint::Dim, "of no service");
        }
        let indent = if group.services.is_empty() { SERVICE } else { FACT };
        for line in &group.others {
            self.put(indent, Paint::Plain, line);
        }
    }

    fn service(&mut self, service: &Entry) {
        let version =
            if service.version.is_empty() { String::new() } else { format!(" {}", service.version) };
        self.put(SERVICE, Paint::Name, &format!("{}{version}  pid {}", service.name, service.pid));
        for (label, lines, paint) in [
            ("at", &service.reached, Paint::Plain),
            ("needs", &service.needs, Paint::Plain),
            ("status", &service.status, Paint::Plain),
            ("config", &service.config, Paint::Plain),
            ("data", &service.data, Paint::Plain),
            ("logs", &service.logs, Paint::Plain),
            ("faults", &service.faults, Paint::Trouble),
            ("because", &service.evidence, Paint::Dim),
        ] {
            self.fact(label, lines, paint);
        }
    }

    /// The label stands before the first line only.
    fn fact(&mut self, label: &str, lines: &[String], paint: Paint) {
        let tight = self.width.is_some_and(|width| width < TIGHT);
        if tight && !lines.is_empty() {
            self.put(FACT, Paint::Dim, label);
        }
        let indent = if tight { FACT.saturating_add(2) } else { FACT.saturating_add(LABEL) };
        for (number, line) in lines.iter().enumerate() {
            let folded = self.folded(indent, line);
            for (part, line) in folded.iter().enumerate() {
                let label = if number == 0 && part == 0 && !tight { label } else { "" };
                let label = format!("{label:<0$}", indent.saturating_sub(FACT));
                let before = Paint::Dim.on(label, self.coloured && number == 0 && part == 0 && !tight);
                let line = paint.on(line, self.coloured);
                self.text.push_str(&format!("{:FACT$}{before}{line}\n", ""));
            }
        }
    }

    fn put(&mut self, indent: usize, paint: Paint, line: &str) {
        for line in self.folded(indent, line) {
            let line = paint.on(line, self.coloured);
            self.text.push_str(&format!("{:indent$}{line}\n", ""));
        }
    }

    fn folded(&self, indent: usize, line: &str) -> Vec<String> {
        match self.width {
            Some(width) => fold(line, width.saturating_sub(indent).max(1)),
            None => vec![line.to_owned()],
        }
    }
}
