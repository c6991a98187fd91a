//! PgBouncer: what is charted is what its console says.

use std::path::Path;

use portolan::Service;
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{running, services_of};
use crate::inside::Inside;

fn pgbouncer(inside: &Inside) -> Service {
    services_of(inside, "pgbouncer").into_iter().find(|service| service.kind == "pgbouncer").unwrap()
}

fn listens(service: &Service) -> Vec<String> {
    service.configuration.listens.iter().map(|listen| listen.address.to_string()).collect()
}

#[test]
fn the_packages_own_configuration() {
    require!(Need::Root, Need::Overlay, Need::Program("pgbouncer"));
    let world = running(
        "mkdir -p /run/postgresql /var/log/postgresql && chown postgres /run/postgresql /var/log/postgresql\n\
         exec su -s /bin/sh postgres -c 'exec pgbouncer /etc/pgbouncer/pgbouncer.ini'",
    );
    let inside = Inside::start(&world);
    let service = pgbouncer(&inside);
    let configuration = &service.configuration;
    assert!(configuration.faults.is_empty(), "{configuration:#?}");
    let files: Vec<_> = configuration.files.iter().map(|file| file.path.to_str().unwrap()).collect();
    assert_eq!(files, ["/etc/pgbouncer/pgbouncer.ini", "/etc/pgbouncer/userlist.txt"]);
    assert_eq!(listens(&service), ["localhost:6432", "unix:/var/run/postgresql/.s.PGSQL.6432"]);
    assert_eq!(configuration.access.password, Some(true));
    assert_eq!(configuration.logs[0].path, Path::new("/var/log/postgresql/pgbouncer.log"));
}

#[test]
fn what_it_says_of_itself_is_what_is_charted() {
    require!(Need::Root, Need::Overlay, Need::Program("pgbouncer"), Need::Program("psql"));
    let world = World::new("pgbouncer")
        .file(
            "/srv/p.ini",
            "[databases]\n; c\n* = host=/run\n[pgbouncer]\nlisten_addr = 127.0.0.1 , ::1\nauth_type = any\n\
             %include more.ini\nstats_users = someone, it\nunix_socket_dir = /srv/s\n",
        )
        .file("/srv/more.ini", "listen_port = 6511\npool_mode = transaction\nlogfile = /srv/s/p.log\n")
        .prepare("mkdir /srv/s && chmod 777 /srv/s")
        .workdir("/srv")
        .user("nobody")
        .command(["pgbouncer", "-q", "p.ini"]);
    let inside = Inside::start(&world);
    let service = pgbouncer(&inside);
    let configuration = &service.configuration;
    assert!(configuration.faults.is_empty(), "{configuration:#?}");
    let shown = inside.shell("psql -XAt -h 127.0.0.1 -p 6511 -U it pgbouncer -c 'SHOW CONFIG'");
    let show = |name: &str| {
        let value =
            |line: &str| Some(line.strip_prefix(name)?.strip_prefix('|')?.split('|').next()?.to_owned());
        shown.lines().find_map(value).unwrap_or_else(|| panic!("{name}: {shown}"))
    };
    for (name, value) in configuration.settings.iter().filter(|(name, _)| *name != "databases") {
        assert_eq!(&show(name), value, "{name}");
    }
    assert_eq!(listens(&service), ["127.0.0.1:6511", "[::1]:6511", "unix:/srv/s/.s.PGSQL.6511"]);
    assert_eq!(service.endpoints.len(), 3, "{:#?}", service.endpoints);
    assert_eq!(configuration.logs[0].path, Path::new(&show("logfile")));
    assert_eq!(configuration.access.password, Some(false));
}
