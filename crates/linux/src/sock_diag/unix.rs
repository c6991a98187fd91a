//! Unix sockets: request and answer of `linux/unix_diag.h`.

use super::message::{BY_FAMILY, Request, attribute};
use super::{Listening, Local, Protocol};

/// `AF_UNIX`, as the first byte of an answer.
pub(super) const FAMILY: u8 = 1;
const STREAM: u8 = 1;
const SEQPACKET: u8 = 5;
/// The state of a listening socket has TCP's number.
const LISTEN: u32 = 1 << 10;
/// `UDIAG_SHOW_NAME`, `UDIAG_SHOW_UID` (Linux 5.3; older kernels leave it out).
const SHOW: u32 = 0x1 | 0x40;
const NAME: u16 = 0;
const UID: u16 = 7;
/// `struct unix_diag_msg`.
const ANSWER: usize = 16;

/// `struct unix_diag_req`.
pub(super) fn request() -> Request {
    let any_cookie = [0xff_u8; 8];
    let parts: [&[u8]; 5] =
        [&[FAMILY, 0, 0, 0], &LISTEN.to_ne_bytes(), &0_u32.to_ne_bytes(), &SHOW.to_ne_bytes(), &any_cookie];
    Request::new(BY_FAMILY, Protocol::Unix, &parts)
}

/// Reads one `struct unix_diag_msg` and its attributes. A socket without a name cannot be connected to.
pub(super) fn listening(message: &[u8]) -> Option<Listening> {
    let (fixed, attributes) = message.split_first_chunk::<ANSWER>()?;
    let protocol = match *fixed.get(1)? {
        STREAM => Protocol::Unix,
        SEQPACKET => Protocol::UnixSeqpacket,
        _ => return None,
    };
    let number = |bytes: &[u8]| bytes.first_chunk::<4>().map(|b| u32::from_ne_bytes(*b));
    let local = match attribute(attributes, NAME)? {
        [] => return None,
        [0, name @ ..] => Local::Abstract(name.to_vec()),
        // A path ends at its first NUL, which the kernel counts in.
        path => Local::Path(path.split(|b| *b == 0).next().unwrap_or(path).to_vec()),
    };
    Some(Listening {
        protocol,
        local,
        inode: number(fixed.get(4..)?)?,
        uid: attribute(attributes, UID).and_then(number),
        interface: 0,
        v6_only: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kind: u8, name: &[u8]) -> Vec<u8> {
        let length = u16::try_from(name.len()).unwrap().checked_add(4).unwrap();
        let mut message = vec![FAMILY, kind, 10, 0];
        message.extend(7_u32.to_ne_bytes());
        message.extend([0; 8]);
        message.extend(length.to_ne_bytes());
        message.extend(NAME.to_ne_bytes());
        message.extend(name);
        message
    }

    #[test]
    fn names() {
        let local = |name: &[u8]| listening(&answer(STREAM, name)).map(|l| l.local);
        assert_eq!(local(b"/run/x\0"), Some(Local::Path(b"/run/x".to_vec())));
        assert_eq!(local(b"/run/x"), Some(Local::Path(b"/run/x".to_vec())));
        assert_eq!(local(b"\0a\0b"), Some(Local::Abstract(b"a\0b".to_vec())));
        assert_eq!(local(b""), None);
        assert_eq!(listening(&answer(2, b"/datagram\0")), None);
        for length in 0..ANSWER {
            assert_eq!(listening(&answer(STREAM, b"/x")[..length]), None);
        }
    }
}
