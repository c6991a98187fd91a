//! The text format of Prometheus, read strictly: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::collections::{BTreeMap, BTreeSet};

/// What an agent has told.
#[derive(Debug)]
pub(super) struct Exposition(Vec<Sample>);

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

impl Exposition {
    #[track_caller]
    pub(super) fn parse(text: &str) -> Self {
        assert!(text.is_empty() || text.ends_with('\n'), "the last line has no end");
        let mut families = BTreeSet::new();
        let mut family = None;
        let mut samples: Vec<Sample> = Vec::new();
        for line in text.lines() {
            if let Some(declared) = line.strip_prefix("# TYPE ") {
                let (name, kind) = declared.split_once(' ').unwrap_or_else(|| panic!("{line}"));
                assert!(is_name(name) && ["counter", "gauge"].contains(&kind), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                assert!(families.insert(name.to_owned()), "a family twice: {line}");
                family = Some(name.to_owned());
                continue;
            }
            let sample = Sample::parse(line).unwrap_or_else(|| panic!("no sample: {line:?}"));
            assert_eq!(Some(&sample.name), family.as_ref(), "not below its family: {line}");
            let twice = samples.iter().any(|s| s.name == sample.name && s.labels == sample.labels);
            assert!(!twice, "a sample twice: {line}");
            samples.push(sample);
        }
        Self(samples)
    }

    /// Of a service in a container; `""` for the host.
    fn of(&self, container: &str, kind: &str) -> Vec<&Sample> {
        let is =
            |s: &Sample, label: &str, value: &str| s.labels.get(label).map_or("", String::as_str) == value;
        self.0.iter().filter(|s| is(s, "container", container) && is(s, "service", kind)).collect()
    }

    #[track_caller]
    pub(super) fn sample(&self, name: &str, container: &str, kind: &str) -> &Sample {
        let found: Vec<_> =
            self.of(container, kind).into_iter().filter(|sample| sample.name == name).collect();
        assert_eq!(found.len(), 1, "{name} of {kind} in {container}: {self:#?}");
        found[0]
    }

    /// All but `portolan_up`.
    pub(super) fn metrics_of(&self, container: &str, kind: &str) -> BTreeMap<String, f64> {
        let own = self.of(container, kind).into_iter().filter(|sample| sample.name != "portolan_up");
        own.map(|sample| (sample.name.clone(), sample.value)).collect()
    }

    /// All samples of one name.
    pub(super) fn named(&self, name: &str) -> Vec<&Sample> {
        self.0.iter().filter(|sample| sample.name == name).collect()
    }
}

impl Sample {
    fn parse(line: &str) -> Option<Self> {
        let (name, rest) = line.split_once('{')?;
        let (mut rest, mut labels) = (rest, BTreeMap::new());
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            let new =
                is_name(label) && !label.contains(':') && labels.insert(label.to_owned(), value).is_none();
            rest = after.strip_prefix(',').unwrap_or(after);
            // A comma stands between labels only.
            if !new || rest.len() == after.len() && !rest.starts_with('}') || rest.starts_with(',') {
                return None;
            }
        }
        let value = rest.strip_prefix("} ")?;
        let value = value.parse::<f64>().ok().filter(|number| number.is_finite())?;
        is_name(name).then(|| Self { name: name.to_owned(), labels, value })
    }
}

/// A label's value up to its closing quote, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                c @ ('\\' | '"') => c,
                _ => return None,
            }),
            c => value.push(c),
        }
    }
    None
}

fn is_name(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(good)
}

#[test]
fn the_parser_is_strict() {
    let good = Sample::parse(r#"a_b{x="1",y="q\"\\\n"} 2.5"#).unwrap();
    assert_eq!((good.name.as_str(), good.value), ("a_b", 2.5));
    assert_eq!(good.labels["y"], "q\"\\\n");
    for bad in [
        r#"a{x="1"}2"#,
        r#"a{x="1"y="2"} 2"#,
        r#"1a{} 2"#,
        r#"a{x="\q"} 2"#,
        r#"a{} x"#,
        r#"a{x="1",x="2"} 2"#,
        "a",
    ] {
        assert_eq!(Sample::parse(bad), None, "{bad}");
    }
    assert!(Sample::parse("a{} 2").is_some());
}
