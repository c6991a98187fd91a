//! Addresses of the directive `listen`, and who listens on them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use portolan_linux::error::Escaped;

use super::tree::Statement;
use crate::configuration::{Listen, ListenAddress, Purpose};

/// What one `listen` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listening {
    pub(super) address: ListenAddress,
    pub(super) tls: bool,
    /// Whether its server answers requests for hosts that no server has.
    pub(super) default: bool,
}

/// Ports of one `listen`: its ranges end somewhere.
const MOST_PORTS: u16 = 1024;

/// Reads a `listen`; a port without an address is on all of IPv4.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(statement: &Statement, usual_port: Option<u16>) -> Result<Vec<Listening>, String> {
    let Some(text) = statement.argument(0) else { return Err("listen without an address".into()) };
    let tls = statement.has("ssl") || statement.has("quic");
    let default = statement.has("default_server") || statement.has("default");
    let addresses =
        addresses(text, usual_port).ok_or_else(|| format!("listen {}: that is no address", Escaped(text)))?;
    Ok(addresses.into_iter().map(|address| Listening { address, tls, default }).collect())
}

fn addresses(text: &[u8], usual_port: Option<u16>) -> Option<Vec<ListenAddress>> {
    if text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"unix:")) {
        let path = text.get(5..)?;
        // A path of a Unix socket, and never a relative one that anybody could find again.
        return path
            .starts_with(b"/")
            .then(|| vec![ListenAddress::Unix(PathBuf::from(std::ffi::OsString::from_vec(path.to_vec())))]);
    }
    let text = std::str::from_utf8(text).ok()?;
    let (host, ports) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            let address = IpAddr::V6(host.parse::<Ipv6Addr>().ok()?);
            (Host::Address(address), if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, ports)) => (Host::parse(host)?, Some(ports)),
            None if text.starts_with(|c: char| c.is_ascii_digit()) && !text.contains('.') => {
                (Host::Address(Ipv4Addr::UNSPECIFIED.into()), Some(text))
            }
            None => (Host::parse(text)?, None),
        },
    };
    let (first, last) = match ports {
        None => (usual_port?, usual_port?),
        Some(ports) => match ports.split_once('-') {
            Some((first, last)) => (port(first)?, port(last)?),
            None => (port(ports)?, port(ports)?),
        },
    };
    if last < first {
        return None;
    }
    let last = last.min(first.saturating_add(MOST_PORTS));
    Some((first..=last).map(|port| host.at(port)).collect())
}

enum Host {
    Address(IpAddr),
    Name(String),
}

impl Host {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "" => None,
            "*" => Some(Self::Address(Ipv4Addr::UNSPECIFIED.into())),
            text => match text.parse::<Ipv4Addr>() {
                Ok(address) => Some(Self::Address(address.into())),
                Err(_) => {
                    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
                    text.bytes().all(letters).then(|| Self::Name(text.to_owned()))
                }
            },
        }
    }

    fn at(&self, port: u16) -> ListenAddress {
        match self {
            Self::Address(address) => ListenAddress::Inet(Some(*address), port),
            Self::Name(name) => ListenAddress::Name(name.clone(), port),
        }
    }
}

fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

/// All addresses of a configuration: several servers can share one, and it speaks TLS if any of them says so.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    places: BTreeMap<ListenAddress, usize>,
    list: Vec<Listen>,
}

/// All addresses of all servers.
pub(super) const MOST_LISTENERS: usize = 10_000;

impl Listeners {
    /// Notes an address.
    pub(super) fn add(&mut self, address: &ListenAddress, tls: bool, purpose: Purpose) {
        if let Some(known) = self.places.get(address).and_then(|place| self.list.get_mut(*place)) {
            known.tls = Some(tls || known.tls == Some(true));
            known.purpose = known.purpose.min(purpose);
            return;
        }
        self.places.insert(address.clone(), self.list.len());
        self.list.push(Listen { address: address.clone(), tls: Some(tls), purpose });
    }

    pub(super) fn into_list(self) -> Vec<Listen> {
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<Vec<String>> {
        Some(addresses(text.as_bytes(), Some(80))?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn addresses_in_all_forms() {
        for (text, address) in [
            ("8080", "0.0.0.0:8080"),
            ("*:81", "0.0.0.0:81"),
            ("*", "0.0.0.0:80"),
            ("127.0.0.1", "127.0.0.1:80"),
            ("127.0.0.1:82", "127.0.0.1:82"),
            ("[::]:83", "[::]:83"),
            ("[::1]", "[::1]:80"),
            ("localhost", "localhost:80"),
            ("web.example:84", "web.example:84"),
            ("unix:/run/a b.sock", "unix:/run/a b.sock"),
        ] {
            assert_eq!(shown(text), Some(vec![address.to_owned()]), "{text}");
        }
        assert_eq!(shown("127.0.0.1:90-92").unwrap().len(), 3);
        assert_eq!(shown("1-65535").unwrap().len(), 1025);
        for wrong in ["", "0", "65536", "[::", "[::1]80", "a:", ":80", "+80", "9-8", "unix:", "unix:x", "*:x"]
        {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn servers_share_addresses() {
        let mut listeners = Listeners::default();
        let address = ListenAddress::Inet(None, 443);
        listeners.add(&address, false, Purpose::Status);
        listeners.add(&address, true, Purpose::Service);
        let listen = Listen { address, tls: Some(true), purpose: Purpose::Service };
        assert_eq!(listeners.into_list(), [listen]);
    }
}
