//! HAProxy: what its configuration says, held against `haproxy -c`, its messages, and the kernel's listeners.

use portolan::configuration::Purpose;
use portolan::{EndpointAddress, ErrorKind, Service};
use portolan_linux::error::Escaped;
use portolan_world::World;
use portolan_world::need::Need;
use portolan_world::require;

use super::{chart, running, same_listeners, services_of, services_when};
use crate::inside::Inside;

fn files(service: &Service) -> Vec<&str> {
    service.configuration.files.iter().map(|file| file.path.to_str().unwrap()).collect()
}

fn haproxy(inside: &Inside) -> Service {
    services_of(inside, "haproxy").into_iter().find(|service| service.kind == "haproxy").unwrap()
}

#[test]
fn the_packages_own_configuration() {
    require!(Need::Root, Need::Overlay, Need::Program("haproxy"));
    // As Debian's unit starts it.
    let script = "mkdir -p /run/haproxy /var/lib/haproxy && \
                  exec haproxy -Ws -f /etc/haproxy/haproxy.cfg -p /run/haproxy.pid -S /run/haproxy-master.sock";
    let inside = Inside::start(&running(script));
    inside.container.wait_file("/run/haproxy/admin.sock", crate::inside::SOON).unwrap();
    let service = haproxy(&inside);
    let configuration = &service.configuration;
    assert_eq!(files(&service), ["/etc/haproxy/haproxy.cfg"]);
    assert!(configuration.faults.is_empty(), "{configuration:#?}");
    assert!(configuration.listens.iter().all(|listen| listen.purpose == Purpose::Admin));
    assert_eq!(configuration.listens.len(), 2, "{configuration:#?}");
    same_listeners(&service, &chart());
    assert_eq!(configuration.settings["log"], "/dev/log");
    assert_eq!(configuration.settings["log-format"], "httplog");
    // Each file that it names, it needs.
    for path in configuration.settings["errorfile"].split(' ') {
        inside.shell(&format!("test -f {path} && grep -qF {path} /etc/haproxy/haproxy.cfg"));
    }
}

const GLOBAL: &str = r#"
global
    unix-bind prefix /run/h/
    stats socket ipv4@127.0.0.1:9500 level admin
    setenv NAME "a b"
    presetenv PORT 1
defaults base
    mode http
    timeout client 1s
    timeout connect 1s
    timeout server 1s
    stats uri "/inherited"
"#;

const FRONTENDS: &str = r#"
.if defined(PORT) && streq("$NAME",a b) # not what it seems
frontend web from base
    bind "*:${PORT}",:9502 # a comment
    bind 127.0.0.1:$PORT2 name x
    bind ipv6@[::1]:9503-9504
    bind :::9505 v6only
    bind abns@hidden
    bind unix@web.sock mode 600
    bind 'unix@a b.sock'
    bind localhost:9506
    bind :9507 ssl crt site.pem
    acl m path /metrics
    http-request use-service prometheus-exporter if m
    use_backend %[hdr(host),lower,map(/h/hosts.map,app)]
.else
frontend web
    bind :9599
.endif
.if 0
listen never
    bind :9598
.elif !defined(NOTHING)
listen stats from base
    bind :9508
    stats enable
    stats uri /st\ ats
    stats auth 'admin:s3 cret'
.endif
"#;

const BACKENDS: &str = "
backend app from base
    server one 127.0.0.1:1
    server two \"127.0.0.1:$PORT\" backup
peers mine
    peer local 127.0.0.1:9509
    peer other 127.0.0.1:9510
";

