use std::path::Path;

use super::READER;
use crate::configuration::{Configuration, ListenAddress, LogPurpose, Purpose};
use crate::launch::Launch;
use crate::memory::Memory;

const MAIN: &str = "/etc/nginx/nginx.conf";

/// What is read with these files, by an nginx started with these arguments.
fn read(arguments: &[&str], files: &[(&str, &str)]) -> Configuration {
    read_from(arguments, Memory::of(files))
}

fn read_from(arguments: &[&str], mut files: Memory) -> Configuration {
    (READER.read)(&Launch::test("/usr/sbin/nginx", arguments, &[]), &mut files)
}

/// The same of a main file alone.
fn main_file(text: &str) -> Configuration {
    read(&["nginx"], &[(MAIN, text)])
}

fn files(configuration: &Configuration) -> Vec<&str> {
    configuration.files.iter().map(|file| file.path.to_str().unwrap()).collect()
}

fn listens(configuration: &Configuration) -> Vec<String> {
    let tls = |tls: Option<bool>| if tls == Some(true) { " tls" } else { "" };
    configuration.listens.iter().map(|l| format!("{}{}", l.address, tls(l.tls))).collect()
}

fn logs(configuration: &Configuration) -> Vec<(&str, &str, Option<&str>)> {
    let of = configuration.logs.iter();
    of.map(|log| {
        let format = log.format.as_ref().map(|format| format.name.as_str());
        (log.purpose.as_str(), log.path.to_str().unwrap(), format)
    })
    .collect()
}

fn faults(configuration: &Configuration) -> Vec<String> {
    configuration.faults.iter().map(ToString::to_string).collect()
}

#[test]
fn includes_are_relative_to_the_main_file_and_in_order() {
    let read = read(
        &["nginx"],
        &[
            (MAIN, "include m/*.conf; http { include 'mime.types'; include c/*; server { include s; } }"),
            ("/etc/nginx/m/b.conf", ""),
            ("/etc/nginx/m/a.conf", "# nothing"),
            ("/etc/nginx/mime.types", "types { text/html html; include more.types; }"),
            ("/etc/nginx/more.types", "text/x y;"),
            ("/etc/nginx/c/1", "map $a $b { include /etc/nginx/c/map; default 1; }"),
            ("/etc/nginx/c/map", "x y;"),
            ("/etc/nginx/s", "listen 81; location / { if ($x) { include deep; } }"),
            ("/etc/nginx/deep", "return 200;"),
            ("/etc/nginx/unused", ""),
        ],
    );
    let expected =
        ["nginx.conf", "m/a.conf", "m/b.conf", "mime.types", "more.types", "c/1", "c/map", "s", "deep"];
    assert_eq!(files(&read), expected.map(|file| format!("/etc/nginx/{file}")));
    assert_eq!(listens(&read), ["0.0.0.0:81"]);
    assert!(read.faults.is_empty(), "{:?}", faults(&read));
}

#[test]
fn arguments_say_which_file() {
    let main = "http { access_log l; error_log e; server { listen 82; } }";
    for (arguments, path, log) in [
        (&["nginx", "-c", "/x/n.conf"][..], "/x/n.conf", None),
        (&["nginx", "-p", "/x", "-c", "n.conf"], "/x/n.conf", Some("/x/l")),
        (&["nginx", "-p", "x/", "-c", "n.conf"], "/x/n.conf", Some("/x/l")),
        (&["nginx: master process nginx -p /x/ -c n.conf -g daemon off;"], "/x/n.conf", Some("/x/l")),
        (&["nginx", "-p", "/y"], "/y/conf/nginx.conf", Some("/y/l")),
        (&["nginx"], MAIN, None),
        (&["nginx", "-c", "nginx.conf"], MAIN, None),
        (&["nginx", "-c", "conf/../nginx.conf"], "/etc/nginx/conf/../nginx.conf", None),
    ] {
        let all = ["/x/n.conf", "/y/conf/nginx.conf", MAIN, "/etc/nginx/conf/../nginx.conf"];
        let read = read(arguments, &all.map(|path| (path, main)));
        assert_eq!(files(&read), [path], "{arguments:?}");
        assert_eq!(listens(&read), ["0.0.0.0:82"]);
        assert_eq!(read.logs.first().map(|log| log.path.to_str().unwrap()), log, "{arguments:?}");
        assert_eq!(read.faults.is_empty(), log.is_some(), "{:?}", faults(&read));
    }
}

