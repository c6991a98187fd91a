use secrecy::ExposeSecret as _;

use super::READER;
use crate::configuration::Configuration;
use crate::launch::Launch;
use crate::memory::Memory;

const MAIN: &str = "/etc/haproxy/haproxy.cfg";

fn read_with(arguments: &[&str], variables: &[(&str, &str)], files: &[(&str, &str)]) -> Configuration {
    let launch = Launch::test("/usr/sbin/haproxy", arguments, variables);
    (READER.read)(&launch, &mut Memory::of(files))
}

fn main_file(text: &str) -> Configuration {
    read_with(&["haproxy", "-f", MAIN], &[("PORT", "8080"), ("HOSTNAME", "me")], &[(MAIN, text)])
}

fn listens(configuration: &Configuration) -> Vec<String> {
    let tls = |tls: Option<bool>| if tls == Some(true) { " tls" } else { "" };
    let of = configuration.listens.iter();
    of.map(|l| format!("{} {}{}", l.purpose.as_str(), l.address, tls(l.tls))).collect()
}

fn pages(configuration: &Configuration) -> Vec<String> {
    let of = configuration.status.iter();
    of.map(|p| format!("{} {} {}{}", p.kind, p.listen, p.path, if p.restricted { " restricted" } else { "" }))
        .collect()
}

fn faults(configuration: &Configuration) -> Vec<String> {
    configuration.faults.iter().map(ToString::to_string).collect()
}

#[test]
fn files_are_those_of_the_arguments() {
    let all = [
        ("/x/a.cfg", "global\n"),
        ("/x/d/2.cfg", "listen b\nbind :2\n"),
        ("/x/d/1.cfg", "listen a\nbind :1"),
        ("/x/d/.0.cfg", "listen c\nbind :3\n"),
        ("/x/d/0.conf", "listen d\nbind :4\n"),
        (MAIN, "listen e\nbind :5\n"),
    ];
    let read = read_with(&["haproxy", "-C", "/x", "-f", "a.cfg", "-f", "d"], &[], &all);
    let files: Vec<_> = read.files.iter().map(|file| file.path.to_str().unwrap()).collect();
    assert_eq!(files, ["/x/a.cfg", "/x/d/1.cfg", "/x/d/2.cfg"]);
    assert_eq!(listens(&read), ["service 0.0.0.0:1", "service 0.0.0.0:2"]);
    assert!(read.faults.is_empty(), "{:?}", faults(&read));
    assert_eq!(listens(&read_with(&["haproxy"], &[], &all)), ["service 0.0.0.0:5"]);
    let read = read_with(&["haproxy", "-f", "/gone"], &[], &all);
    assert_eq!((read.files.len(), read.faults.len()), (0, 1));
    assert_eq!(read_with(&["haproxy"], &[], &[]).faults.len(), 1);
}

#[test]
fn sections_listen() {
    let read = main_file(
        "global
            stats socket /run/haproxy/admin.sock mode 660 level admin
            stats socket ipv4@127.0.0.1:9999 level user
            unix-bind prefix /run/p/
        frontend web
            bind *:80,:::80 v4v6
            bind \"*:${PORT}\" name x
            bind 127.0.0.1:$PORT
            bind :443 ssl crt /etc/c.pem alpn h2
            bind unix@web.sock
            default_backend app
        backend app
            server a 10.0.0.1:8001 check
            server-template b 3 app.example:80
        peers mine
            peer me 127.0.0.1:1024
            peer other 10.0.0.2:1024
        log-forward l
            dgram-bind 127.0.0.1:1514
        resolvers r
            nameserver n 10.0.0.53:53",
    );
    assert_eq!(
        listens(&read),
        [
            "admin unix:/run/p//run/haproxy/admin.sock",
            "admin 127.0.0.1:9999",
            "cluster 127.0.0.1:1024",
            "service 127.0.0.1:1514",
            "service 0.0.0.0:80",
            "service [::]:80",
            "service 0.0.0.0:8080",
            "service 127.0.0.1:8080",
            "service 0.0.0.0:443 tls",
            "service unix:/run/p/web.sock",
        ]
    );
    assert_eq!(read.upstreams[0].addresses, ["10.0.0.1:8001", "app.example:80"]);
    assert_eq!(read.access.tls, Some(false));
    assert!(read.faults.is_empty(), "{:?}", faults(&read));
}

