//! YAML of configurations: what it sets, as dotted keys with the lines where they are set.
//!
//! `a: {b: 1}` and `a.b: 1` are the same here, as they are to the services that are configured so. Only the first
//! document counts. Everything is limited: how deep, how many, and what aliases add.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// What a document sets, and what of it was not understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Yaml {
    /// In the order of the document.
    pub(crate) entries: Vec<Entry>,
    /// What was left out, by its line (the first being 1). After the last one of them nothing may have been read.
    pub(crate) faults: Vec<(u32, String)>,
}

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its keys from the outermost on, joined by dots; what is in a list of mappings has the place in it as a key:
    /// `servers.0.host`.
    pub(crate) key: String,
    /// What it is set to.
    pub(crate) value: Value,
    /// The line of its key.
    pub(crate) line: u32,
}

/// What a key is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// Nothing: `~`, `null`, or no text at all.
    Null,
    /// A text, a number, a truth value; as written, without quotes.
    One(String),
    /// Several of them.
    List(Vec<String>),
}

/// So deep may mappings and lists be nested.
const DEEPEST: usize = 32;
/// So many settings, and items of lists.
const MOST_ENTRIES: usize = 20_000;
/// The length of a key, in bytes.
const LONGEST_KEY: usize = 512;
/// What aliases may repeat in all, in bytes.
const MOST_REPEATED: usize = 64 * 1024;

/// Reads the first document. What comes before a mistake is kept.
pub(crate) fn parse(bytes: &[u8]) -> Yaml {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (text, broken) = readable(bytes);
    let mut tree = Tree::default();
    for event in Parser::new_from_str(text) {
        match event {
            Ok((Event::DocumentEnd, _)) => break,
            Ok((event, span)) => {
                let line = u32::try_from(span.start.line()).unwrap_or(u32::MAX);
                if let Err(why) = tree.take(event, line) {
                    tree.fault(line, why);
                    return tree.end();
                }
            }
            Err(error) => {
                let line = u32::try_from(error.marker().line()).unwrap_or(u32::MAX);
                tree.fault(line, error.info());
                return tree.end();
            }
        }
    }
    if let Some(line) = broken {
        tree.fault(line, "it is not UTF-8 from here on");
    }
    tree.end()
}

/// The lines that are text, and the first that is not.
fn readable(bytes: &[u8]) -> (&str, Option<u32>) {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => match text.find('\0') {
            None => return (text, None),
            Some(at) => at,
        },
        Err(error) => error.valid_up_to(),
    };
    let valid = bytes.get(..error).unwrap_or(&[]);
    let end = valid.iter().rposition(|b| *b == b'\n').map_or(0, |at| at.saturating_add(1));
    let whole = valid.get(..end).unwrap_or(&[]);
    let lines = whole.iter().filter(|b| **b == b'\n').count();
    let line = u32::try_from(lines).unwrap_or(u32::MAX).saturating_add(1);
    (std::str::from_utf8(whole).unwrap_or_default(), Some(line))
}

impl Yaml {
    /// The last setting of a key.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.key == key)
    }

    /// What a key was last set to, if that is one text.
    #[cfg(test)]
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match &self.entry(key)?.value {
            Value::One(text) => Some(text),
            Value::Null | Value::List(_) => None,
        }
    }

    /// What a key was last set to, one or several; empty where it is not set.
    pub(crate) fn texts(&self, key: &str) -> Vec<&str> {
        match self.entry(key).map(|entry| &entry.value) {
            Some(Value::One(text)) => vec![text],
            Some(Value::List(texts)) => texts.iter().map(String::as_str).collect(),
            Some(Value::Null) | None => Vec::new(),
        }
    }
}

/// A document as it is read.
#[derive(Debug, Default)]
struct Tree {
    yaml: Yaml,
    open: Vec<Open>,
    /// How many collections are open that are not read.
    skipped: usize,
    anchors: HashMap<usize, (String, ScalarStyle)>,
    repeated: usize,
    items: usize,
}

/// A collection that is being read.
#[derive(Debug)]
enum Open {
    Mapping { within: String, key: Option<Key> },
    List { key: String, line: u32, texts: Vec<String>, count: usize },
}

/// A key whose value comes next; none where the key is not a text.
type Key = (Option<String>, u32);

