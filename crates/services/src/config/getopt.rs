//! Arguments as `getopt(3)` and `getopt_long(3)` take them apart.

/// One option or operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Argument<'a> {
    /// `-p 1`, `-p1`, `-d`.
    Short(u8, &'a [u8]),
    /// `--port=1`, `--port 1`, `--verbose`.
    Long(&'a [u8], Option<&'a [u8]>),
    /// What is no option, and what follows `--`.
    Operand(&'a [u8]),
}

/// Takes arguments apart, the program's name left out. `valued` are the letters that have a value, `long` the names
/// that have one even without `=`.
pub(crate) fn parse<'a>(arguments: &'a [Vec<u8>], valued: &[u8], long: &[&str]) -> Vec<Argument<'a>> {
    let mut found = Vec::new();
    let mut left = arguments.iter().skip(1).map(Vec::as_slice);
    while let Some(argument) = left.next() {
        match argument {
            b"--" => {
                found.extend(left.by_ref().map(Argument::Operand));
            }
            [b'-', b'-', name @ ..] => {
                let mut parts = name.splitn(2, |b| *b == b'=');
                let (name, value) = (parts.next().unwrap_or(name), parts.next());
                let separate = value.is_none() && long.iter().any(|known| known.as_bytes() == name);
                let value = if separate { left.next() } else { value };
                found.push(Argument::Long(name, value));
            }
            [b'-', letters @ ..] if !letters.is_empty() => {
                let mut letters = letters;
                while let [letter, rest @ ..] = letters {
                    if valued.contains(letter) {
                        let value = if rest.is_empty() { left.next().unwrap_or(b"") } else { rest };
                        found.push(Argument::Short(*letter, value));
                        break;
                    }
                    found.push(Argument::Short(*letter, b""));
                    letters = rest;
                }
            }
            operand => found.push(Argument::Operand(operand)),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_values_and_operands() {
        let arguments: Vec<Vec<u8>> =
            ["x", "-dp", "1", "-l127.0.0.1", "--port=2", "--conf", "a", "-", "--", "-d"]
                .map(|a| a.as_bytes().to_vec())
                .into();
        assert_eq!(
            parse(&arguments, b"pl", &["conf"]),
            [
                Argument::Short(b'd', b""),
                Argument::Short(b'p', b"1"),
                Argument::Short(b'l', b"127.0.0.1"),
                Argument::Long(b"port", Some(b"2")),
                Argument::Long(b"conf", Some(b"a")),
                Argument::Operand(b"-"),
                Argument::Operand(b"-d"),
            ]
        );
    }
}
