//! `<Macro>`: lines under a name, used with other words in them.

use super::line::{Line, words};

/// A macro.
#[derive(Debug, Clone)]
pub(super) struct Macro {
    parameters: Vec<Vec<u8>>,
    lines: Vec<Line>,
    /// The length of all lines, which is what it costs to use it.
    pub(super) length: usize,
}

/// So many parameters may one have.
const MOST_PARAMETERS: usize = 32;
/// So many bytes may the use of a macro become.
const LONGEST: usize = 256 * 1024;

impl Macro {
    /// From what follows the name, and the lines up to its end.
    pub(super) fn new(parameters: &[u8], lines: Vec<Line>) -> Self {
        let parameters = words(parameters).into_iter().filter(|parameter| !parameter.is_empty()).collect();
        let length = lines.iter().map(|line| line.text.len()).fold(0, usize::saturating_add);
        Self { parameters, lines, length }
    }

    /// Its lines with values for its parameters, all with the number of the line that uses it. An error says why not.
    pub(super) fn used(&self, values: &[Vec<u8>], number: u32) -> Result<Vec<Line>, &'static str> {
        if values.len() != self.parameters.len() {
            return Err("a macro is used with more or fewer values than it has parameters");
        }
        if values.len() > MOST_PARAMETERS {
            return Err("a macro has too many parameters");
        }
        let mut length = 0_usize;
        let mut lines = Vec::with_capacity(self.lines.len());
        for line in &self.lines {
            let text = self.substituted(&line.text, values);
            length = length.saturating_add(text.len());
            if length > LONGEST {
                return Err("a macro becomes too long");
            }
            lines.push(Line { number, text });
        }
        Ok(lines)
    }

    /// The parameters are replaced where they are found from the left, the longest first; never in what replaced one.
    fn substituted(&self, text: &[u8], values: &[Vec<u8>]) -> Vec<u8> {
        let mut new = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((first, left)) = rest.split_first() {
            let fitting = self.parameters.iter().zip(values).filter(|(name, _)| rest.starts_with(name));
            match fitting.max_by_key(|(name, _)| name.len()) {
                Some((name, value)) if new.len() < LONGEST => {
                    new.extend_from_slice(value);
                    rest = rest.get(name.len()..).unwrap_or(&[]);
                }
                _ => {
                    new.push(*first);
                    rest = left;
                }
            }
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_replaced_once_and_the_longest_first() {
        let line = Line { number: 3, text: b"x $a$ab@c ${a}".to_vec() };
        let known = Macro::new(b"$a $ab @c", vec![line]);
        let values = [b"$ab".to_vec(), b"2".to_vec(), b"".to_vec()];
        let lines = known.used(&values, 9).unwrap();
        assert_eq!(lines, [Line { number: 9, text: b"x $ab2 ${a}".to_vec() }]);
        assert!(known.used(&values[..2], 9).is_err());
        let bomb = Macro::new(b"$a", vec![Line { number: 1, text: b"$a".repeat(1000) }]);
        assert!(bomb.used(&[vec![b'x'; 60_000]], 1).is_err());
    }
}
