//! PostgreSQL: what is charted is what the server says of itself.

use std::path::Path;

use portolan::Service;
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{running, services_when};
use crate::inside::Inside;

/// The server's own words, one a line.
fn ask(inside: &Inside, socket: &str, port: u16, query: &str) -> Vec<String> {
    let script = format!("su postgres -c \"psql -XAtq -h {socket} -p {port} -c \\\"{query}\\\" postgres\"");
    inside.shell(&script).lines().map(str::to_owned).collect()
}

/// The clusters inside, once so many listen.
fn clusters(inside: &Inside, number: usize) -> Vec<Service> {
    let ready = |s: &&Service| s.kind == "postgresql" && s.endpoints.len() > 1 && s.processes.len() > 1;
    let services =
        services_when(&inside.container, |services| services.iter().filter(ready).count() == number);
    services.into_iter().filter(|service| service.kind == "postgresql").collect()
}

fn listens(service: &Service) -> Vec<String> {
    service.configuration.listens.iter().map(|listen| listen.address.to_string()).collect()
}

fn files(service: &Service) -> Vec<&Path> {
    service.configuration.files.iter().map(|file| file.path.as_path()).collect()
}

/// What the server says of its settings is what the reader says, and its files are the ones that it read.
fn agrees(inside: &Inside, service: &Service, socket: &str, port: u16) {
    let configuration = &service.configuration;
    assert!(configuration.faults.is_empty(), "{:#?}", configuration.faults);
    let show = |name: &str| {
        // A shell drops blanks at the end; the bar keeps them.
        let shown = ask(inside, socket, port, &format!("SELECT current_setting('{name}') || '|'")).join("\n");
        shown.strip_suffix('|').unwrap().to_owned()
    };
    for (name, value) in &configuration.settings {
        if !name.starts_with("pg_hba") {
            assert_eq!(&show(name), value, "{name}");
        }
    }
    assert_eq!(configuration.data_directory.as_deref(), Some(Path::new(&show("data_directory"))));
    let known = files(service);
    let read = "SELECT sourcefile FROM pg_file_settings GROUP BY 1 ORDER BY min(seqno)";
    let read = ask(inside, socket, port, read);
    for file in read.iter().chain(&[show("config_file"), show("hba_file"), show("ident_file")]) {
        assert!(known.contains(&Path::new(file)), "{file} is not in {known:?}");
    }
    let rules = "FROM pg_hba_file_rules WHERE database = '{all}' AND user_name = '{all}' AND type";
    for (rule, setting) in
        [("= 'host' AND address = '127.0.0.1'", "pg_hba host 127.0.0.1"), ("= 'local'", "pg_hba local")]
    {
        let method = ask(inside, socket, port, &format!("SELECT auth_method {rules} {rule} LIMIT 1"));
        assert_eq!(method.first(), configuration.settings.get(setting), "{setting}");
    }
    for address in ask(inside, socket, port, "SHOW unix_socket_directories").join("").split(", ") {
        let socket = format!("unix:{address}/.s.PGSQL.{port}");
        assert!(listens(service).contains(&socket), "{socket}: {:?}", listens(service));
    }
}

#[test]
fn clusters_as_debian_makes_them() {
    require!(Need::Root, Need::Overlay, Need::Program("pg_createcluster"));
    let inside = Inside::start(&running(
        "mkdir -p /run/postgresql && chown postgres /run/postgresql\n\
         pg_createcluster 15 one -p 5501 && pg_createcluster 15 two -p 5502 -- --auth-host=trust\n\
         echo \"max_connections = 31\" > /etc/postgresql/15/two/conf.d/20.conf\n\
         echo \"max_connections = 30\" > /etc/postgresql/15/two/conf.d/10.conf\n\
         pg_ctlcluster 15 one start && pg_ctlcluster 15 two start && exec sleep 1000",
    ));
    let clusters = clusters(&inside, 2);
    for (name, port) in [("one", 5501), ("two", 5502)] {
        let cluster =
            clusters.iter().find(|s| s.configuration.settings["cluster_name"] == format!("15/{name}"));
        let cluster = cluster.unwrap_or_else(|| panic!("{clusters:#?}"));
        agrees(&inside, cluster, "/var/run/postgresql", port);
        assert_eq!(listens(cluster)[0], format!("localhost:{port}"));
        assert_eq!(cluster.configuration.access.password, Some(name == "one"));
        assert!(cluster.processes.len() > 1, "{cluster:#?}");
        assert!(cluster.endpoints.iter().any(|e| e.address.tcp().is_some_and(|a| a.port() == port)));
    }
}

