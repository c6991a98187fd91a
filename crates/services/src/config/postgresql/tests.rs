use std::path::Path;

use secrecy::ExposeSecret as _;

use super::*;
use crate::memory::Memory;

fn configuration(launch: &Launch, files: &[(&str, &str)]) -> Configuration {
    read(launch, &mut Memory::of(files))
}

const DEBIAN: &[&str] = &[
    "postgres",
    "-D",
    "/var/lib/postgresql/15/main",
    "-c",
    "config_file=/etc/postgresql/15/main/postgresql.conf",
];

#[test]
fn debians_layout_with_includes_in_their_order() {
    let launch = Launch::test("/usr/lib/postgresql/15/bin/postgres", DEBIAN, &[]);
    let found = configuration(
        &launch,
        &[
            (
                "/etc/postgresql/15/main/postgresql.conf",
                "data_directory = '/srv/it''s\\040here'\t# comment\n\
                 hba_file = '/etc/postgresql/15/main/pg_hba.conf'\n\
                 Port 5433\n\
                 listen_addresses = '127.0.0.1, \"::1\" ,db.example'\n\
                 unix_socket_directories = '/var/run/postgresql, @abs'\n\
                 include_dir = 'conf.d'\ninclude 'more/a.conf'\ninclude_if_exists = 'missing'\n\
                 this is wrong\n",
            ),
            ("/etc/postgresql/15/main/conf.d/20.conf", "max_connections=20"),
            ("/etc/postgresql/15/main/conf.d/10.conf", "max_connections=10\ncluster_name='x'"),
            ("/etc/postgresql/15/main/conf.d/.hidden.conf", "max_connections=1"),
            ("/etc/postgresql/15/main/conf.d/x.txt", "max_connections=2"),
            ("/etc/postgresql/15/main/more/a.conf", "include 'b.conf'\nport=5434"),
            ("/etc/postgresql/15/main/more/b.conf", "include 'a.conf'\nlogging_collector=ON"),
            ("/srv/it's here/postgresql.auto.conf", "cluster_name = 'auto'\n"),
            (
                "/etc/postgresql/15/main/pg_hba.conf",
                "local all postgres peer\nlocal all all trust\nhost all all 127.0.0.0/8 scram-sha-256\n",
            ),
        ],
    );
    let listens: Vec<String> = found.listens.iter().map(|listen| listen.address.to_string()).collect();
    assert_eq!(
        listens,
        [
            "127.0.0.1:5434",
            "[::1]:5434",
            "db.example:5434",
            "unix:/var/run/postgresql/.s.PGSQL.5434",
            "unix:@abs/.s.PGSQL.5434"
        ]
    );
    let files: Vec<&Path> = found.files.iter().map(|file| file.path.as_path()).collect();
    let names = ["postgresql.conf", "conf.d/10.conf", "conf.d/20.conf", "more/a.conf", "more/b.conf"];
    let mut wanted: Vec<PathBuf> =
        names.iter().map(|name| Path::new("/etc/postgresql/15/main").join(name)).collect();
    wanted.push("/srv/it's here/postgresql.auto.conf".into());
    wanted.push("/etc/postgresql/15/main/pg_hba.conf".into());
    assert_eq!(files, wanted);
    assert_eq!(found.data_directory.as_deref(), Some(Path::new("/srv/it's here")));
    assert_eq!(found.settings["max_connections"], "20");
    assert_eq!(found.settings["cluster_name"], "auto");
    assert_eq!(found.settings["pg_hba local"], "trust");
    assert_eq!(found.access.password, Some(true));
    assert_eq!(found.access.tls, Some(false));
    let log = &found.logs[0];
    assert_eq!(log.path, Path::new("/srv/it's here/log/postgresql-*-*-*_*.log"));
    assert!(log.pattern);
    assert_eq!(log.format.as_ref().unwrap().text.as_deref(), Some("%m [%p] "));
    let faults: Vec<String> = found.faults.iter().map(ToString::to_string).collect();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert_eq!(faults[0], "/etc/postgresql/15/main/postgresql.conf:9: syntax error");
    assert!(faults[1].contains("includes itself"), "{faults:?}");
}

#[test]
fn arguments_go_before_files_and_files_before_variables() {
    let files = [("/data/postgresql.conf", "port=1\nlisten_addresses='*'\n")];
    let launch = Launch::test("/x/postgres", &["postgres"], &[("PGDATA", "/data"), ("PGPORT", "9")]);
    let found = configuration(&launch, &files);
    assert_eq!(found.listens[0].address.to_string(), "*:1");
    assert_eq!(found.files[0].by, "variable PGDATA");
    let launch = Launch::test(
        "/x/postgres",
        &["postgres", "-D", "/data", "-p2", "--listen-addresses=", "-k", "/a,/b", "--cluster_name=z"],
        &[],
    );
    let found = configuration(&launch, &files);
    let listens: Vec<String> = found.listens.iter().map(|listen| listen.address.to_string()).collect();
    assert_eq!(listens, ["unix:/a/.s.PGSQL.2", "unix:/b/.s.PGSQL.2"]);
    assert_eq!(found.settings["cluster_name"], "z");
    let found = configuration(&Launch::test("/x/postgres", &["postgres"], &[]), &[]);
    assert_eq!((found.faults.len(), found.listens.len(), found.settings.len()), (1, 0, 0));
    let found = configuration(&launch, &[]);
    assert_eq!(found.listens.len(), 2, "what the arguments say is known all the same");
    let found = configuration(
        &Launch::test("/x/postgres", &["postgres", "-D", "/data"], &[]),
        &[("/data/postgresql.conf", "")],
    );
    assert_eq!(found.listens[0].address, ListenAddress::Name("localhost".into(), 5432));
}