#[test]
fn the_program_says_what_is_compiled_in() {
    let built = "\0configure arguments: --prefix=/p --conf-path=/c/n.conf --error-log-path=e \
                 --http-log-path=/l/a\n\0";
    let read = read(
        &["nginx"],
        &[
            ("/usr/sbin/nginx", built),
            ("/c/n.conf", "http { server { access_log off; } server { listen 8080; } }"),
        ],
    );
    assert_eq!(files(&read), ["/c/n.conf"]);
    assert_eq!(logs(&read), [("error", "/p/e", None), ("access", "/l/a", Some("combined"))]);
    assert_eq!(listens(&read), ["0.0.0.0:80", "0.0.0.0:8080"]);
}

#[test]
fn a_build_from_source_has_all_below_its_prefix() {
    for prefix in ["/usr/local/nginx", "/usr/local/openresty/nginx", "/opt/bitnami/nginx"] {
        let main = format!("{prefix}/conf/nginx.conf");
        let mut files = Memory::of(&[(&main, "http { server { listen 8080; } }"), (MAIN, "")]);
        let launch = Launch::test(&format!("{prefix}/sbin/nginx"), &["nginx"], &[]);
        let read = (READER.read)(&launch, &mut files);
        assert_eq!(read.files[0].path, Path::new(&main));
        assert_eq!(read.logs[0].path, Path::new(&format!("{prefix}/logs/access.log")));
    }
}

