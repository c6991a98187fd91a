//! Netlink's own layer: headers, the end of a dump, attributes (`netlink(7)`).

/// `SOCK_DIAG_BY_FAMILY` and `TCPDIAG_GETSOCK` of `linux/sock_diag.h` and `linux/inet_diag.h`.
pub(super) const BY_FAMILY: u16 = 20;
pub(super) const BOTH_FAMILIES: u16 = 18;
/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `NLM_F_DUMP_INTR`.
const INTERRUPTED: u16 = 0x10;
/// Header, `struct inet_diag_req_v2` and one attribute: the longest of our requests.
const LONGEST: usize = 80;

/// A request for a dump, but for its sequence number.
#[derive(Debug, Clone)]
pub(super) struct Request {
    bytes: [u8; LONGEST],
    length: usize,
    protocol: super::Protocol,
}

impl Request {
    /// From the parts of its body.
    pub(super) fn new(kind: u16, protocol: super::Protocol, body: &[&[u8]]) -> Self {
        let length = body.iter().map(|part| part.len()).fold(HEADER, usize::saturating_add).min(LONGEST);
        let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_DUMP).unwrap_or(0);
        let size = u32::try_from(length).unwrap_or(0);
        let header: [&[u8]; 5] =
            [&size.to_ne_bytes(), &kind.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 4], &[0; 4]];
        let mut bytes = [0; LONGEST];
        for (to, from) in bytes.iter_mut().zip(header.iter().chain(body).flat_map(|part| part.iter())) {
            *to = *from;
        }
        Self { bytes, length, protocol }
    }

    /// What its answers are listeners of.
    pub(super) fn protocol(&self) -> super::Protocol {
        self.protocol
    }

    pub(super) fn with_sequence(&self, sequence: u32) -> Vec<u8> {
        let mut bytes = self.bytes;
        for (to, from) in bytes.iter_mut().skip(8).zip(sequence.to_ne_bytes()) {
            *to = from;
        }
        bytes.get(..self.length).unwrap_or(&bytes).to_vec()
    }

    /// For one socket and not a dump of all.
    pub(super) fn for_one(mut self) -> Self {
        let flags = u16::try_from(libc::NLM_F_REQUEST).unwrap_or(0);
        for (to, from) in self.bytes.iter_mut().skip(6).zip(flags.to_ne_bytes()) {
            *to = from;
        }
        self
    }
}

/// Reads one datagram of messages; `Ok(true)` at the end of the dump, `Err` with the kernel's errno.
pub(super) fn read(
    mut bytes: &[u8],
    sequence: u32,
    whole: &mut bool,
    each: &mut impl FnMut(u16, &[u8]),
) -> Result<bool, i32> {
    while !bytes.is_empty() {
        let header: &[u8; HEADER] = bytes.first_chunk().ok_or(libc::EBADMSG)?;
        let [l0, l1, l2, l3, t0, t1, f0, f1, s0, s1, s2, s3, ..] = *header;
        let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).map_err(|_| libc::EBADMSG)?;
        let message = bytes.get(HEADER..length).ok_or(libc::EBADMSG)?;
        // Messages begin at multiples of four; the last one may lack its padding.
        let next = length.checked_next_multiple_of(4).ok_or(libc::EBADMSG)?;
        bytes = bytes.get(next..).unwrap_or(&[]);
        if u32::from_ne_bytes([s0, s1, s2, s3]) != sequence {
            continue; // left over from a dump that was given up
        }
        *whole &= u16::from_ne_bytes([f0, f1]) & INTERRUPTED == 0;
        let kind = u16::from_ne_bytes([t0, t1]);
        match i32::from(kind) {
            // The end can carry an error as well: a dump that failed half way.
            libc::NLMSG_DONE => {
                return error_number(message).map_or(Ok(true), |e| if e == 0 { Ok(true) } else { Err(e) });
            }
            libc::NLMSG_ERROR => {
                return Err(error_number(message).filter(|e| *e != 0).unwrap_or(libc::EBADMSG));
            }
            _ => each(kind, message),
        }
    }
    Ok(false)
}

fn error_number(message: &[u8]) -> Option<i32> {
    message.first_chunk::<4>().map(|bytes| i32::from_ne_bytes(*bytes).saturating_neg())
}

/// The value of the first attribute of a type.
pub(super) fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let [l0, l1, t0, t1] = *bytes.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = bytes.get(4..length)?;
        if u16::from_ne_bytes([t0, t1]) == wanted {
            return Some(value);
        }
        bytes = bytes.get(length.checked_next_multiple_of(4)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_messages_are_refused() {
        let mut whole = true;
        // A message that says it is longer than what came, or shorter than its header.
        for length in [0_u32, 15, 17, u32::MAX] {
            let mut bytes = [0_u8; HEADER];
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(read(&bytes, 0, &mut whole, &mut |_, _| {}), Err(libc::EBADMSG));
        }
        assert_eq!(attribute(&[0, 0, 0, 0, 0], 11), None, "an attribute of length zero must not loop");
        assert_eq!(attribute(&[5, 0, 11, 0, 1], 11), Some(&[1_u8][..]));
    }

    #[test]
    fn errors_at_the_end_are_errors() {
        let message = |kind: i32, errno: i32| {
            let mut bytes = [0_u8; 20];
            bytes[..4].copy_from_slice(&20_u32.to_ne_bytes());
            bytes[4..6].copy_from_slice(&u16::try_from(kind).unwrap().to_ne_bytes());
            bytes[16..].copy_from_slice(&(-errno).to_ne_bytes());
            bytes
        };
        let end = |bytes: &[u8]| read(bytes, 0, &mut true, &mut |_, _| {});
        assert_eq!(end(&message(libc::NLMSG_DONE, 0)), Ok(true));
        assert_eq!(end(&message(libc::NLMSG_DONE, libc::ENOMEM)), Err(libc::ENOMEM));
        assert_eq!(end(&message(libc::NLMSG_ERROR, libc::EPERM)), Err(libc::EPERM));
    }
}
