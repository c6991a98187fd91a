//! memcached: what is charted is what the server says of itself.

use std::path::Path;

use portolan::Service;
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{running, services_of};
use crate::inside::Inside;

/// `stats settings`, by a client that every test machine has.
fn stats(inside: &Inside, connect: &str) -> Vec<(String, String)> {
    let script = format!(
        "import socket; {connect}; s.sendall(b'stats settings\\r\\n'); data = b''\n\
         while not data.endswith(b'END\\r\\n'): data += s.recv(65536)\n\
         print(data.decode())"
    );
    let output = inside.container.exec(["python3", "-c", &script]).unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| {
        let (name, value) = line.strip_prefix("STAT ")?.split_once(' ')?;
        Some((name.to_owned(), value.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

fn listens(service: &Service) -> Vec<String> {
    service.configuration.listens.iter().map(|listen| listen.address.to_string()).collect()
}

fn agrees(service: &Service, stats: &[(String, String)]) {
    let stat = |name: &str| &stats.iter().find(|(known, _)| known == name).unwrap().1;
    let configuration = &service.configuration;
    assert!(configuration.faults.is_empty(), "{configuration:#?}");
    if let Some(megabytes) = configuration.settings.get("memory-limit") {
        assert_eq!(stat("maxbytes"), &(megabytes.parse::<u64>().unwrap() << 20).to_string());
    }
    for (setting, name) in [("conn-limit", "maxconns"), ("threads", "num_threads"), ("udp-port", "udpport")] {
        if let Some(value) = configuration.settings.get(setting) {
            assert_eq!(value, stat(name), "{setting}");
        }
    }
    let socket = listens(service).iter().find_map(|l| l.strip_prefix("unix:").map(str::to_owned));
    assert_eq!(&socket.unwrap_or_else(|| "NULL".to_owned()), stat("domain_socket"));
    let password = stat("auth_enabled_sasl") == "yes" || stat("auth_enabled_ascii") != "no";
    assert_eq!(configuration.access.password, Some(password));
}

#[test]
fn as_debians_script_starts_it() {
    require!(Need::Root, Need::Overlay, Need::Program("memcached"));
    let world = running(
        "mkdir -p /run/memcached && exec /usr/share/memcached/scripts/systemd-memcached-wrapper /etc/memcached.conf",
    );
    let inside = Inside::start(&world);
    let services = services_of(&inside, "memcached");
    let memcached = services.iter().find(|s| s.kind == "memcached").unwrap();
    agrees(memcached, &stats(&inside, "s = socket.create_connection(('127.0.0.1', 11211))"));
    assert_eq!(memcached.configuration.files[0].path, Path::new("/etc/memcached.conf"));
    assert_eq!(listens(memcached), ["127.0.0.1:11211"]);
}

#[test]
fn addresses_limits_and_no_file() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("memcached"));
    let world = World::new("memcached").command([
        "memcached",
        "-u",
        "nobody",
        "-p",
        "5000",
        "-l",
        "127.0.0.1,[::1]:5001",
        "--listen=127.0.0.2:5002",
        "-c77",
        "--memory-limit=32",
        "-vt",
        "2",
        "-U",
        "5003",
    ]);
    let inside = Inside::start(&world);
    let services = services_of(&inside, "memcached");
    let memcached = services.iter().find(|s| s.kind == "memcached").unwrap();
    agrees(memcached, &stats(&inside, "s = socket.create_connection(('127.0.0.1', 5000))"));
    assert_eq!(listens(memcached), ["127.0.0.1:5000", "[::1]:5001", "127.0.0.2:5002"]);
    let dialled: Vec<_> =
        memcached.endpoints.iter().filter_map(|e| e.address.tcp()).map(|a| a.to_string()).collect();
    assert_eq!(dialled, ["127.0.0.1:5000", "127.0.0.2:5002", "[::1]:5001"]);
    assert!(memcached.configuration.files.is_empty());
}

#[test]
fn a_socket_instead_of_ports() {
    require!(Need::Root, Need::Overlay, Need::Program("memcached"));
    let world = World::new("memcached").file("/srv/auth", "user:geheim\n").command([
        "memcached",
        "-u",
        "root",
        "-s",
        "/srv/m.sock",
        "-Y",
        "/srv/auth",
    ]);
    let inside = Inside::start(&world);
    let services = services_of(&inside, "memcached");
    let memcached = services.iter().find(|s| s.kind == "memcached").unwrap();
    assert_eq!(listens(memcached), ["unix:/srv/m.sock"]);
    let login = "s = socket.socket(socket.AF_UNIX); s.connect('/srv/m.sock'); \
                 s.sendall(b'set x 0 0 11\\r\\nuser geheim\\r\\n'); print(s.recv(99))";
    agrees(memcached, &stats(&inside, login));
    assert_eq!(memcached.configuration.files[0].path, Path::new("/srv/auth"));
    assert!(!format!("{memcached:?}").contains("geheim"));
}