#[test]
fn statistics_and_metrics() {
    let read = main_file(
        "defaults
            mode http
        listen stats
            bind :8404
            stats enable
            stats auth admin:s3cret:x
        frontend metrics
            bind :8405
            stats uri /st ats
            acl wanted path -i -m str /m /metrics2
            http-request use-service prometheus-exporter if wanted
            http-request use-service prometheus-exporter if { path /metrics } { src 10.0.0.0/8 }
        frontend web
            bind :80
            use_backend told if { path_beg /s }
            default_backend app
        backend told
            stats uri /s
        backend app
            server a 10.0.0.1:1
        defaults tcp
            stats enable
        frontend other from tcp
            bind :81
            mode tcp",
    );
    assert_eq!(
        pages(&read),
        [
            "stats 0.0.0.0:8404 /haproxy?stats restricted",
            "stats 0.0.0.0:8405 /st",
            "prometheus 0.0.0.0:8405 /m",
            "prometheus 0.0.0.0:8405 /metrics2",
            "prometheus 0.0.0.0:8405 /metrics restricted",
            "stats 0.0.0.0:80 /s",
        ]
    );
    assert_eq!(
        listens(&read),
        ["status 0.0.0.0:8404", "status 0.0.0.0:8405", "service 0.0.0.0:80", "service 0.0.0.0:81"]
    );
    let credential = &read.credentials[0];
    assert_eq!((credential.user.as_deref(), credential.secret.expose_secret()), (Some("admin"), "s3cret:x"));
    assert!(!format!("{read:?}").contains("s3cret"));
}

#[test]
fn conditions_and_variables() {
    let read = main_file(
        "global
            setenv A 81
            presetenv A 82
            presetenv B 83
        listen x
        .if defined(A) && !defined(C)
            bind \":$A\"
        .elif 1
            bind :1
        .else
            bind :2
        .endif
        .if 0
            bind 'oops
        .if 1
            bind :3
        .endif
        .else
            bind \":$B\"
        .endif
        .if feature(QUIC)
            bind :84
        .else
            bind :85
        .endif
            bind \":${D-86}\"",
    );
    let expected = [81, 83, 84, 85, 86].map(|port| format!("service 0.0.0.0:{port}"));
    assert_eq!(listens(&read), expected);
    let of = faults(&read);
    assert!(of.iter().any(|fault| fault.contains("haproxy.cfg:21: whether this condition holds")), "{of:?}");
}

#[test]
fn named_files_are_absolute() {
    let read = main_file(
        "global
            crt-base /etc/ssl/private
            ca-base /etc/ssl/certs
            lua-load /l.lua
            chroot /var/lib/haproxy
            log /dev/log local0
            log 127.0.0.1:514 local1
        defaults
            mode http
            option httplog
            errorfile 503 /etc/haproxy/errors/503.http
        frontend web
            log-format \"%ci %r\"
            log global
            bind :443 ssl crt site.pem ca-file ca.pem crt-list /cl
            use_backend %[req.hdr(host),lower,map_dom(/etc/haproxy/hosts.map,app)]
            http-request deny if { src -f /bad.lst }",
    );
    for (name, value) in [
        ("crt", "/etc/ssl/private/site.pem"),
        ("ca-file", "/etc/ssl/certs/ca.pem"),
        ("crt-list", "/cl"),
        ("lua-load", "/l.lua"),
        ("errorfile", "/etc/haproxy/errors/503.http"),
        ("map", "/etc/haproxy/hosts.map"),
        ("-f", "/bad.lst"),
        ("chroot", "/var/lib/haproxy"),
        ("log", "/dev/log 127.0.0.1:514"),
        ("log-format", "httplog %ci %r"),
    ] {
        assert_eq!(read.settings.get(name).map(String::as_str), Some(value), "{name}: {:?}", read.settings);
    }
}

#[test]
fn what_is_wrong_is_told_and_the_rest_is_kept() {
    for (text, fault) in [
        ("listen x\nbind :81\nbind nonsense\n", ":3: bind nonsense: that is no address that is known"),
        ("listen x\nbind :81\nbind 'open\n", ":3: a quote is not closed"),
        ("bind :1\nlisten x\nbind :81\n", ":1: a line before any section"),
        ("listen x\nbind :81\n.if 1\n", ": an .if without an .endif"),
        ("listen x\nbind :81\n.endif\n", ":3: it has no .if"),
        ("listen x\nbind :81\n\0\nbind :82", ":3: it is no text"),
    ] {
        let read = main_file(text);
        assert_eq!(listens(&read), ["service 0.0.0.0:81"], "{text}");
        assert_eq!(faults(&read), [format!("{MAIN}{fault}")], "{text}");
    }
}

#[test]
fn nothing_is_without_limit() {
    assert!(faults(&main_file(&".if 1\n".repeat(50_000)))[0].contains("too deep"));
    let many = "listen x\n".to_owned() + &"bind :1-65535\n".repeat(20_000);
    assert_eq!(main_file(&many).listens.len(), 1025);
    let doubled = "global\nsetenv A aaaaaaaa\n".to_owned() + &"setenv A \"$A$A\"\n".repeat(60);
    assert!(faults(&main_file(&doubled))[0].contains("too long"));
    let sections = "defaults\nstats enable\nlisten x\nbind :1\n".repeat(20_000);
    let read = main_file(&sections);
    assert!(faults(&read)[0].contains("over 10000 addresses"), "{:?}", faults(&read));
    let lines = "global\n".to_owned() + &"a\n".repeat(200_001);
    assert!(faults(&main_file(&lines))[0].contains("over 200000 lines"));
    let sockets =
        "global\n".to_owned() + &(0..30_000).map(|n| format!("stats socket /{n}\n")).collect::<String>();
    assert!(main_file(&sockets).listens.len() <= 1000);
}
