//! Where a URI leads.

use std::net::SocketAddr;

use crate::loopback;

/// Where a URI leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// To one of these, the first that answers.
    Addresses(Vec<SocketAddr>),
    /// To a name, of which only the container knows what it means.
    Name(String, u16),
}

impl Goal {
    /// Of a URI's parts; an IPv6 address has its brackets.
    pub(super) fn of(
        scheme: Option<&str>,
        host: Option<&str>,
        port: Option<u16>,
    ) -> Result<Self, &'static str> {
        let host = host.filter(|host| !host.is_empty()).ok_or("the URI has no host")?;
        let port = match (port, scheme) {
            (Some(port), _) => port,
            (None, Some("http" | "ws")) => 80,
            (None, Some("https" | "wss")) => 443,
            (None, _) => return Err("the URI has no port, and its scheme none that is known"),
        };
        // With brackets, and with the scope that a link-local address needs.
        if let Ok(address) = format!("{host}:{port}").parse() {
            return Ok(Self::Addresses(vec![address]));
        }
        if host.starts_with('[') {
            return Err("the URI has no address between its brackets");
        }
        if loopback::is_meant(host) {
            return Ok(Self::Addresses(loopback::ADDRESSES.map(|ip| SocketAddr::new(ip, port)).into()));
        }
        Ok(Self::Name(host.to_owned(), port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(scheme: &str, host: &str, port: Option<u16>) -> Result<Vec<String>, &'static str> {
        Goal::of(Some(scheme), Some(host), port).map(|goal| match goal {
            Goal::Addresses(list) => list.iter().map(ToString::to_string).collect(),
            Goal::Name(name, port) => vec![format!("name {name} {port}")],
        })
    }

    #[test]
    fn an_address_is_what_it_says_with_its_schemes_port() {
        for (scheme, host, port, goal) in [
            ("http", "127.0.0.1", None, "127.0.0.1:80"),
            ("https", "10.0.0.7", None, "10.0.0.7:443"),
            ("https", "10.0.0.7", Some(9200), "10.0.0.7:9200"),
            ("ws", "[::1]", None, "[::1]:80"),
            ("grpc", "[fe80::1%3]", Some(5), "[fe80::1%3]:5"),
            ("http", "[::ffff:127.0.0.1]", None, "[::ffff:127.0.0.1]:80"),
            ("http", "db", Some(1), "name db 1"),
            ("http", "127.1", None, "name 127.1 80"),
            ("http", "2130706433", None, "name 2130706433 80"),
            ("http", "notlocalhost", None, "name notlocalhost 80"),
            ("http", "localhost.example", None, "name localhost.example 80"),
        ] {
            assert_eq!(to(scheme, host, port), Ok(vec![goal.to_owned()]));
        }
    }

    #[test]
    fn the_loopback_by_name_is_both_of_its_addresses() {
        for name in ["localhost", "LocalHost.", "db.localhost"] {
            assert_eq!(to("http", name, None), Ok(vec!["127.0.0.1:80".into(), "[::1]:80".into()]));
        }
    }

    #[test]
    fn what_leads_nowhere_is_told() {
        assert!(to("postgres", "127.0.0.1", None).is_err());
        assert!(to("http", "", None).is_err());
        assert!(to("http", "[::1", None).is_err());
        assert!(to("http", "[db]", None).is_err());
        assert!(Goal::of(None, None, None).is_err());
    }
}
