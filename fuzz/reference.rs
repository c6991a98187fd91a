//! Patterns once more, written to be read and not to be fast: it tries everything, one possibility after the other.
//! It takes only what [`Pattern::parse`](portolan_wire::pattern::Pattern::parse) took.

/// One character, as in the real matcher: a Unicode scalar, or a stray byte above all of them.
type Char = u32;

enum Item {
    One(Char),
    Any,
    Run,
    Set { negated: bool, parts: Vec<Part> },
}

enum Part {
    Range(Char, Char),
    Class(String),
}

/// Whether the path matches; `None` when that takes too long.
pub(crate) fn matches(pattern: &[u8], path: &[u8]) -> Option<bool> {
    let names: Vec<&[u8]> = path.split(|b| *b == b'/').filter(|name| !name.is_empty()).collect();
    let mut steps = 5_000;
    for plain in expand(pattern) {
        let segments: Vec<&[u8]> = split(&plain);
        let wants_directory = plain.ends_with(b"/") && !segments.is_empty();
        if (path.ends_with(b"/") || !wants_directory) && names_match(&segments, &names, &mut steps)? {
            return Some(true);
        }
    }
    Some(false)
}

/// The first pair of braces is written out, and so on with what that gives.
fn expand(text: &[u8]) -> Vec<Vec<u8>> {
    let mut at = 0;
    let mut depth = 0;
    // Where the pair opens, and where each of its choices ends.
    let (mut open, mut ends) = (0, Vec::new());
    while at < text.len() {
        let here = at;
        at += match text[at] {
            b'\\' => 2,
            b'[' => 1 + set(&text[at + 1..]).1,
            _ => 1,
        };
        match text[here] {
            b'{' => {
                depth += 1;
                if depth == 1 {
                    open = here;
                }
            }
            b',' if depth == 1 => ends.push(here),
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    ends.push(here);
                    let starts = std::iter::once(open + 1).chain(ends.iter().map(|end| end + 1));
                    let choices = starts.zip(&ends).map(|(start, end)| &text[start..*end]);
                    return choices.flat_map(|c| expand(&[&text[..open], c, &text[at..]].concat())).collect();
                }
            }
            _ => {}
        }
    }
    vec![text.to_vec()]
}