#[test]
fn formats_are_resolved() {
    let read = main_file(
        r#"error_log /l/error.log warn;
        error_log syslog:server=unix:/dev/log;
        http {
            log_format main escape=json '{"a":"$x",'
                                        '"b":"$y"}';
            log_format plain "$remote_addr";
            access_log /l/main.log main buffer=32k;
            access_log syslog:server=127.0.0.1 main;
            server { listen 1; access_log /l/$host.log plain if=$loggable; access_log /l/two gzip; }
            server { listen 2; access_log off;
                location / { access_log /l/three unknown; error_log stderr; limit_except GET { deny all; } } }
        }
        stream { log_format basic '$protocol'; server { listen 3; access_log /l/stream basic; error_log /l/se; } }"#,
    );
    assert_eq!(
        logs(&read),
        [
            ("error", "/l/error.log", None),
            ("access", "/l/main.log", Some("main")),
            ("access", "/l/*.log", Some("plain")),
            ("access", "/l/two", Some("combined")),
            ("access", "/l/three", Some("unknown")),
            ("access", "/l/stream", Some("basic")),
            ("error", "/l/se", None),
        ]
    );
    let text = |place: usize| read.logs[place].format.as_ref().unwrap().text.as_deref();
    assert_eq!(text(1), Some(r#"{"a":"$x","b":"$y"}"#));
    assert!(text(3).unwrap().starts_with("$remote_addr - $remote_user ["));
    assert_eq!(text(4), None);
    assert_eq!(text(5), Some("$protocol"));
    assert!(read.logs[2].pattern && !read.logs[1].pattern);
    assert_eq!(read.logs[0].purpose, LogPurpose::Error);
}

#[test]
fn servers_listen() {
    let read = main_file(
        "http {
            server { listen 80 default_server; listen [::]:80; server_name a.example _; }
            server { listen 127.0.0.1:443 ssl http2; listen unix:/run/n.sock; server_name b.example; }
            server { listen 8443; ssl on; ssl_certificate /c.pem; root /srv/www; }
            server { listen 443 quic reuseport; listen 443 ssl; }
        }
        stream { upstream db { server 10.0.0.1:5432 weight=5; server unix:/run/db; }
                 server { listen 53 udp; proxy_pass db; } server { listen 7000-7002 ssl; proxy_pass 10.0.0.2:1; } }
        mail { server { listen localhost:110; protocol pop3; } }",
    );
    let expected = [
        "0.0.0.0:80",
        "[::]:80",
        "127.0.0.1:443 tls",
        "unix:/run/n.sock tls",
        "0.0.0.0:8443 tls",
        "0.0.0.0:443 tls",
        "0.0.0.0:53",
        "0.0.0.0:7000 tls",
        "0.0.0.0:7001 tls",
        "0.0.0.0:7002 tls",
        "localhost:110",
    ];
    let plain = expected.map(|l| if l.starts_with("unix") { "unix:/run/n.sock" } else { l });
    assert_eq!(listens(&read), plain);
    assert_eq!(read.settings["server_name"], "a.example _ b.example");
    assert_eq!(read.settings["ssl_certificate"], "/c.pem");
    assert_eq!(read.settings["root"], "/srv/www");
    assert_eq!(read.access.tls, Some(false));
    let upstreams: Vec<_> = read.upstreams.iter().map(|u| (u.name.as_str(), u.addresses.len())).collect();
    assert_eq!(upstreams, [("db", 2), ("10.0.0.2:1", 1)]);
}

#[test]
fn what_requests_are_handed_on_to() {
    let read = main_file(
        "http { upstream app { server app1; server app2:81 backup; }
            server { listen 1;
                location /a { proxy_pass http://app/x; }
                location /b { proxy_pass https://other; }
                location /c { fastcgi_pass unix:/run/php.sock; }
                location /d { proxy_pass http://unix:/run/d.sock:/uri; }
                location /e { proxy_pass http://$host; uwsgi_pass 127.0.0.1:3031; }
                location /f { proxy_pass http://[::1]; }
            } }",
    );
    let all: Vec<_> =
        read.upstreams.iter().map(|u| format!("{}={}", u.name, u.addresses.join(","))).collect();
    assert_eq!(
        all,
        [
            "app=app1,app2:81",
            "other:443=other:443",
            "unix:/run/php.sock=unix:/run/php.sock",
            "unix:/run/d.sock=unix:/run/d.sock",
            "127.0.0.1:3031=127.0.0.1:3031",
            "[::1]:80=[::1]:80",
        ]
    );
}

#[test]
fn status_pages() {
    let read = main_file(
        "http {
            server { listen 80; location / { root /srv; }
                location = /basic_status { stub_status; allow 127.0.0.1; deny all; } }
            server { listen 127.0.0.1:81 ssl; server_name _ *.x status.example;
                location ~ ^/st\\.atus$ { stub_status on; }
                location ~ ^/(a|b) { stub_status; }
                location /closed { internal; stub_status; }
                location /api/ { auth_basic x; api write=on; }
                location /metrics { content_by_lua_block { -- }
                    metric:collect() } } }
            server { listen 82; auth_basic all;
                location /v { vhost_traffic_status_display; location /v/open { auth_basic off; stub_status; } } }
        }",
    );
    let pages: Vec<String> = read
        .status
        .iter()
        .map(|p| {
            let host = p.host.as_deref().unwrap_or("-");
            format!("{} {} {} {host} tls={} restricted={}", p.kind, p.listen, p.path, p.tls, p.restricted)
        })
        .collect();
    assert_eq!(
        pages,
        [
            "stub_status 0.0.0.0:80 /basic_status - tls=false restricted=true",
            "stub_status 127.0.0.1:81 /st.atus status.example tls=true restricted=false",
            "api 127.0.0.1:81 /api/ status.example tls=true restricted=true",
            "prometheus 127.0.0.1:81 /metrics status.example tls=true restricted=false",
            "vhost_traffic_status_display 0.0.0.0:82 /v - tls=false restricted=true",
            "stub_status 0.0.0.0:82 /v/open - tls=false restricted=false",
        ]
    );
    assert_eq!(read.settings["stub_status location"], "~ ^/(a|b)");
    let purposes: Vec<Purpose> = read.listens.iter().map(|listen| listen.purpose).collect();
    assert_eq!(purposes, [Purpose::Service, Purpose::Status, Purpose::Status]);
}

#[test]
fn without_root_the_usual_port_is_another() {
    let mut launch = Launch::test("/usr/sbin/nginx", &["nginx"], &[]);
    let files = [(MAIN, "http { server { } }")];
    assert_eq!(listens(&(READER.read)(&launch, &mut Memory::of(&files))), ["0.0.0.0:80"]);
    launch.user = 33;
    assert!(listens(&(READER.read)(&launch, &mut Memory::of(&files))).is_empty());
}

#[test]
fn what_is_wrong_is_told_and_the_rest_is_kept() {
    for (text, fault) in [
        ("include nginx.conf; http { server { listen 81; } }", "nginx.conf: it includes itself"),
        ("include no; http { server { listen 81; } }", "nginx.conf:1: include /etc/nginx/no: no such file"),
        ("include a\\*\\?\u{1}; http { server { listen 81; } }", ""),
        ("http { server { listen 81; }\n", "nginx.conf:2: it ends within a block"),
        ("http { server { listen 81;\nlisten 8x1; } }", "nginx.conf:2: listen 8x1: that is no address"),
        ("http { server { listen 81; } } }", "nginx.conf:1: a } without a block"),
        ("http { server { listen 81; } }\n'", "nginx.conf:2: a quote is not closed"),
    ] {
        let read = main_file(text);
        assert_eq!(listens(&read), ["0.0.0.0:81"], "{text}");
        let expected = if fault.is_empty() { vec![] } else { vec![format!("/etc/nginx/{fault}")] };
        assert_eq!(faults(&read), expected, "{text}");
    }
}

#[test]
fn binary_files_are_no_text() {
    let read = read_from(&["nginx"], Memory::default().with(MAIN, b"http {\n\x7fELF\0\0;"));
    assert_eq!(files(&read), [MAIN]);
    assert_eq!(faults(&read), ["/etc/nginx/nginx.conf:2: it is no text"]);
    for text in
        [&b"\xff\xfe\xfd;"[..], b"}}}}", b"{{{{", b"\\", b"\"", b"$", b"a_by_lua_block {", b"\xef\xbb\xbf"]
    {
        let read = read_from(&["nginx"], Memory::default().with(MAIN, text));
        assert_eq!(files(&read), [MAIN]);
    }
}

#[test]
fn nothing_is_without_limit() {
    let deep = "a{".repeat(100_000);
    assert!(faults(&main_file(&deep))[0].contains("too deep"));
    let many = "http { server { ".to_owned() + &"listen 1-65535;".repeat(40_000) + "} }";
    let read = main_file(&many);
    assert_eq!(read.listens.len(), 1025);
    let wide = "a b;\n".repeat(200_001) + "include x;";
    let read = super::tests::read(&["nginx"], &[(MAIN, &wide), ("/etc/nginx/x", "")]);
    assert!(faults(&read)[0].contains("over 200000"), "{:?}", faults(&read));
    assert_eq!(files(&read).len(), 2);
    let missing: String = (0..50_000).map(|n| format!("include m{n};\n")).collect();
    assert_eq!(main_file(&missing).faults.len(), 100);
    // Each file is included twice by the one before it.
    let mut memory = Memory::default();
    for n in 0..30 {
        let text = format!("include {0}; include {0};", n + 1);
        memory = memory.with(format!("/etc/nginx/{n}"), text.as_bytes());
    }
    let read = read_from(&["nginx"], memory.with(MAIN, b"include 0;"));
    assert!(!read.faults.is_empty());
}

#[test]
fn without_any_file_that_is_told() {
    let read = read(&["nginx"], &[]);
    assert!(read.files.is_empty() && read.listens.is_empty());
    assert_eq!(read.faults.len(), 1);
    let read = super::tests::read(&["nginx", "-c", "/gone"], &[]);
    assert!(read.files.is_empty());
    assert_eq!(faults(&read), ["/gone: read /gone: no such file"]);
}

#[test]
fn sockets_are_addresses() {
    let read = main_file("http { server { listen unix:/run/a; } }");
    assert_eq!(read.listens[0].address, ListenAddress::Unix("/run/a".into()));
}
