//! Versions that services say themselves, to whoever connects. This crate connects to nothing: a caller that may gives the
//! bytes that came.

use super::upstream;
use crate::service::Version;

/// A text with a version behind it, in what a kind of service says.
#[derive(Debug)]
struct Said {
    kind: &'static str,
    text: &'static [u8],
    /// What was said, in words.
    what: &'static str,
}

const fn said(kind: &'static str, text: &'static [u8], what: &'static str) -> Said {
    Said { kind, text, what }
}

/// The letters' case does not matter in these.
const SAID: &[Said] = &[
    said("apache", b"\nServer: Apache/", "HTTP header Server"),
    said("beanstalkd", b"version: \"", "answer to stats"),
    said("elasticsearch", b"\"number\" : \"", "answer to GET /"),
    said("elasticsearch", b"\"number\":\"", "answer to GET /"),
    said("etcd", b"\"etcdserver\":\"", "answer to GET /version"),
    said("exim", b" ESMTP Exim ", "greeting"),
    said("haproxy", b"\nVersion: ", "answer to show info"),
    said("influxdb", b"\nX-Influxdb-Version: ", "HTTP header X-Influxdb-Version"),
    said("lighttpd", b"\nServer: lighttpd/", "HTTP header Server"),
    said("memcached", b"VERSION ", "answer to version"),
    said("nats", b"\"version\":\"", "INFO"),
    said("nginx", b"\nServer: nginx/", "HTTP header Server"),
    said("openresty", b"\nServer: openresty/", "HTTP header Server"),
    said("opensearch", b"\"number\" : \"", "answer to GET /"),
    said("php-fpm", b"\nX-Powered-By: PHP/", "HTTP header X-Powered-By"),
    said("postgresql", b"server_version\0", "parameter server_version"),
    said("proftpd", b"220 ProFTPD ", "greeting"),
    // A table's field of AMQP 0-9-1: its name, `S`, and its length in four bytes.
    said("rabbitmq", b"\x07versionS\0\0\0", "server properties"),
    said("redis", b"redis_version:", "answer to INFO"),
    said("sshd", b"SSH-2.0-OpenSSH_", "greeting"),
    said("openssh", b"SSH-2.0-OpenSSH_", "greeting"),
    said("valkey", b"valkey_version:", "answer to INFO"),
    said("vsftpd", b"220 (vsFTPd ", "greeting"),
    said("zookeeper", b"Zookeeper version: ", "answer to srvr"),
];

/// No more is looked at.
const MOST: usize = 64 * 1024;

/// The version in what a service of this kind said: a greeting, the head of an HTTP answer, the answer to the one question
/// that asks for it (`INFO` of Redis, `version` of memcached, `GET /` of Elasticsearch), `MySQL`'s handshake.
///
/// It connects to nothing; what came may be forged, as all that services say. `None` where nothing is recognised: many
/// services are told not to say their version.
///
/// # Example
/// ```
/// use portolan_services::version::of_banner;
///
/// let version = of_banner("sshd", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
/// assert_eq!(version.map(|version| version.text).as_deref(), Some("9.2p1"));
/// assert_eq!(of_banner("nginx", b"HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\n"), None);
/// ```
#[must_use]
pub fn of_banner(kind: &str, bytes: &[u8]) -> Option<Version> {
    let bytes = bytes.get(..MOST.min(bytes.len()))?;
    let version = |text: &str, what: &str| Version { text: text.to_owned(), source: what.to_owned() };
    if matches!(kind, "mysql" | "mariadb") {
        return handshake(bytes).map(|text| version(text, "handshake"));
    }
    for said in SAID.iter().filter(|said| said.kind == kind) {
        let mut windows = bytes.windows(said.text.len());
        let Some(at) = windows.position(|window| window.eq_ignore_ascii_case(said.text)) else { continue };
        // After the length of a field.
        let skip = usize::from(said.text.ends_with(b"S\0\0\0"));
        let rest = bytes.get(at.checked_add(said.text.len())?.checked_add(skip)?..)?;
        // What ends with the bytes may have been cut off.
        if let Some(text) = upstream::at_beginning(rest, 2).filter(|text| text.len() < rest.len()) {
            return Some(version(text, said.what));
        }
    }
    None
}

/// The first packet: three bytes of length, a number, the protocol's version, and the server's as a text ended by NUL.
/// MariaDB 10 puts `5.5.5-` before its own, for old clients.
fn handshake(bytes: &[u8]) -> Option<&str> {
    let [_, _, _, 0, 10, rest @ ..] = bytes else { return None };
    let text = rest.split(|b| *b == 0).next().filter(|text| text.len() < rest.len())?;
    upstream::at_beginning(text.strip_prefix(b"5.5.5-").unwrap_or(text), 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_services_say() {
        for (kind, bytes, version) in [
            ("sshd", &b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10\r\n"[..], Some("9.2p1")),
            ("sshd", b"SSH-2.0-dropbear_2022.83\r\n", None),
            ("nginx", b"HTTP/1.1 404 Not Found\r\nserver: nginx/1.25.3\r\n\r\n", Some("1.25.3")),
            ("apache", b"HTTP/1.1 200 OK\r\nServer: Apache\r\n", None),
            ("redis", b"$99\r\n# Server\r\nredis_version:7.2.3\r\n", Some("7.2.3")),
            ("memcached", b"VERSION 1.6.18\r\n", Some("1.6.18")),
            ("mysql", b"\x4a\0\0\0\x0a8.0.35\0\x08\0\0\0", Some("8.0.35")),
            ("mariadb", b"\x4a\0\0\0\x0a5.5.5-10.11.6-MariaDB-0+deb12u1\0", Some("10.11.6")),
            ("mariadb", b"\x4a\0\0\0\x0a11.2.2-MariaDB\0", Some("11.2.2")),
            ("mysql", b"\x4a\0\0\0\xff\x6a\x04Host is blocked\0", None),
            ("mysql", b"\x4a\0\0\0\x0a8.0", None),
            ("postgresql", b"S\0\0\0\x20server_version\x0015.18 (Debian 15.18-0)\0", Some("15.18")),
            ("rabbitmq", b"\x07versionS\0\0\0\x063.12.1\x08", Some("3.12.1")),
            ("elasticsearch", b"{ \"version\" : { \"number\" : \"8.11.1\", ", Some("8.11.1")),
            ("nats", b"INFO {\"server_id\":\"x\",\"version\":\"2.10.4\"}", Some("2.10.4")),
            ("zookeeper", b"Zookeeper version: 3.8.4-9316c2a\n", Some("3.8.4")),
            ("unheard-of", b"VERSION 1.2.3", None),
            ("redis", b"", None),
            ("redis", b"redis_version:7.2", None),
        ] {
            assert_eq!(of_banner(kind, bytes).map(|it| it.text).as_deref(), version, "{kind}");
        }
    }
}
