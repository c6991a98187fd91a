//! Lines of `/proc/PID/mountinfo` (`proc_pid_mountinfo(5)`), as bytes: a container's mount points are its own.

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Major and minor number of the file system, as text.
    pub(crate) device: Vec<u8>,
    /// The directory of the file system that is mounted.
    pub(crate) root: Vec<u8>,
    /// Where it is mounted, as the process sees it.
    pub(crate) point: Vec<u8>,
}

/// The mounts, in their order; a line that is not of the form is left out.
pub(crate) fn parse(text: &[u8]) -> impl DoubleEndedIterator<Item = Mount> {
    text.split(|b| *b == b'\n').filter_map(|line| {
        let mut fields = line.split(|b| *b == b' ').skip(2);
        let (device, root, point) =
            (fields.next()?.to_vec(), unescape(fields.next()?), unescape(fields.next()?));
        Some(Mount { device, root, point })
    })
}

/// Blank, tab, newline and backslash are written as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((byte, after)) = rest.split_first() {
        let escaped = match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                let digit = |d: &u8| d.wrapping_sub(b'0');
                Some(digit(a).wrapping_shl(6) | digit(b).wrapping_shl(3) | digit(c))
            }
            _ => None,
        };
        plain.push(escaped.unwrap_or(*byte));
        rest = if escaped.is_some() { rest.get(4..).unwrap_or(&[]) } else { after };
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lines() {
        let text = b"36 35 98:0 /mnt\\0401 /a\\011b rw - ext4 /dev/x rw\nbroken\n37 36 0:5 / /proc rw - proc proc rw\n";
        let mounts: Vec<_> = parse(text).collect();
        assert_eq!(mounts.len(), 2);
        assert_eq!((mounts[0].root.as_slice(), mounts[0].point.as_slice()), (&b"/mnt 1"[..], &b"/a\tb"[..]));
        assert_eq!(mounts[1].device, b"0:5");
    }
}
