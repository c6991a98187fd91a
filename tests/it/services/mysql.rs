//! MariaDB, compared with what it says of itself: `SHOW VARIABLES`, `my_print_defaults`.

use std::path::Path;

use portolan::Service;
use portolan_world::World;
use portolan_world::need::Need;
use portolan_world::require;

use super::services_when;
use crate::inside::Inside;

/// Makes a data directory, then runs the server with these arguments.
fn running(arguments: &str, data: &str) -> World {
    let script = format!(
        "mkdir -p /run/mysqld /srv/log {data}\nchown mysql /run/mysqld /srv/log {data}\n\
         mariadb-install-db --no-defaults --user=mysql --datadir={data} --skip-test-db >/dev/null\n\
         exec mariadbd {arguments} --user=mysql"
    );
    World::new("mariadb").tmpfs(data).command(["sh", "-ec", &script])
}

fn maria_of(inside: &Inside) -> Service {
    let ready = |services: &[Service]| {
        services.iter().any(|service| service.kind == "mariadb" && !service.endpoints.is_empty())
    };
    // It listens only after it has made its data.
    let mut services = Vec::new();
    for _ in 0..6 {
        if inside.container.log().contains("ready for connections") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    services.extend(services_when(&inside.container, ready));
    services.into_iter().find(|service| service.kind == "mariadb").unwrap()
}

/// What the server itself says a variable is.
fn variable(inside: &Inside, name: &str) -> String {
    let ask = format!("SHOW GLOBAL VARIABLES LIKE '{name}'");
    let told =
        inside.shell(&format!("mariadb --no-defaults -S /run/mysqld/mysqld.sock -u root -N -e \"{ask}\""));
    told.split_once('\t').map_or(String::new(), |(_, value)| value.to_owned())
}

fn addresses(service: &Service) -> Vec<String> {
    service.configuration.listens.iter().map(|listen| listen.address.to_string()).collect()
}

fn agree(service: &Service, inside: &Inside) {
    let configuration = &service.configuration;
    assert!(configuration.faults.is_empty(), "{:#?}", configuration.faults);
    let addresses = addresses(service);
    let port = variable(inside, "port");
    for address in variable(inside, "bind_address").split(',') {
        assert!(addresses.contains(&format!("{address}:{port}")), "{address}:{port} in {addresses:?}");
    }
    assert!(addresses.contains(&format!("unix:{}", variable(inside, "socket"))), "{addresses:?}");
    let data = variable(inside, "datadir");
    assert_eq!(configuration.data_directory.as_deref(), Some(Path::new(data.trim_end_matches('/'))));
    for (switch, file) in
        [("slow_query_log", "slow_query_log_file"), ("general_log", "general_log_file"), ("", "log_error")]
    {
        let told = variable(inside, file);
        if told.is_empty() || !switch.is_empty() && variable(inside, switch) == "OFF" {
            continue;
        }
        let path = Path::new(&data).join(told);
        assert!(
            configuration.logs.iter().any(|log| log.path == path),
            "{path:?} in {:?}",
            configuration.logs
        );
    }
    for endpoint in &service.endpoints {
        assert_eq!(endpoint.tls, Some(false), "nothing in {addresses:?} is {}", endpoint.address);
    }
}

#[test]
fn debians_own_configuration() {
    require!(Need::Root, Need::Overlay, Need::Program("mariadbd"));
    let inside = Inside::start(&running("", "/var/lib/mysql"));
    let service = maria_of(&inside);
    agree(&service, &inside);
    let paths: Vec<&Path> = service.configuration.files.iter().map(|file| file.path.as_path()).collect();
    let there = inside.shell("ls /etc/mysql/my.cnf /etc/mysql/conf.d/*.cnf /etc/mysql/mariadb.conf.d/*.cnf");
    let mut there: Vec<&Path> = there.lines().map(Path::new).collect();
    // ls sorts the main file to the end.
    there.sort_by_key(|path| (path.parent() != Some(Path::new("/etc/mysql")), path.to_owned()));
    assert_eq!(paths, there);
}

#[test]
fn quotes_groups_and_includes() {
    require!(Need::Root, Need::Overlay, Need::Program("mariadbd"));
    let own = "[mysqld]\nport = \"3399\" # not 1\nbind-address = 127.0.0.1\ndatadir='/srv/data'\n\
               slow-query-log\nslow_query_log_file=slow.log\nloose-nothing-of-the-kind=1\n\
               log_error = /srv/log/err\n!include /srv/more.cnf\n!includedir /srv/dir\n[mariadb-10.11]\nmax-connections=33\n\
               [mariadb-10.6]\nmax-connections=44\n[ mysqld]\nport=1\n";
    let world =
        running("--defaults-file=/srv/own.cnf --general-log --general_log_file=/srv/log/g.log", "/srv/data")
            .file("/srv/own.cnf", own)
            .file("/srv/more.cnf", "[mysqld]\nsocket=/run/mysqld/mysqld.sock\n")
            .file("/srv/dir/b.cnf", "[server]\nwait_timeout=100\n")
            .file("/srv/dir/.a.cnf", "[server]\nwait_timeout=99\n")
            .file("/srv/dir/c.txt", "[server]\nport=5\n");
    let inside = Inside::start(&world);
    let service = maria_of(&inside);
    agree(&service, &inside);
    let paths: Vec<&Path> = service.configuration.files.iter().map(|file| file.path.as_path()).collect();
    assert_eq!(paths, ["/srv/own.cnf", "/srv/more.cnf", "/srv/dir/.a.cnf", "/srv/dir/b.cnf"].map(Path::new));
    let shown = inside.shell("my_print_defaults --defaults-file=/srv/own.cnf --mysqld");
    assert!(
        shown.contains("--wait_timeout=99")
            && shown.contains("--wait_timeout=100")
            && !shown.contains("--port=5")
    );
    let settings = &service.configuration.settings;
    assert_eq!(settings.get("max_connections"), Some(&variable(&inside, "max_connections")));
}