#[test]
fn a_cluster_with_everything() {
    require!(Need::Root, Need::Overlay, Need::Program("pg_createcluster"));
    let conf = "listen_addresses = '127.0.0.1, ::1'   # both\n\
         port 5511\n\
         unix_socket_directories = '/srv/s, /srv/t'\n\
         include 'sub/a.conf'\n\
         include_if_exists 'missing.conf'\n\
         include_dir = 'sub/d'\n\
         Cluster_Name = 'it''s \\101'\n\
         log_destination = 'stderr,csvlog,jsonlog'\n\
         logging_collector = on\n\
         log_filename = 'pg-%Y%m%d.log'\n\
         log_line_prefix = '%t [%p]: %q user=%u,db=%d '\n\
         hba_file = '/srv/hba.conf'\n";
    let world = World::new("postgresql")
        .file("/srv/pg/sub/a.conf", "max_connections = 21\ninclude '../b.conf'\n")
        .file("/srv/pg/b.conf", "log_min_duration_statement = 250ms\n")
        .file("/srv/pg/sub/d/2.conf", "max_connections = 22\n")
        .file("/srv/pg/sub/d/10.conf", "max_connections = 23\n")
        .file("/srv/pg/sub/d/.3.conf", "max_connections = 24\n")
        .file("/srv/pg/sub/d/3.txt", "max_connections = 25\n")
        .file("/srv/pg/server.conf", conf)
        .file(
            "/srv/hba.conf",
            "local all all trust\nhost app @names 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 md5\n",
        )
        .file("/srv/names", "a b\n")
        .directory("/srv/s")
        .directory("/srv/t")
        .prepare(
            "mkdir -p /srv/data && chown -R postgres /srv\n\
             su postgres -c '/usr/lib/postgresql/15/bin/initdb -D /srv/data >/dev/null'\n\
             echo \"max_connections = 26\" >> /srv/data/postgresql.auto.conf",
        )
        .user("postgres")
        .workdir("/srv")
        .env("PWD", "/srv")
        .command([
            "/usr/lib/postgresql/15/bin/postgres",
            "-D",
            "data",
            "-c",
            "config_file=pg/server.conf",
            "--wal-level=logical",
        ]);
    let inside = Inside::start(&world);
    let clusters = clusters(&inside, 1);
    let cluster = &clusters[0];
    agrees(&inside, cluster, "/srv/s", 5511);
    let configuration = &cluster.configuration;
    assert_eq!(configuration.settings["max_connections"], "26");
    assert_eq!(configuration.settings["wal_level"], "logical");
    assert_eq!(listens(cluster)[..2], ["127.0.0.1:5511", "[::1]:5511"]);
    assert_eq!(configuration.access.password, Some(true));
    let order = [
        "pg/server.conf",
        "pg/sub/a.conf",
        "pg/b.conf",
        "pg/sub/d/10.conf",
        "pg/sub/d/2.conf",
        "data/postgresql.auto.conf",
        "hba.conf",
        "names",
        "data/pg_ident.conf",
    ];
    let order: Vec<_> = order.iter().map(|name| Path::new("/srv").join(name)).collect();
    assert_eq!(files(cluster), order);
    // What is in the directory of logs is what the patterns match.
    let written = inside.shell("ls /srv/data/log");
    assert_eq!(written.lines().count(), 3, "{written}");
    for log in &configuration.logs {
        assert!(log.pattern, "{log:?}");
        let found = inside.expand(log.path.to_str().unwrap(), &portolan::GlobOptions::default()).unwrap();
        assert_eq!(found.entries.len(), 1, "{log:?}: {written}");
    }
    assert_eq!(configuration.logs.len(), 3);
}
