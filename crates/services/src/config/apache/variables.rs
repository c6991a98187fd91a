//! Names that configurations use: `-D`, `Define`, and the process's variables.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::line::Lines;
use crate::launch::Launch;

/// What is defined.
#[derive(Debug)]
pub(super) struct Variables<'a> {
    launch: &'a Launch,
    /// For `<IfDefine>`, to which case matters.
    names: BTreeSet<Vec<u8>>,
    /// For `${}`, to which it does not.
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What Debian's start script exports, where the process's own variables do not say it.
    exported: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The process's variables that were looked for: each look goes over all of them.
    asked: RefCell<BTreeMap<Vec<u8>, Option<&'a [u8]>>>,
}

/// So many variables of the process are looked for.
const MOST_ASKED: usize = 1000;

/// So long may a line become.
const LONGEST: usize = 64 * 1024;

impl<'a> Variables<'a> {
    pub(super) fn new(launch: &'a Launch, names: Vec<Vec<u8>>) -> Self {
        let names = names.into_iter().collect();
        let asked = RefCell::default();
        Self { launch, names, values: BTreeMap::new(), exported: BTreeMap::new(), asked }
    }

    pub(super) fn define(&mut self, name: Vec<u8>, value: Option<Vec<u8>>) {
        if let Some(value) = value {
            self.values.insert(name.to_ascii_lowercase(), value);
        }
        self.names.insert(name);
    }

    pub(super) fn undefine(&mut self, name: &[u8]) {
        self.names.remove(name);
        self.values.remove(&name.to_ascii_lowercase());
    }

    pub(super) fn is_defined(&self, name: &[u8]) -> bool {
        self.names.contains(name)
    }

    /// A text with its variables replaced, once; what is not known stays as it is. `None` where it becomes too long.
    pub(super) fn resolve(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut resolved = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.windows(2).position(|pair| pair == b"${") {
            let (before, from) = rest.split_at_checked(at)?;
            resolved.extend_from_slice(before);
            let Some(end) = from.iter().position(|b| *b == b'}') else {
                rest = from;
                break;
            };
            let whole = from.get(..=end)?;
            let name = from.get(2..end)?;
            resolved.extend_from_slice(self.value(name).unwrap_or(whole));
            rest = from.get(end.saturating_add(1)..)?;
            if resolved.len() > LONGEST {
                return None;
            }
        }
        resolved.extend_from_slice(rest);
        // A long line without variables is just a long line.
        (resolved.len() <= LONGEST || resolved.len() <= text.len()).then_some(resolved)
    }

    fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.values
            .get(&name.to_ascii_lowercase())
            .map(Vec::as_slice)
            .or_else(|| self.of_process(name))
            .or_else(|| self.exported.get(name).map(Vec::as_slice))
    }

    fn of_process(&self, name: &[u8]) -> Option<&[u8]> {
        let mut asked = self.asked.borrow_mut();
        if let Some(known) = asked.get(name) {
            return *known;
        }
        if asked.len() >= MOST_ASKED {
            return None;
        }
        let value = self.launch.variable(std::str::from_utf8(name).ok()?);
        asked.insert(name.to_vec(), value);
        value
    }

    /// Takes what Debian's `envvars` exports, as far as it is plain: `export X=value$SUFFIX`, `: ${X:=value}`.
    pub(super) fn export(&mut self, file: Arc<[u8]>, root: &Path) {
        use std::os::unix::ffi::OsStrExt as _;
        let suffix = root.as_os_str().as_bytes().strip_prefix(b"/etc/apache2").unwrap_or(&[]);
        for line in Lines::of(file).take(1000) {
            let text = line.text.strip_prefix(b"export ").unwrap_or(&line.text);
            let (name, value) = if let Some(inner) = text.strip_prefix(b": ${") {
                let Some(at) = inner.windows(2).position(|pair| pair == b":=") else { continue };
                let value = inner.get(at.saturating_add(2)..).and_then(|value| value.strip_suffix(b"}"));
                (inner.get(..at), value)
            } else {
                let Some(at) = text.iter().position(|b| *b == b'=') else { continue };
                (text.get(..at), text.get(at.saturating_add(1)..))
            };
            let (Some(name), Some(value)) = (name, value) else { continue };
            if !name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_') {
                continue;
            }
            let (value, add) = match value.strip_suffix(b"$SUFFIX") {
                Some(value) => (value, suffix),
                None => (value, &[][..]),
            };
            let value = [value.trim_ascii(), add].concat();
            // Whatever a shell would have to work out is not known.
            if !value.iter().any(|b| matches!(b, b'$' | b'`' | b'\'' | b'"' | b' ' | b'\\')) {
                self.exported.insert(name.to_vec(), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_go_before_the_environment() {
        let launch = Launch::test("/x", &[], &[("A", "env"), ("B", "b")]);
        let mut variables = Variables::new(&launch, vec![b"SSL".to_vec()]);
        variables.define(b"a".to_vec(), Some(b"defined".to_vec()));
        assert!(variables.is_defined(b"SSL") && variables.is_defined(b"a") && !variables.is_defined(b"A"));
        assert_eq!(variables.resolve(b"${A}/${B}/${C}/$B ${").unwrap(), b"defined/b/${C}/$B ${");
        variables.undefine(b"a");
        assert_eq!(variables.resolve(b"${a}${A}").unwrap(), b"${a}env");
        variables.define(b"long".to_vec(), Some(vec![b'x'; 40_000]));
        assert_eq!(variables.resolve(b"${LONG}${long}"), None);
    }

    #[test]
    fn what_the_start_script_exports_counts_last() {
        let launch = Launch::test("/x", &[], &[("APACHE_RUN_USER", "me")]);
        let mut variables = Variables::new(&launch, Vec::new());
        let file = b"export APACHE_LOG_DIR=/var/log/apache2$SUFFIX\n: ${APACHE_RUN_DIR:=/run/apache2}\n\
                     export APACHE_RUN_USER=www-data\nexport X=`id`\n";
        variables.export(Arc::from(&file[..]), Path::new("/etc/apache2-two"));
        let text = variables.resolve(b"${APACHE_LOG_DIR} ${APACHE_RUN_DIR} ${APACHE_RUN_USER} ${X}").unwrap();
        assert_eq!(text, b"/var/log/apache2-two /run/apache2 me ${X}");
    }
}
