//! Lines of `/proc/PID/mountinfo` (`proc_pid_mountinfo(5)`), as bytes: a container's mount points are its own.
//!
//! # Example
//! ```
//! use portolan_linux::mount_info::parse;
//!
//! let text = b"36 35 98:0 /mnt\\0401 /data rw shared:1 - ext4 /dev/sda rw\n";
//! let mount = parse(text).next().expect("there is one");
//! assert_eq!((mount.id, &*mount.root, &*mount.point), (36, &b"/mnt 1"[..], &b"/data"[..]));
//! ```

use std::borrow::Cow;

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount<'a> {
    /// The mount's number, which no other mount of the system has at the time; 0 where it is none.
    pub id: u64,
    /// Major and minor number of the file system, as text.
    pub device: &'a [u8],
    /// The directory of the file system that is mounted.
    pub root: Cow<'a, [u8]>,
    /// Where it is mounted, as the process sees it.
    pub point: Cow<'a, [u8]>,
    /// The type of the file system; empty where the line breaks off before it.
    pub kind: &'a [u8],
    /// The options of the file system, still escaped; empty as above.
    pub options: &'a [u8],
}

/// The mounts, in their order; a line that is not of the form is left out.
pub fn parse(text: &[u8]) -> impl DoubleEndedIterator<Item = Mount<'_>> {
    text.split(|b| *b == b'\n').filter_map(|line| {
        let mut fields = line.split(|b| *b == b' ');
        let id = std::str::from_utf8(fields.next()?).ok().and_then(|id| id.parse().ok()).unwrap_or(0);
        let mut fields = fields.skip(1);
        let (device, root, point) = (fields.next()?, unescape(fields.next()?), unescape(fields.next()?));
        // Mount options, then any number of tags up to a lone dash; type, source and options.
        let mut fields = fields.skip(1).skip_while(|field| *field != b"-").skip(1);
        let kind = fields.next().unwrap_or_default();
        let options = fields.nth(1).unwrap_or_default();
        Some(Mount { id, device, root, point, kind, options })
    })
}

/// Blank, tab, newline and backslash are written as three octal digits.
#[must_use]
pub fn unescape(field: &[u8]) -> Cow<'_, [u8]> {
    if !field.contains(&b'\\') {
        return Cow::Borrowed(field);
    }
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
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lines() {
        let text = b"36 35 98:0 /mnt\\0401 /a\\011b rw shared:1 - ext4 /dev/x rw,a=b\nbroken\n37 36 0:5 / /proc rw\n\
            38 36 0:5 / /p rw -\n";
        let mounts: Vec<_> = parse(text).collect();
        assert_eq!(mounts.iter().map(|mount| mount.id).collect::<Vec<_>>(), [36, 37, 38]);
        assert_eq!((&*mounts[0].root, &*mounts[0].point), (&b"/mnt 1"[..], &b"/a\tb"[..]));
        assert_eq!((mounts[0].kind, mounts[0].options), (&b"ext4"[..], &b"rw,a=b"[..]));
        assert_eq!((mounts[1].device, mounts[1].kind), (&b"0:5"[..], &b""[..]));
        assert_eq!((mounts[2].kind, mounts[2].options), (&b""[..], &b""[..]));
    }
}