impl Tree {
    /// Goes on; an error ends it.
    fn take(&mut self, event: Event<'_>, line: u32) -> Result<(), &'static str> {
        match event {
            Event::Scalar(text, style, anchor, _) if self.skipped == 0 => {
                if anchor != 0 {
                    self.anchors.insert(anchor, (text.as_ref().to_owned(), style));
                }
                self.scalar(&text, style, line)
            }
            Event::Alias(anchor) if self.skipped == 0 => {
                let Some((text, style)) = self.anchors.get(&anchor).cloned() else {
                    self.fault(line, "an alias of a list or mapping is not followed");
                    self.place(line);
                    return Ok(());
                };
                self.repeated = self.repeated.saturating_add(text.len());
                if self.repeated > MOST_REPEATED {
                    return Err("aliases repeat too much");
                }
                self.scalar(&text, style, line)
            }
            Event::MappingStart(..) | Event::SequenceStart(..) if self.skipped > 0 => {
                self.skipped = self.skipped.saturating_add(1);
                if self.skipped > DEEPEST { Err("it is nested too deep") } else { Ok(()) }
            }
            Event::MappingStart(..) => self.begin(line, |within, _| Open::Mapping { within, key: None }),
            Event::SequenceStart(..) => {
                self.begin(line, |key, line| Open::List { key, line, texts: Vec::new(), count: 0 })
            }
            Event::MappingEnd | Event::SequenceEnd if self.skipped > 0 => {
                self.skipped = self.skipped.saturating_sub(1);
                Ok(())
            }
            Event::MappingEnd | Event::SequenceEnd => {
                self.close();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, line: u32) -> Result<(), &'static str> {
        self.items = self.items.saturating_add(1);
        if self.items > MOST_ENTRIES.saturating_mul(2) {
            return Err("it has too many settings");
        }
        match self.open.last_mut() {
            Some(Open::Mapping { within, key: key @ None }) => {
                let long = within.len().saturating_add(text.len()) >= LONGEST_KEY;
                let full = if within.is_empty() { text.to_owned() } else { format!("{within}.{text}") };
                *key = Some(((!long).then_some(full), line));
                if long {
                    self.fault(line, "a key is too long");
                }
            }
            Some(Open::List { texts, count, .. }) => {
                texts.push(text.to_owned());
                *count = count.saturating_add(1);
            }
            Some(Open::Mapping { .. }) => {
                let Some((key, at)) = self.place(line) else { return Ok(()) };
                let null = style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL");
                let value = if null { Value::Null } else { Value::One(text.to_owned()) };
                self.yaml.entries.push(Entry { key, value, line: at });
            }
            None if text.is_empty() => {}
            None => self.fault(line, "it is no mapping"),
        }
        Ok(())
    }

    /// Begins a collection where a value is due; elsewhere it is skipped.
    fn begin(&mut self, line: u32, open: impl Fn(String, u32) -> Open) -> Result<(), &'static str> {
        if self.open.len() >= DEEPEST {
            return Err("it is nested too deep");
        }
        if let Some(Open::Mapping { key: key @ None, .. }) = self.open.last_mut() {
            *key = Some((None, line));
            self.skipped = 1;
            self.fault(line, "a key is no text");
            return Ok(());
        }
        match self.place(line) {
            Some((key, at)) => self.open.push(open(key, at)),
            None => self.skipped = 1,
        }
        Ok(())
    }

    /// The key of the value that comes now, which is used up.
    fn place(&mut self, line: u32) -> Option<(String, u32)> {
        match self.open.last_mut() {
            Some(Open::Mapping { key, .. }) => {
                let (key, at) = key.take()?;
                key.map(|key| (key, at))
            }
            Some(Open::List { key, count, .. }) => {
                let place = *count;
                *count = count.saturating_add(1);
                Some((format!("{key}.{place}"), line)).filter(|(key, _)| key.len() < LONGEST_KEY)
            }
            None => Some((String::new(), line)),
        }
    }

    fn close(&mut self) {
        if let Some(Open::List { key, line, texts, count }) = self.open.pop()
            && !(texts.is_empty() && count > 0)
            && !key.is_empty()
        {
            self.yaml.entries.push(Entry { key, value: Value::List(texts), line });
        }
    }

    fn fault(&mut self, line: u32, why: &str) {
        // Each mistake costs a line at least, and a document of nothing else is not worth more.
        if self.yaml.faults.len() < 20 {
            self.yaml.faults.push((line, why.to_owned()));
        }
    }

    /// What was read; lists that did not end keep what they had.
    fn end(mut self) -> Yaml {
        while !self.open.is_empty() {
            self.close();
        }
        self.yaml
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Value {
        Value::One(text.to_owned())
    }

    #[test]
    fn keys_are_dotted_and_lines_counted() {
        let yaml = parse(
            b"# comment\nnet:\n  port: 27018 # here\n  bindIp: \"a,b\"\nnet.tls.mode: off\nempty:\nquoted: \"\"\n\
              roles: [master, 'data']\nhosts:\n - a\n - b:9300\nnested:\n - x: 1\n - y: 2\n",
        );
        assert_eq!(yaml.faults, []);
        assert_eq!(
            yaml.entry("net.port"),
            Some(&Entry { key: "net.port".into(), value: one("27018"), line: 3 })
        );
        assert_eq!(yaml.text("net.bindIp"), Some("a,b"));
        assert_eq!(yaml.text("net.tls.mode"), Some("off"));
        assert_eq!(yaml.entry("empty").map(|e| &e.value), Some(&Value::Null));
        assert_eq!(yaml.text("quoted"), Some(""));
        assert_eq!(yaml.texts("roles"), ["master", "data"]);
        assert_eq!(yaml.texts("hosts"), ["a", "b:9300"]);
        assert_eq!((yaml.text("nested.0.x"), yaml.text("nested.1.y")), (Some("1"), Some("2")));
        assert_eq!(yaml.entry("nested"), None);
        assert_eq!(yaml.entry("hosts").map(|e| e.line), Some(9));
    }

    #[test]
    fn the_first_document_counts_and_the_last_of_two_keys() {
        let yaml = parse(b"---\na: 1\na: 2\nlong: >-\n  one\n  two\n---\nb: 3\n");
        assert_eq!((yaml.text("a"), yaml.text("b"), yaml.text("long")), (Some("2"), None, Some("one two")));
        assert_eq!(parse(b""), Yaml::default());
        assert_eq!(parse(b"# nothing\n---\n"), Yaml::default());
    }

    #[test]
    fn what_comes_before_a_mistake_is_kept() {
        let yaml = parse(b"a: 1\nb: [x, y\nc: : :\n");
        assert_eq!(yaml.text("a"), Some("1"));
        assert_eq!(yaml.faults.len(), 1, "{yaml:?}");
        let yaml = parse(b"a: 1\nb: 2\nc: \xff\nd: 4\n");
        assert_eq!((yaml.text("b"), yaml.text("d")), (Some("2"), None));
        assert_eq!(yaml.faults, [(3, "it is not UTF-8 from here on".to_owned())]);
        let yaml = parse(b"a: 1\n? [x, y]\n: 2\nb: 3\n");
        assert_eq!((yaml.text("a"), yaml.text("b")), (Some("1"), Some("3")));
        assert_eq!(yaml.faults, [(2, "a key is no text".to_owned())]);
        assert_eq!(parse(b"just text").faults, [(1, "it is no mapping".to_owned())]);
        assert_eq!(parse(b"a: 1\0\nb: 2\n").faults.len(), 1);
    }

    #[test]
    fn aliases_of_texts_are_followed_and_limited() {
        let yaml = parse(b"a: &x text\nb: *x\nc: &m {d: 1}\ne: *m\nf: 2\n");
        assert_eq!((yaml.text("b"), yaml.text("c.d"), yaml.text("f")), (Some("text"), Some("1"), Some("2")));
        assert_eq!(yaml.faults.len(), 1);
        let bomb = format!("a: &x {}\nb: [{}*x]\n", "y".repeat(10_000), "*x ,".repeat(1000));
        let yaml = parse(bomb.as_bytes());
        assert_eq!(yaml.faults, [(2, "aliases repeat too much".to_owned())]);
    }

    #[test]
    fn depth_number_and_length_are_limited() {
        for text in ["- ".repeat(400_000), "[".repeat(900_000), "{a: ".repeat(200_000), "? ".repeat(400_000)]
        {
            assert!(!parse(text.as_bytes()).faults.is_empty());
        }
        let many: String = (0..60_000).map(|at| format!("k{at}: v\n")).collect();
        let yaml = parse(many.as_bytes());
        assert_eq!((yaml.entries.len(), yaml.faults.len()), (MOST_ENTRIES, 1));
        let long = format!("{}: {{a: 1, b: 2}}\nc: 3\n", "k".repeat(600));
        let yaml = parse(long.as_bytes());
        assert_eq!((yaml.entries.len(), yaml.text("c")), (1, Some("3")));
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_survived() {
        let text = b"a: &x [1, \"b\\n\", 'c']\nb:\n  - {d: *x, e: !!str f}\n  - |\n    g\n? h\n: i\n%TAG\n...\n---\n";
        for at in 0..text.len() {
            parse(&text[..at]);
            for byte in [0, b'\n', b'\t', b' ', b'"', b'[', b'}', b'-', b':', b'?', b'*', b'|', b'%', 0xc3] {
                let mut changed = text.to_vec();
                changed[at] = byte;
                parse(&changed);
            }
        }
    }
}
