//! Addresses of HAProxy: where it binds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use crate::configuration::ListenAddress;

/// Ports of one address: its ranges end somewhere.
const MOST_PORTS: u16 = 1024;
/// The bytes of a name in `struct sockaddr_un` after its first zero.
const ABSTRACT_NAME: usize = 107;

/// The addresses of a list with commas; a descriptor that is inherited is none.
///
/// # Errors
/// The one that is none.
pub(super) fn parse(list: &[u8], unix_prefix: &[u8]) -> Result<Vec<ListenAddress>, Vec<u8>> {
    let mut addresses = Vec::new();
    for text in list.split(|byte| *byte == b',').filter(|text| !text.is_empty()) {
        addresses.extend(one(text, unix_prefix).ok_or_else(|| text.to_vec())?);
    }
    Ok(addresses)
}

fn one(text: &[u8], unix_prefix: &[u8]) -> Option<Vec<ListenAddress>> {
    let mut text = text;
    for kind in [&b"stream+"[..], b"dgram+"] {
        text = text.strip_prefix(kind).unwrap_or(text);
    }
    let family =
        ["tcp", "udp", "quic", "mptcp", "ip", "uxdg", "uxst", "unix", "abns", "fd", "sockpair", "rhttp"];
    let mut v6 = None;
    let (mut unix, mut name) = (false, None);
    if let Some(at) = text.iter().position(|byte| *byte == b'@')
        && let Some(prefix) = text.get(..at).and_then(|prefix| std::str::from_utf8(prefix).ok())
        && family.iter().any(|family| prefix.starts_with(family))
    {
        text = text.get(at.saturating_add(1)..)?;
        match prefix {
            "fd" | "sockpair" | "rhttp" => return Some(Vec::new()),
            "unix" | "uxst" | "uxdg" => unix = true,
            "abns" | "abnsz" => name = Some(prefix == "abns"),
            _ if prefix.ends_with('6') => v6 = Some(true),
            _ if prefix.ends_with('4') => v6 = Some(false),
            _ => {}
        }
    }
    if let Some(padded) = name {
        let mut bytes = text.to_vec();
        bytes.truncate(ABSTRACT_NAME);
        // The kernel takes the whole of the structure for the name.
        if padded {
            bytes.resize(ABSTRACT_NAME, 0);
        }
        return Some(vec![ListenAddress::Abstract(bytes)]);
    }
    if unix || text.starts_with(b"/") {
        let mut path = unix_prefix.to_vec();
        path.extend(text);
        // A relative one is relative to where the process was when it began, which nobody can tell later on.
        let absolute = path.starts_with(b"/");
        return absolute
            .then(|| vec![ListenAddress::Unix(PathBuf::from(std::ffi::OsString::from_vec(path)))]);
    }
    inet(std::str::from_utf8(text).ok()?, v6)
}

fn inet(text: &str, v6: Option<bool>) -> Option<Vec<ListenAddress>> {
    // The port is after the last colon, whatever comes before.
    let (host, ports) = text.rsplit_once(':')?;
    let plain = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let address = match plain.unwrap_or(host) {
        "" | "*" if v6 == Some(true) => Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        "" | "*" => Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        // `:::443` is `::`, a colon, and the port.
        host => host.parse::<IpAddr>().map_err(|_| host),
    };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last) = (port(first)?, port(last)?);
    if last < first {
        return None;
    }
    let last = last.min(first.saturating_add(MOST_PORTS));
    let at = |port| match address {
        Ok(address) => Some(ListenAddress::Inet(Some(address), port)),
        Err(name) => {
            let letters = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            name.bytes().all(letters).then(|| ListenAddress::Name(name.to_owned(), port))
        }
    };
    (first..=last).map(at).collect()
}

fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        match parse(text.as_bytes(), b"") {
            Ok(addresses) => addresses.iter().map(ToString::to_string).collect(),
            Err(wrong) => vec![format!("wrong: {}", String::from_utf8(wrong).unwrap())],
        }
    }

    #[test]
    fn addresses_in_all_forms() {
        for (text, expected) in [
            (":80", "0.0.0.0:80"),
            ("*:80", "0.0.0.0:80"),
            ("10.0.0.1:80", "10.0.0.1:80"),
            (":::443", "[::]:443"),
            ("[::]:443", "[::]:443"),
            ("::1:443", "[::1]:443"),
            ("[::1]:443", "[::1]:443"),
            ("ipv4@:80", "0.0.0.0:80"),
            ("ipv6@:80", "[::]:80"),
            ("ipv6@*:80", "[::]:80"),
            ("ipv4@127.0.0.1:80", "127.0.0.1:80"),
            ("quic4@:443", "0.0.0.0:443"),
            ("tcp6@:81", "[::]:81"),
            ("localhost:80", "localhost:80"),
            ("/run/a.sock", "unix:/run/a.sock"),
            ("unix@/run/a.sock", "unix:/run/a.sock"),
        ] {
            assert_eq!(shown(text), [expected], "{text}");
        }
        assert_eq!(shown("10.0.0.1:80-82,:9,/x").len(), 5);
        assert!(shown("fd@5").is_empty());
        for wrong in ["80", ":", ":x", ":0", ":70000", "unix@x", "a b:80", ":9-8"] {
            assert_eq!(shown(wrong), [format!("wrong: {wrong}")]);
        }
        let name = parse(b"abns@x", b"").unwrap();
        assert!(matches!(&name[..], [ListenAddress::Abstract(name)] if name.len() == 107 && name[0] == b'x'));
        assert_eq!(parse(b"unix@x", b"/p/").unwrap(), [ListenAddress::Unix("/p/x".into())]);
    }
}
