//! Redis: what is charted is what the server says of itself.

use std::path::Path;

use portolan::{ErrorKind, Service};
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{running, services_when};
use crate::inside::Inside;

/// The servers inside, once so many listen.
fn servers(inside: &Inside, number: usize) -> Vec<Service> {
    let ready = |s: &&Service| s.kind.starts_with("redis") && !s.endpoints.is_empty();
    let services =
        services_when(&inside.container, |services| services.iter().filter(ready).count() == number);
    services.into_iter().filter(|service| service.kind.starts_with("redis")).collect()
}

fn listens(service: &Service) -> Vec<String> {
    service.configuration.listens.iter().map(|listen| listen.address.to_string()).collect()
}

/// `CONFIG GET`.
fn ask(inside: &Inside, client: &str, name: &str) -> String {
    let answer = inside.shell(&format!("redis-cli --no-auth-warning {client} CONFIG GET {name}"));
    answer.lines().nth(1).unwrap_or_default().to_owned()
}

/// The server that listens on this port.
fn on(servers: &[Service], port: u16) -> &Service {
    let listens =
        |s: &&Service| s.endpoints.iter().any(|e| e.address.tcp().is_some_and(|a| a.port() == port));
    servers.iter().find(listens).unwrap_or_else(|| panic!("none on {port}: {servers:#?}"))
}

fn agrees(inside: &Inside, service: &Service, client: &str) {
    let configuration = &service.configuration;
    assert!(configuration.faults.is_empty(), "{:#?}", configuration.faults);
    for (name, value) in &configuration.settings {
        if name != "rename-command" && name != "maxmemory" {
            assert_eq!(&ask(inside, client, name), value, "{name}");
        }
    }
    assert_eq!(configuration.data_directory.as_deref(), Some(Path::new(&ask(inside, client, "dir"))));
    let log = ask(inside, client, "logfile");
    let log = (!log.is_empty()).then(|| Path::new(&ask(inside, client, "dir")).join(log));
    assert_eq!(configuration.logs.first().map(|log| &log.path), log.as_ref());
    let needs = !ask(inside, client, "requirepass").is_empty();
    assert_eq!(configuration.access.password, Some(needs));
}

#[test]
fn the_packages_own_configuration_is_found_by_its_title() {
    require!(Need::Root, Need::Overlay, Need::Program("redis-server"));
    let world = running(
        "mkdir -p /run/redis && chown redis /run/redis\n\
         su -s /bin/sh redis -c 'exec redis-server /etc/redis/redis.conf'; exec sleep 1000",
    );
    let inside = Inside::start(&world);
    let servers = servers(&inside, 1);
    agrees(&inside, &servers[0], "");
    let configuration = &servers[0].configuration;
    assert_eq!(configuration.files[0].path, Path::new("/etc/redis/redis.conf"));
    assert_eq!(configuration.files.len(), 1, "{configuration:#?}");
    assert_eq!(listens(&servers[0]), ["127.0.0.1:6379", "[::1]:6379"]);
    assert_eq!(configuration.logs[0].path, Path::new("/var/log/redis/redis-server.log"));
}

#[test]
fn two_servers_and_a_sentinel_have_each_their_own() {
    require!(Need::Root, Need::Overlay, Need::Program("redis-server"));
    let world = World::new("redis")
        .file("/etc/redis/redis.conf", "")
        .file(
            "/etc/redis/one.conf",
            "port 6001\nbind 127.0.0.1\ndir /srv/one\nrequirepass \"\\x67eheim #1\"\nmaxmemory 5mb\n\
             unixsocket /srv/one/r.sock\nmaxclients 50\n",
        )
        .file(
            "/etc/redis/two.conf",
            "PORT 6002\nbind 127.0.0.1 -::1\ndir /srv/two\ncluster-enabled yes\ninclude /etc/redis/more.d/*.inc\n\
             logfile 'a log'\ninclude rel.inc\n",
        )
        .file("/etc/redis/more.d/2.inc", "databases 1\nmaxclients 51\n")
        .file("/etc/redis/more.d/10.inc", "maxclients 52\n")
        .file("/srv/two/rel.inc", "appendonly yes\nrename-command FLUSHALL \"\"\n")
        .file("/etc/redis/sentinel.conf", "port 26001\ndir /srv\nsentinel monitor it 127.0.0.1 6001 1\nsentinel auth-pass it geheim\n")
        .directory("/srv/one")
        .command([
            "sh",
            "-c",
            "cd / && redis-server /etc/redis/one.conf & redis-server /etc/redis/two.conf & \
             redis-server /etc/redis/sentinel.conf --sentinel & wait",
        ]);
    let inside = Inside::start(&world);
    let servers = servers(&inside, 3);
    let one = on(&servers, 6001);
    agrees(&inside, one, "-p 6001 -a 'geheim #1'");
    assert_eq!(listens(one), ["127.0.0.1:6001", "unix:/srv/one/r.sock"]);
    assert_eq!(one.configuration.settings["maxmemory"], "5mb");
    assert!(!format!("{one:?}").contains("geheim"));
    let two = on(&servers, 6002);
    agrees(&inside, two, "-p 6002");
    assert_eq!(two.configuration.settings["maxclients"], "51");
    assert_eq!(two.configuration.settings["rename-command"], "FLUSHALL");
    assert_eq!(
        listens(two),
        ["127.0.0.1:6002", "[::1]:6002", "127.0.0.1:16002", "[::1]:16002"],
        "its bus is another port"
    );
    let files: Vec<_> = two.configuration.files.iter().map(|file| file.path.to_str().unwrap()).collect();
    assert_eq!(
        files,
        ["/etc/redis/two.conf", "/etc/redis/more.d/10.inc", "/etc/redis/more.d/2.inc", "/srv/two/rel.inc"]
    );
    let sentinel = on(&servers, 26001);
    assert!(sentinel.configuration.faults.is_empty(), "{:#?}", sentinel.configuration.faults);
    assert_eq!(sentinel.configuration.settings["sentinel monitor it"], "127.0.0.1 6001 1");
}

#[test]
fn what_cannot_be_known_is_said() {
    require!(Need::Root, Need::Overlay, Need::Program("redis-server"));
    let world = World::new("redis")
        .file("/srv/hidden/r.txt", "requirepass geheim\n")
        .file("/srv/own.conf", "set-proc-title no\nport 6012\nrequirepass geheim\n")
        .command([
            "sh",
            "-c",
            "rm -f /etc/redis/redis.conf; cd /srv/hidden; redis-server r.txt --port 6011 & \
             cd /srv; redis-server own.conf --maxclients 44 --port 6013 & wait",
        ]);
    let inside = Inside::start(&world);
    let servers = servers(&inside, 2);
    let hidden = on(&servers, 6011);
    assert_eq!(hidden.configuration.faults[0].kind, ErrorKind::NotFound);
    assert_eq!(hidden.configuration.access.password, None);
    assert_eq!(listens(hidden), ["*:6011"]);
    let own = on(&servers, 6013);
    agrees(&inside, own, "-p 6013 -a geheim");
    assert_eq!(own.configuration.settings["maxclients"], "44");
}