/// At the slashes that are neither in a set nor after a backslash.
fn split(text: &[u8]) -> Vec<&[u8]> {
    let (mut names, mut start, mut at) = (Vec::new(), 0, 0);
    while at < text.len() {
        match text[at] {
            b'\\' => at += 1,
            b'[' => at += set(&text[at + 1..]).1,
            b'/' => {
                names.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    names.push(&text[start..]);
    names.retain(|name| !name.is_empty());
    names
}

fn names_match(segments: &[&[u8]], names: &[&[u8]], steps: &mut u32) -> Option<bool> {
    *steps = steps.checked_sub(1)?;
    let Some((segment, rest)) = segments.split_first() else { return Some(names.is_empty()) };
    if *segment == b"**" && names_match(rest, names, steps)? {
        return Some(true);
    }
    let Some((name, others)) = names.split_first() else { return Some(false) };
    if *segment == b"**" {
        return if name.starts_with(b".") { Some(false) } else { names_match(segments, others, steps) };
    }
    Some(name_matches(segment, name, steps)? && names_match(rest, others, steps)?)
}

fn name_matches(segment: &[u8], name: &[u8], steps: &mut u32) -> Option<bool> {
    *steps = steps.checked_sub(u32::try_from(segment.len()).ok()?)?;
    let (mut items, mut literal) = (Vec::new(), Vec::new());
    let mut rest = segment;
    while let Some(first) = rest.first() {
        let (item, length) = match first {
            b'*' => (Item::Run, 1),
            b'?' => (Item::Any, 1),
            b'[' => set(&rest[1..]),
            _ => {
                let escaped = usize::from(*first == b'\\');
                let (c, length) = chars(&rest[escaped..])[0];
                literal.extend_from_slice(&rest[escaped..escaped + length]);
                (Item::One(c), escaped + length)
            }
        };
        rest = &rest[length + usize::from(*first == b'[')..];
        items.push(item);
    }
    if items.iter().all(|item| matches!(item, Item::One(_))) {
        return Some(literal == name);
    }
    // A leading dot is matched only by a dot (`glob(7)`).
    let dot = matches!(items.first(), Some(Item::One(c)) if *c == u32::from(b'.'));
    let name_chars: Vec<Char> = chars(name).into_iter().map(|(c, _)| c).collect();
    Some((dot || !name.starts_with(b".")) && items_match(&items, &name_chars, steps)?)
}

fn items_match(items: &[Item], name: &[Char], steps: &mut u32) -> Option<bool> {
    *steps = steps.checked_sub(1)?;
    let Some((item, rest)) = items.split_first() else { return Some(name.is_empty()) };
    if matches!(item, Item::Run) {
        return Some(
            items_match(rest, name, steps)? || (!name.is_empty() && items_match(items, &name[1..], steps)?),
        );
    }
    let Some((c, others)) = name.split_first() else { return Some(false) };
    let fits = match item {
        Item::One(own) => own == c,
        Item::Any | Item::Run => true,
        Item::Set { negated, parts } => *negated != parts.iter().any(|part| part.has(*c)),
    };
    Some(fits && items_match(rest, others, steps)?)
}

impl Part {
    fn has(&self, c: Char) -> bool {
        let name = match self {
            Self::Range(low, high) => return (*low..=*high).contains(&c),
            Self::Class(name) => name.as_str(),
        };
        let Some(c) = char::from_u32(c).filter(char::is_ascii) else { return false };
        match name {
            "digit" => c.is_ascii_digit(),
            "lower" => c.is_ascii_lowercase(),
            "upper" => c.is_ascii_uppercase(),
            "alpha" => c.is_ascii_alphabetic(),
            "alnum" => c.is_ascii_alphanumeric(),
            "xdigit" => c.is_ascii_hexdigit(),
            "blank" => " \t".contains(c),
            "space" => " \t\n\r\x0b\x0c".contains(c),
            "punct" => c.is_ascii_punctuation(),
            "graph" => c.is_ascii_graphic(),
            "print" => c.is_ascii_graphic() || c == ' ',
            "cntrl" => c.is_ascii_control(),
            _ => panic!("no class is called {name}"),
        }
    }
}

/// The set whose text begins after its `[`, and how many bytes of it there are, the `]` included. What has no `]` goes
/// to the end of the text.
fn set(text: &[u8]) -> (Item, usize) {
    let chars = chars(text);
    let is = |at: usize, c: u8| chars.get(at).is_some_and(|(own, _)| *own == u32::from(c));
    let one = |at: usize| {
        let at = at + usize::from(is(at, b'\\'));
        (chars.get(at).map_or(0, |(c, _)| *c), at + 1)
    };
    let negated = is(0, b'!') || is(0, b'^');
    let first = usize::from(negated);
    let (mut at, mut parts) = (first, Vec::new());
    while at < chars.len() && (at == first || !is(at, b']')) {
        if is(at, b'[') && is(at + 1, b':') {
            let name: String = chars[at + 2..]
                .iter()
                .map_while(|(c, _)| char::from_u32(*c))
                .take_while(|c| *c != ':')
                .collect();
            at += name.chars().count() + 4;
            parts.push(Part::Class(name));
            continue;
        }
        let (low, after) = one(at);
        at = after;
        let mut high = low;
        if is(at, b'-') && !is(at + 1, b']') {
            (high, at) = one(at + 1);
        }
        parts.push(Part::Range(low, high));
    }
    (Item::Set { negated, parts }, chars.iter().take(at + 1).map(|(_, length)| length).sum())
}

/// Characters and their lengths in bytes.
fn chars(text: &[u8]) -> Vec<(Char, usize)> {
    let mut chars = Vec::new();
    for chunk in text.utf8_chunks() {
        chars.extend(chunk.valid().chars().map(|c| (u32::from(c), c.len_utf8())));
        chars.extend(chunk.invalid().iter().map(|b| (0x11_0000 + u32::from(*b), 1)));
    }
    chars
}
