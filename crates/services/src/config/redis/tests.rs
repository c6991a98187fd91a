use secrecy::ExposeSecret as _;

use super::*;
use crate::memory::Memory;

fn launched(arguments: &[&str], directory: &str, ports: &[u16]) -> Launch {
    let mut launch = Launch::test("/usr/bin/redis-check-rdb", arguments, &[]);
    launch.directory = directory.into();
    launch.ports = ports.to_vec();
    launch
}

fn listens(found: &Configuration) -> Vec<String> {
    found.listens.iter().map(|listen| listen.address.to_string()).collect()
}

#[test]
fn words_and_their_quotes() {
    for (line, wanted) in [
        ("a b", Some(vec!["a", "b"])),
        (r#"requirepass "a \"b\" \x41\n""#, Some(vec!["requirepass", "a \"b\" A\n"])),
        (r"a 'it\'s \n'", Some(vec!["a", r"it's \n"])),
        (r#"save """#, Some(vec!["save", ""])),
        (r#"a "b"c"#, None),
        ("a \"b", None),
        ("a 'b", None),
    ] {
        let words = grammar::words(line.as_bytes());
        let words = words.map(|w| w.into_iter().map(|w| String::from_utf8(w).unwrap()).collect::<Vec<_>>());
        assert_eq!(words, wanted.map(|w| w.into_iter().map(str::to_owned).collect()), "{line}");
    }
}

#[test]
fn a_title_leads_to_the_file_that_says_the_same() {
    let files = [
        ("/etc/redis/redis.conf", "bind 127.0.0.1 -::1\nport 6379\ndir /var/lib/redis\nrequirepass one\n"),
        (
            "/etc/redis/second.conf",
            "bind 127.0.0.1\nport 6380\ndir /var/lib/second\ninclude /etc/redis/more.inc\n",
        ),
        ("/etc/redis/more.inc", "maxmemory 5mb\nlogfile log/r.log\n"),
        (
            "/etc/redis/sentinel.conf",
            "port 26379\nsentinel monitor m 10.0.0.1 6379 2\nsentinel auth-pass m geheim\n",
        ),
    ];
    let launch = launched(&["redis-server 127.0.0.1:6380"], "/var/lib/second", &[6380]);
    let found = read(&launch, &mut Memory::of(&files));
    assert!(found.faults.is_empty(), "{:?}", found.faults);
    assert_eq!(found.files[0].path, Path::new("/etc/redis/second.conf"));
    assert_eq!(found.settings["maxmemory"], "5mb");
    assert_eq!(found.logs[0].path, Path::new("/var/lib/second/log/r.log"));
    assert_eq!(found.access.password, Some(false));
    let launch = launched(&["/usr/bin/redis-server 127.0.0.1:6379"], "/var/lib/redis", &[6379]);
    let found = read(&launch, &mut Memory::of(&files));
    assert_eq!(listens(&found), ["127.0.0.1:6379", "[::1]:6379"]);
    assert_eq!(found.credentials[0].secret.expose_secret(), "one");
    let launch = launched(&["redis-sentinel *:26379 [sentinel]"], "/tmp", &[26379]);
    let found = read(&launch, &mut Memory::of(&files));
    assert_eq!(found.settings["sentinel monitor m"], "10.0.0.1 6379 2");
    assert!(found.credentials.is_empty() && !format!("{found:?}").contains("geheim"));
}

#[test]
fn a_title_that_no_file_or_more_than_one_agrees_with_says_so() {
    let launch = launched(&["redis-server *:6379"], "/data", &[6379]);
    let found = read(&launch, &mut Memory::of(&[("/etc/redis/redis.conf", "bind ::1\n")]));
    assert_eq!(found.faults[0].kind, ErrorKind::NotFound);
    assert_eq!(listens(&found), ["*:6379"]);
    assert_eq!(found.access.password, None);
    let twins = [("/etc/redis/a.conf", "dir /data\nrequirepass x"), ("/data/b.conf", "port 6379")];
    let found = read(&launch, &mut Memory::of(&twins));
    assert_eq!(found.faults[0].kind, ErrorKind::Ambiguous);
    assert!(found.faults[0].message.ends_with("/etc/redis/a.conf, /data/b.conf"), "{:?}", found.faults);
    assert!(found.files.is_empty() && found.credentials.is_empty());
    assert_eq!(found.data_directory.as_deref(), Some(Path::new("/data")));
}

#[test]
fn arguments_after_the_file_go_before_it() {
    let arguments = [
        "redis-server",
        "/etc/redis/redis.conf",
        "--port",
        "7000",
        "--bind",
        "10.0.0.1",
        "::1",
        "--save",
        "",
        "-",
    ];
    let files = [
        (
            "/etc/redis/redis.conf",
            "port 1\ntls-port 7001\ncluster-enabled yes\ntls-cluster yes\nunixsocket /run/r.sock\nuser default off\n\
         user app on >geheim ~* +@all\nrename-command CONFIG \"x y\"\ninclude /etc/redis/*.inc\ninclude /missing\n",
        ),
        ("/etc/redis/1.inc", "include /etc/redis/redis.conf\nmaxmemory 1"),
    ];
    let found = read(&launched(&arguments, "/", &[]), &mut Memory::of(&files));
    assert_eq!(
        listens(&found),
        [
            "10.0.0.1:7000",
            "[::1]:7000",
            "10.0.0.1:7001",
            "[::1]:7001",
            "10.0.0.1:17001",
            "[::1]:17001",
            "unix:/run/r.sock"
        ]
    );
    assert_eq!(found.listens[4].purpose, Purpose::Cluster);
    assert_eq!(found.access.password, None, "standard input may have said otherwise");
    assert_eq!(found.credentials[0].user.as_deref(), Some("app"));
    assert_eq!(found.settings["rename-command"], "CONFIG");
    assert_eq!(found.settings["maxmemory"], "1");
    assert_eq!(found.faults.len(), 3, "{:?}", found.faults);
}

#[test]
fn what_is_said_nowhere_is_the_default() {
    let found = read(&launched(&["redis-server"], "/", &[]), &mut Memory::default());
    assert_eq!(listens(&found), ["*:6379"]);
    assert_eq!((found.access.password, found.access.tls), (Some(false), Some(false)));
    assert!(found.faults.is_empty() && found.logs.is_empty());
    let found = read(&launched(&["redis-server", "/missing.conf"], "/", &[]), &mut Memory::default());
    assert_eq!((found.listens.len(), found.faults.len(), found.access.password), (0, 1, None));
    let found = read(&launched(&["redis-server", "--sentinel"], "/", &[]), &mut Memory::default());
    assert_eq!(listens(&found), ["*:26379"]);
    let found = read(
        &launched(&["redis-server", "--port", "0", "--tls-port", "1"], "/", &[]),
        &mut Memory::default(),
    );
    assert_eq!(found.access.tls, Some(true));
}

#[test]
fn users_of_a_file() {
    let files = [
        ("/r.conf", "aclfile /users.acl\nrequirepass old"),
        ("/users.acl", "user default on nopass ~* +@all\nuser a on >\"p q\" #0011"),
    ];
    let found = read(&launched(&["redis-server", "r.conf"], "/", &[]), &mut Memory::of(&files));
    assert_eq!(found.access.password, Some(false));
    assert_eq!(found.credentials.len(), 1, "{found:?}");
    let found = read(&launched(&["redis-server", "r.conf"], "/", &[]), &mut Memory::of(&files[..1]));
    assert_eq!(found.access.password, None);
}