#[test]
fn a_tricky_configuration_is_read_as_haproxy_reads_it() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("haproxy"), Need::Program("openssl"));
    let make = "mkdir -p /run/h/run/h; cd /h; echo x y > hosts.map
        openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout k -out c 2>/dev/null; cat c k > site.pem";
    let arguments = "-C /h -L local -f global.cfg -f d -- last";
    let world = World::new("haproxy")
        .file("/h/global.cfg", GLOBAL.replace("global\n", "global\n    crt-base /h\n"))
        .file("/h/d/1.cfg", FRONTENDS)
        .file("/h/d/.0.cfg", "broken")
        .file("/h/d/2.conf", "broken")
        .file("/h/d/2.cfg/x", "")
        .file("/h/last", BACKENDS)
        .env("PORT", "9501")
        .env("PORT2", "9511")
        .prepare(make)
        .command(["sh", "-c", &format!("haproxy -c {arguments} && exec haproxy -db {arguments}")]);
    let inside = Inside::start(&world);
    inside.container.wait_listening(9509, crate::inside::SOON).unwrap();
    let service = haproxy(&inside);
    let configuration = &service.configuration;
    assert_eq!(files(&service), ["/h/global.cfg", "/h/d/1.cfg", "/h/last"]);
    assert!(configuration.faults.is_empty(), "{configuration:#?}");
    same_listeners(&service, &chart());
    // What the kernel calls by another name is told by the one that can be dialed.
    let socket = EndpointAddress::Unix("/run/h/web.sock".into());
    assert!(service.endpoints.iter().any(|endpoint| endpoint.address == socket), "{:#?}", service.endpoints);
    inside.shell("curl -sf -o /dev/null --unix-socket /run/h/web.sock http://x/metrics");
    let pages: Vec<String> = configuration
        .status
        .iter()
        .filter(|page| page.listen.to_string().contains("0.0.0.0:950"))
        .map(|page| format!("{} {} {} {}", page.kind, page.listen, page.path, page.tls))
        .collect();
    assert!(pages.contains(&"prometheus 0.0.0.0:9507 /metrics true".to_owned()), "{pages:#?}");
    assert!(pages.contains(&"stats 0.0.0.0:9501 /inherited false".to_owned()), "{pages:#?}");
    assert!(pages.contains(&"stats 0.0.0.0:9508 /st ats false".to_owned()), "{pages:#?}");
    // And there it is.
    let page = "curl -sf -o /dev/null http://127.0.0.1:9501/metrics && \
                curl -sf -o /dev/null http://127.0.0.1:9501/inherited";
    inside.shell(page);
    assert_eq!(configuration.credentials[0].user.as_deref(), Some("admin"));
    assert!(!format!("{service:?}").contains("s3 cret"));
    assert_eq!(configuration.settings["map"], "/h/hosts.map");
    assert_eq!(configuration.settings["crt"], "/h/site.pem");
    assert_eq!(configuration.upstreams[0].addresses, ["127.0.0.1:1", "127.0.0.1:9501"]);
    let purpose = |address: &str| {
        configuration.listens.iter().find(|l| l.address.to_string() == address).unwrap().purpose
    };
    assert_eq!(purpose("127.0.0.1:9500"), Purpose::Admin);
    assert_eq!(purpose("127.0.0.1:9509"), Purpose::Cluster);
    assert_eq!(purpose("0.0.0.0:9508"), Purpose::Status);
}

/// HAProxy says what it takes for a word when it does not know it: so does the reader, of what listens nowhere.
#[test]
fn words_are_what_haproxy_takes_them_for() {
    require!(Need::Root, Need::Overlay, Need::Program("haproxy"));
    let good = "global\n stats socket 127.0.0.1:9520\n";
    let world = running("exec haproxy -db -f /h.cfg").file("/h.cfg", good).env("A", "a b").env("E", "");
    let inside = Inside::start(&world);
    inside.container.wait_listening(9520, crate::inside::SOON).unwrap();
    let words = [
        r#"x"$A"y"#,
        r"k\ z\#q",
        r"k\$A\q",
        r#""k\q\"\'\$A\\\x41""#,
        r"'k\q$A\'",
        r"k$A",
        r#"k"${A}""#,
        r#"k"${NO-def}"${A}"#,
        r#""k$NO"c"$E""#,
        r#"k"a\ b\#""#,
        r#"k"it's"'q"'"#,
        "k#x",
        r#""k#x"#.trim_end(),
        "k'#'x#y",
    ];
    for word in words {
        let text = format!("{good} description {word}\n {word}\n");
        let write = format!("cat > /h.cfg <<'END_OF_FILE'\n{text}END_OF_FILE\n");
        inside.shell(&write);
        let output = inside.container.exec(["sh", "-c", "A='a b' E= haproxy -c -f /h.cfg 2>&1"]).unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let broken = said.contains("unmatched quote");
        let services =
            services_when(&inside.container, |services| services.iter().any(|s| s.kind == "haproxy"));
        let service = services.iter().find(|service| service.kind == "haproxy").unwrap();
        let configuration = &service.configuration;
        assert_eq!(!configuration.faults.is_empty(), broken, "{word}: {said}\n{configuration:#?}");
        if !broken {
            let said =
                said.split_once("unknown keyword '").and_then(|(_, rest)| rest.split_once("' in 'global'"));
            let taken = said.unwrap_or_else(|| panic!("{word}")).0;
            let settings = &configuration.settings;
            assert_eq!(settings["description"], Escaped(taken.as_bytes()).to_string(), "{word}");
        }
    }
}

#[test]
fn what_went_bad_is_told() {
    require!(Need::Root, Need::Overlay, Need::Program("haproxy"));
    let good = "global\n stats socket 127.0.0.1:9530\n";
    let world = running("exec haproxy -db -f /h/h.cfg").file("/h/h.cfg", good);
    let inside = Inside::start(&world);
    inside.container.wait_listening(9530, crate::inside::SOON).unwrap();
    for (script, kind, text) in [
        ("cp /bin/true /h/h.cfg", ErrorKind::InvalidInput, "/h/h.cfg:1: "),
        (
            "printf 'listen x\\n bind \"' > /h/h.cfg",
            ErrorKind::InvalidInput,
            "/h/h.cfg:2: a quote is not closed",
        ),
        ("rm -r /h", ErrorKind::NotFound, "/h/h.cfg: "),
    ] {
        inside.shell(script);
        let service = haproxy(&inside);
        let fault = service.configuration.faults.first().unwrap_or_else(|| panic!("{script}"));
        assert!(fault.kind == kind && fault.to_string().starts_with(text), "{fault:?}");
        assert!(service.endpoints.iter().any(|endpoint| endpoint.listening));
    }
}
