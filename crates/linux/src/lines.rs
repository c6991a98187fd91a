//! The lines of a text file of `/proc`, one at a time: it can be longer than we would like to keep.

use std::io::{self, BufRead as _, BufReader, Read};
use std::ops::ControlFlow;
use std::time::Instant;

const BUFFER: usize = 16 * 1024;

/// Calls `each` with every line, without its end, until it breaks.
///
/// A line longer than `longest` bytes is left out, and so is a last one that has no end: both could be taken for
/// what they are not. The memory that this takes is bounded by `longest`.
///
/// # Errors
/// Those of reading; `TimedOut` when the deadline has passed.
pub(crate) fn each(
    source: impl Read,
    longest: usize,
    deadline: Instant,
    mut each: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> io::Result<()> {
    let mut source = BufReader::with_capacity(BUFFER, source);
    let mut line = Vec::new();
    let mut too_long = false;
    loop {
        if Instant::now() >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let chunk = match source.fill_buf() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if chunk.is_empty() {
            return Ok(());
        }
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            too_long |= line.len().saturating_add(text.len()) > longest;
            if !too_long {
                line.extend_from_slice(text);
            }
            if ends {
                if !too_long && each(&line).is_break() {
                    return Ok(());
                }
                line.clear();
                too_long = false;
            }
        }
        let length = chunk.len();
        source.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Gives one byte at a time, as a reader may.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            into[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    fn lines(text: &[u8]) -> Vec<Vec<u8>> {
        let read = |source: &mut dyn Read| {
            let mut lines = Vec::new();
            each(source, 5, Instant::now().checked_add(Duration::from_secs(9)).unwrap(), |line| {
                lines.push(line.to_vec());
                ControlFlow::Continue(())
            })
            .unwrap();
            lines
        };
        let lines = read(&mut &text[..]);
        assert_eq!(lines, read(&mut Slow(text)));
        lines
    }

    #[test]
    fn whole_lines_that_are_not_too_long() {
        assert_eq!(lines(b""), Vec::<Vec<u8>>::new());
        assert_eq!(lines(b"ab\n\n12345\n123456\ncd\n"), [&b"ab"[..], b"", b"12345", b"cd"]);
        assert_eq!(lines(b"ab\nunended"), [b"ab"]);
        assert_eq!(lines(&[b'x'; 100_000]), Vec::<Vec<u8>>::new());
        let mut long = vec![b'x'; 100_000];
        long.extend_from_slice(b"\nend\n");
        assert_eq!(lines(&long), [b"end"]);
    }

    #[test]
    fn an_endless_source_ends_at_the_deadline() {
        let soon = Instant::now() + Duration::from_millis(20);
        let error = each(io::repeat(b'\n'), 5, soon, |_| ControlFlow::Continue(())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        each(io::repeat(b'\n'), 5, soon + Duration::from_secs(9), |_| ControlFlow::Break(())).unwrap();
    }
}