#[test]
fn logs_for_each_destination() {
    let launch = Launch::test("/x/postgres", &["postgres", "-D", "/d"], &[]);
    let text = "logging_collector=tru\nlog_directory='/var/log/pg'\nlog_filename='pg%%-%Y%m.log'\n\
                log_destination='stderr, csvlog,jsonlog, syslog'\nlog_line_prefix='%t '\n";
    let found = configuration(&launch, &[("/d/postgresql.conf", text)]);
    let logs: Vec<_> = found
        .logs
        .iter()
        .map(|log| (log.path.to_str().unwrap(), log.format.as_ref().unwrap().name.as_str()))
        .collect();
    assert_eq!(
        logs,
        [
            ("/var/log/pg/pg%-*.log", "stderr"),
            ("/var/log/pg/pg%-*.csv", "csvlog"),
            ("/var/log/pg/pg%-*.json", "jsonlog")
        ]
    );
}

#[test]
fn variables_of_the_image_are_credentials() {
    let variables =
        [("PGDATA", "/d"), ("POSTGRES_PASSWORD_FILE", "/run/secrets/p"), ("POSTGRES_USER", "app")];
    let launch = Launch::test("/x/postgres", &["postgres"], &variables);
    let found = configuration(&launch, &[("/run/secrets/p", "geheim\n")]);
    assert_eq!(found.credentials.len(), 1);
    assert_eq!(found.credentials[0].secret.expose_secret(), "geheim");
    assert_eq!(found.credentials[0].user.as_deref(), Some("app"));
    assert!(!format!("{found:?}").contains("geheim"));
}

fn asked(text: &str, ssl: &str) -> (Option<bool>, Option<bool>) {
    let launch = Launch::test("/x/postgres", &["postgres", "-D", "/d"], &[]);
    let files = [
        ("/d/postgresql.conf", ssl),
        ("/d/pg_hba.conf", text),
        ("/d/users", "a\nall # every one\n"),
        ("/d/more.conf", "host all all samehost trust\n"),
    ];
    let found = configuration(&launch, &files);
    assert!(found.faults.is_empty(), "{:?}", found.faults);
    (found.access.password, found.access.tls)
}

#[test]
fn the_first_line_that_fits_decides() {
    assert_eq!(asked("host all all 127.0.0.1 255.255.255.255 md5\n", ""), (Some(true), Some(false)));
    assert_eq!(asked("host all app 0.0.0.0/0 md5\nhost all all all trust\n", ""), (Some(false), Some(false)));
    assert_eq!(asked("hostssl all all all cert\n", "ssl=on"), (Some(true), Some(true)));
    assert_eq!(asked("hostssl all all all cert\n", ""), (None, None));
    assert_eq!(
        asked("hostnossl all all all reject\nhost all all all md5", "ssl=on"),
        (Some(true), Some(true))
    );
    assert_eq!(asked("host \"all\" all all trust\nhost all all all md5", ""), (Some(true), Some(false)));
    assert_eq!(
        asked("host all @users 10.0.0.0/8 trust\nhost all \\\n a,@users all md5", ""),
        (Some(true), Some(false))
    );
    assert_eq!(asked("include more.conf\nhost all all all md5", ""), (Some(false), Some(false)));
    assert_eq!(asked("host all all ::1/128 trust\n", ""), (None, None));
}

#[test]
fn values_as_the_server_takes_them() {
    for (line, value) in [
        ("a=1", Some("1")),
        ("a = 'it''s' # c", Some("it's")),
        ("a 'x\\'y'", Some("x'y")),
        ("a='\\101\\n'", Some("A\n")),
        ("a=''", Some("")),
        ("a=10MB#c", Some("10MB")),
        ("a=", None),
        ("a='x", None),
        ("a=b c", None),
        ("=1", None),
        ("1=1", None),
    ] {
        let (settings, bad) = grammar::parse(line.as_bytes());
        let found = settings.first().map(|setting| String::from_utf8_lossy(&setting.value).into_owned());
        assert_eq!(found.as_deref(), value, "{line}");
        assert_eq!(bad.is_empty(), value.is_some(), "{line}");
    }
    assert_eq!(grammar::truth(b"o"), None);
    assert_eq!(grammar::truth(b"YE"), Some(true));
    assert_eq!(grammar::truth(b"of"), Some(false));
}

#[test]
fn nonsense_ends_in_faults() {
    let launch = Launch::test("/x/postgres", &["postgres", "-D", "/d"], &[]);
    let noise: Vec<u8> =
        (0..20_000_u32).map(|n| u8::try_from(n.wrapping_mul(2_654_435_761) >> 24).unwrap()).collect();
    let mut files = Memory::default().with("/d/postgresql.conf", &noise).with("/d/pg_hba.conf", &noise);
    let found = read(&launch, &mut files);
    assert!(!found.faults.is_empty() && found.faults.len() <= 100);
}
