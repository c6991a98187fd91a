//! Whole configurations.

use secrecy::ExposeSecret as _;

use super::*;
use crate::memory::Memory;

fn addresses(found: &Configuration) -> Vec<String> {
    found.listens.iter().map(|listen| format!("{} {}", listen.address, listen.purpose.as_str())).collect()
}

#[test]
fn debians_mariadb() {
    let mut memory = Memory::of(&[
        (
            "/etc/mysql/my.cnf",
            "[client-server]\nsocket = /run/mysqld/mysqld.sock\n!includedir /etc/mysql/conf.d/\n\
             !includedir /etc/mysql/mariadb.conf.d/\n",
        ),
        ("/etc/mysql/conf.d/b.cnf", "[client]\nuser = admin\npassword = \"p#1\"\n"),
        ("/etc/mysql/conf.d/a.txt", "[mysqld]\nport=1\n"),
        (
            "/etc/mysql/mariadb.conf.d/50-server.cnf",
            "[mysqld]\nbind-address = 127.0.0.1, ::1\nlog_error = error\nslow-query-log\nmax_connections=7\n\
             [mariadb-10.11]\nport=3310\n[mariadb-10.6]\nport=3311\n[mysqld_safe]\nport=9\n",
        ),
        ("/etc/mysql/debian.cnf", "[client]\nuser = debian-sys-maint\npassword = secret\n"),
        ("/var/lib/mysql/mysql_upgrade_info", "10.11.19-MariaDB\n"),
    ]);
    let launch = Launch::test("/usr/sbin/mariadbd", &["/usr/sbin/mariadbd"], &[("HOSTNAME", "box")]);
    let found = read(&launch, &mut memory);
    assert_eq!(found.faults, []);
    let files: Vec<_> = found.files.iter().map(|file| file.path.to_str().unwrap()).collect();
    let told = ["/etc/mysql/my.cnf", "/etc/mysql/conf.d/b.cnf", "/etc/mysql/mariadb.conf.d/50-server.cnf"];
    assert_eq!(files, told);
    let listens = ["127.0.0.1:3310 service", "[::1]:3310 service", "unix:/run/mysqld/mysqld.sock service"];
    assert_eq!(addresses(&found), listens);
    let logs: Vec<_> = found.logs.iter().map(|log| log.path.to_str().unwrap()).collect();
    assert_eq!(logs, ["/var/lib/mysql/error.err", "/var/lib/mysql/box-slow.log"]);
    assert_eq!(found.data_directory.as_deref(), Some(Path::new("/var/lib/mysql")));
    assert_eq!(found.settings["max_connections"], "7");
    let secrets: Vec<_> =
        found.credentials.iter().map(|c| (c.user.as_deref().unwrap(), c.secret.expose_secret())).collect();
    assert_eq!(secrets, [("admin", "p#1"), ("debian-sys-maint", "secret")]);
    assert!(!format!("{found:?}").contains("p#1"));
}

#[test]
fn arguments_and_variables_of_images() {
    let mut memory = Memory::of(&[
        ("/srv/my.cnf", "[mysqld]\nport=1\nskip-networking\n[mysqld_two]\nport=2\n"),
        ("/etc/my.cnf", "[mysqld]\nport=5\n"),
        ("/run/secrets/root", "hidden\n"),
        ("/data/mysql_upgrade_info", "8.0.36"),
    ]);
    let launch = Launch::test(
        "/usr/sbin/mysqld",
        &[
            "mysqld",
            "--defaults-file=/srv/my.cnf",
            "--defaults-group-suffix=_two",
            "--datadir=/data",
            "--skip-networking=0",
            "--log-error",
            "--require_secure_transport=ON",
        ],
        &[("MYSQL_ROOT_PASSWORD_FILE", "/run/secrets/root"), ("MYSQL_USER", "u"), ("MYSQL_PASSWORD", "pw")],
    );
    let found = read(&launch, &mut memory);
    assert_eq!(found.files.len(), 1);
    assert_eq!(addresses(&found), ["*:2 service", "*:33060 service"]);
    assert_eq!(found.access.tls, Some(true));
    assert_eq!((found.logs[0].path.to_str(), found.logs[0].pattern), (Some("/data/*.err"), true));
    let secrets: Vec<_> =
        found.credentials.iter().map(|c| (c.user.as_deref().unwrap(), c.secret.expose_secret())).collect();
    assert_eq!(secrets, [("root", "hidden"), ("u", "pw")]);
}

#[test]
fn what_cannot_be_known_is_said_or_left_out() {
    let mut memory =
        Memory::of(&[("/etc/my.cnf", "[mysqld-5.7]\nport=9\nsocket=/x\n[mysqld]\nskip-grant-tables\n")]);
    let found = read(&Launch::test("/opt/x/mysqld", &["mysqld", "--no-such"], &[]), &mut memory);
    assert_eq!(addresses(&found), ["*:3306 service"]);
    assert_eq!((found.faults.len(), found.faults[0].line), (1, Some(2)));
    assert_eq!((found.data_directory, found.access.password), (None, Some(false)));
    let found = read(&Launch::test("/usr/sbin/mysqld", &["mysqld", "--no-defaults"], &[]), &mut memory);
    assert!(found.files.is_empty() && found.faults.is_empty());
}

#[test]
fn circles_and_nonsense_end() {
    let mut memory = Memory::of(&[
        ("/etc/my.cnf", "!include /etc/my.cnf\n!includedir\n!includ /x\nport=1\n[mysqld]\nport=2\n"),
        ("/etc/mysql/my.cnf", "[mysqld\nport=1\n"),
    ])
    .with("/root/.my.cnf", b"[mysqld]\n\xff\xfe=\x00\n=\n= =\n\\\nport='\n");
    let launch = Launch::test("/usr/sbin/mysqld", &["mysqld", "--port"], &[("HOME", "/root")]);
    let found = read(&launch, &mut memory);
    assert_eq!(found.files.len(), 3);
    assert!(found.faults.len() >= 3, "{:?}", found.faults);
}
