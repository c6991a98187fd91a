//! A container's `resolv.conf` (`resolv.conf(5)`), which may be hostile.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::proto::rr::Name;
use resolv_conf::{Config, ScopedIp};

/// More bytes than these are not looked at.
const BYTES: usize = 64 * 1024;
/// As the C library has them: `MAXNS`, and the bounds of `ndots`, `timeout` and `attempts`.
const SERVERS: usize = 3;
const NDOTS: u32 = 15;
const TIMEOUT: u32 = 30;
const ATTEMPTS: u32 = 5;
/// The C library has had no bound since 2.26, and before it six.
const SEARCH: usize = 32;

/// Whom to ask, and how.
///
/// With no name server in the text it is the one on the container's own loopback. One with a link-local address is
/// left out: hickory knows no scopes. What cannot be read is passed over, line by line.
pub(super) fn parse(text: &[u8]) -> (ResolverConfig, ResolverOpts) {
    let text = text.get(..BYTES).unwrap_or(text);
    let (conf, _) = Config::parse_with_errors(text);
    let servers = conf.nameservers.iter().filter_map(|ip| match ip {
        ScopedIp::V4(ip) => Some(IpAddr::V4(*ip)),
        ScopedIp::V6(ip, None) if !ip.is_unicast_link_local() => Some(IpAddr::V6(*ip)),
        ScopedIp::V6(..) => None,
    });
    let mut servers: Vec<IpAddr> = servers.take(SERVERS).collect();
    if conf.nameservers.is_empty() {
        servers.push(Ipv4Addr::LOCALHOST.into());
    }
    let search = conf.get_last_search_or_domain().filter_map(|name| Name::from_str_relaxed(name).ok());
    let search = search.take(SEARCH).collect();
    let servers = servers.into_iter().map(NameServerConfig::udp_and_tcp).collect();
    let config = ResolverConfig::from_parts(None, search, servers);

    let mut options = ResolverOpts::default();
    // That file would be the host's.
    options.use_hosts_file = ResolveHosts::Never;
    options.ndots = usize::try_from(conf.ndots.min(NDOTS)).unwrap_or(1);
    options.timeout = Duration::from_secs(conf.timeout.clamp(1, TIMEOUT).into());
    options.attempts = usize::try_from(conf.attempts.clamp(1, ATTEMPTS)).unwrap_or(1);
    options.edns0 = conf.edns0;
    (config, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(text: &str) -> Vec<String> {
        parse(text.as_bytes()).0.name_servers().iter().map(|server| server.ip.to_string()).collect()
    }

    #[test]
    fn servers_search_list_and_options_are_those_of_the_text() {
        let (config, options) = parse(
            b"# made by docker\nnameserver 127.0.0.11\nnameserver fd00::53\nsearch a.example b.example\n\
              options ndots:5 timeout:2 attempts:4\n",
        );
        let search: Vec<String> = config.search().iter().map(ToString::to_string).collect();
        assert_eq!(search, ["a.example", "b.example"]);
        assert_eq!((options.ndots, options.timeout.as_secs(), options.attempts), (5, 2, 4));
        assert_eq!(options.use_hosts_file, ResolveHosts::Never);
        assert!(config.domain().is_none(), "a domain that no one wrote is the host's");
        assert_eq!(servers("nameserver 127.0.0.11\nnameserver fd00::53\n"), ["127.0.0.11", "fd00::53"]);
    }

    #[test]
    fn without_a_server_it_is_the_containers_own_loopback() {
        assert_eq!(servers(""), ["127.0.0.1"]);
        assert_eq!(servers("search x\nnameserver\nnameserver not-an-address\n"), ["127.0.0.1"]);
        assert_eq!(servers("nameserver fe80::1%eth0\n"), [""; 0]);
    }

    #[test]
    fn a_hostile_text_costs_no_more_than_the_c_library_would_let_it() {
        let many: String = (0..200).map(|n| format!("nameserver 10.0.0.{n}\n")).collect();
        assert_eq!(servers(&many).len(), SERVERS);
        let (_, options) = parse(b"options ndots:4000000000 timeout:99999 attempts:99999\n");
        assert!(options.ndots <= 15 && options.timeout.as_secs() <= 30 && options.attempts <= 5);
        let (_, options) = parse(b"options timeout:0 attempts:0\n");
        assert!(options.timeout.as_secs() >= 1 && options.attempts >= 1);
        let search: String = format!("search {}\n", "x.example ".repeat(5000));
        assert!(parse(search.as_bytes()).0.search().len() <= SEARCH);
        parse(&[0xff; 100_000]);
        parse(&vec![b'a'; 3_000_000]);
    }
}
