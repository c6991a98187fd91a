//! Configurations that nginx takes, and that are easily misread.

use portolan::Service;

/// A configuration below `/cases/NAME`, and what else is true of it.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// What nginx is started with.
    pub(super) arguments: &'static str,
    /// `NAME` stands for the case's name in each.
    pub(super) files: &'static [(&'static str, &'static str)],
    pub(super) more: fn(&Service),
}

/// What is made before any of them is started: a certificate, and files that a description cannot hold.
pub(super) const SCRIPT: &str = r#"
mkdir -p /var/log/nginx /cases/prefix/sub/logs
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout /cases/key.pem -out /cases/cert.pem 2>/dev/null
ln -s ../link-target.conf /cases/links/on/z.conf
printf '# twice\n' > "$(printf '/cases/newline/a\nb.conf')"
printf '# latin\n' > "$(printf '/cases/newline/\351t\351.conf')"
"#;

/// The lines without which nginx does not start beside others.
macro_rules! main {
    ($($text:expr),*) => {
        concat!("pid /tmp/NAME.pid; error_log /tmp/NAME-error.log; events { }\n", $($text),*)
    };
}

const NO_MORE: fn(&Service) = |_| {};

fn log(service: &Service, path: &str) -> Option<(String, Option<String>)> {
    let log = service.configuration.logs.iter().find(|log| log.path.to_str() == Some(path))?;
    log.format.as_ref().map(|format| (format.name.clone(), format.text.clone()))
}

pub(super) const ALL: &[Case] = &[
    Case {
        name: "quotes",
        arguments: "-c /cases/NAME/nginx.conf",
        files: &[
            (
                "nginx.conf",
                main!(
                    "http { include 'with space.conf'; include \"semi;colon{}.conf\"; include q\\\"uote.conf; include ha#sh.conf;\n",
                    "# include commented.conf;\n",
                    "log_format tricky escape=json '{\"a\":\"$remote_addr\",' # a comment within\n \"\\\"b\\\": ${request_uri}};\";\n",
                    "server { listen 9001; server_name \"~^(?<x>.{1,3})\\.example$\" 'a.example';\n",
                    "  set $y \"a;b } {\"; set $z ${y}}x; access_log /tmp/tricky.log tricky; return 200 '}';\n",
                    "  if ($y ~ \"x{2}\") { return 204; } } }"
                ),
            ),
            ("with space.conf", "# a"),
            ("semi;colon{}.conf", "# b"),
            ("q\"uote.conf", "# c"),
            ("ha#sh.conf", "# d"),
        ],
        more: |service| {
            let text = "{\"a\":\"$remote_addr\",\"b\": ${request_uri}};".to_owned();
            assert_eq!(log(service, "/tmp/tricky.log"), Some(("tricky".into(), Some(text))));
        },
    },
    Case {
        name: "globs",
        arguments: "-c /cases/NAME/nginx.conf",
        files: &[
            (
                "nginx.conf",
                main!(
                    "include none/*.conf; http { include d*/[a-b]?.conf; include ./d1/../d1/a1.conf; include d1//c.conf; include ./d1/../d2/*.con[f]; include '{d1,d2}/*'; include **/*/a?.conf; include [d]1/[[:alpha:]]2.[!x]onf; include \"d[]\"; }"
                ),
            ),
            ("d1/a1.conf", "# twice"),
            ("d1/a2.conf", "server { listen 9010; }"),
            ("d1/b1.conf", ""),
            ("d1/c.conf", "server { listen 127.0.0.1:9011; }"),
            ("d1/.a3.conf", "broken"),
            ("d1-x/a1.conf", "server { listen [::1]:9012; }"),
            ("d2/a9.conf", "include deeper/*; include deeper/1;"),
            ("deeper/1", "server { listen 9013; }"),
            ("deeper/10", "# one"),
            ("deeper/2", "# two"),
            ("d[]", "# as it is written: glob(7) takes it for text"),
        ],
        more: NO_MORE,
    },
    Case {
        name: "prefix",
        arguments: "-p /cases/NAME/sub -c ../nginx.conf",
        files: &[
            (
                "nginx.conf",
                main!(
                    "http { include inc.conf; access_log logs/access.log; error_log logs/http.log;\n",
                    "server { listen 9020; access_log logs/$host-${server_port}.log; } server { listen 9021; } }"
                ),
            ),
            ("inc.conf", "# relative to the main file"),
            ("sub/inc.conf", "wrong"),
        ],
        more: |service| {
            let configuration = &service.configuration;
            let of = |path: &str| configuration.logs.iter().find(|log| log.path.to_str() == Some(path));
            assert!(of("/cases/prefix/sub/logs/access.log").is_some(), "{configuration:#?}");
            assert!(of("/cases/prefix/sub/logs/http.log").is_some());
            assert!(of("/cases/prefix/sub/logs/*-*.log").unwrap().pattern);
        },
    },
    Case {
        name: "links",
        arguments: "-c /cases/NAME/nginx.conf",
        files: &[
            ("nginx.conf", main!("http { include on/*; include link-target.conf; }")),
            ("on/a", "server { listen unix:/tmp/NAME.sock; listen localhost:9030; }"),
            ("link-target.conf", "# twice, under two names"),
        ],
        more: NO_MORE,
    },
    Case {
        name: "newline",
        arguments: "-c /cases/NAME/nginx.conf",
        files: &[(
            "nginx.conf",
            main!(
                "http { include 'a\nb.conf'; include a\\nb.conf; include *t*.conf; server { listen 9040; } }"
            ),
        )],
        more: NO_MORE,
    },
    Case {
        name: "tables",
        arguments: "-c /cases/NAME/nginx.conf",
        files: &[
            (
                "nginx.conf",
                main!(
                    "http { types { include types; text/x x; } include /etc/nginx/mime.types;\n",
                    "map $host $m { hostnames; include maps/*; default 0; '~^[{};]$' 1; }\n",
                    "geo $g { include geo; default 0; 10.0.0.0/8 1; }\n",
                    "split_clients $remote_addr $s { 50% a; * b; }\n",
                    "upstream u { include servers; keepalive 3; }\n",
                    "server { listen 9050; location / { proxy_pass http://u; limit_except GET { include allow; deny all; } } } }"
                ),
            ),
            ("types", "text/plain txt;"),
            ("maps/1", "a.example 1;"),
            ("maps/2", "include again;"),
            ("again", "b.example 2;"),
            ("geo", "127.0.0.1 2;"),
            ("servers", "server 127.0.0.1:1 weight=5;\nserver unix:/tmp/u.sock backup;"),
            ("allow", "allow 127.0.0.1;"),
        ],
        more: |service| {
            let upstream = &service.configuration.upstreams[0];
            assert_eq!(upstream.addresses, ["127.0.0.1:1", "unix:/tmp/u.sock"]);
        },
    },
    Case {
        name: "lua",
        arguments: "-c /cases/NAME/nginx.conf",
        files: &[
            (
                "nginx.conf",
                concat!(
                    "include /etc/nginx/modules-enabled/*.conf;\n",
                    "pid /tmp/NAME.pid; error_log /tmp/NAME-error.log; events { }\n",
                    "http { init_by_lua_block { -- } it's\n local t = { a = '}', b = [[ } include x; ]], c = \"\\\"}\" } --[==[ } ]] ]==] }\n",
                    "server { listen 9060; location / { content_by_lua_block {\n ngx.say(\"{\") -- include 'no';\n } include after; } } }"
                ),
            ),
            ("after", "# seen"),
        ],
        more: NO_MORE,
    },
    Case {
        name: "stream",
        arguments: "-c /cases/NAME/nginx.conf",
        files: &[
            (
                "nginx.conf",
                concat!(
                    "include /etc/nginx/modules-enabled/50-mod-stream.conf;\n",
                    main!(
                        "stream { log_format basic '$remote_addr ' '$protocol'; access_log /tmp/stream.log basic; include tcp/*.conf;\n",
                        "server { listen 127.0.0.1:9071 ssl; ssl_certificate /cases/cert.pem; ssl_certificate_key /cases/key.pem; return x; } }"
                    )
                ),
            ),
            ("tcp/a.conf", "server { listen 127.0.0.1:9072-9074; listen 9075 udp; proxy_pass 127.0.0.1:1; }"),
        ],
        more: |service| {
            let configuration = &service.configuration;
            assert_eq!(log(service, "/tmp/stream.log").unwrap().1.as_deref(), Some("$remote_addr $protocol"));
            assert_eq!(configuration.listens.iter().filter(|listen| listen.tls == Some(true)).count(), 1);
            assert_eq!(configuration.upstreams[0].name, "127.0.0.1:1");
        },
    },
    Case {
        name: "listens",
        arguments: "-c /cases/NAME/nginx.conf",
        files: &[(
            "nginx.conf",
            main!(
                "http { ssl_certificate /cases/cert.pem; ssl_certificate_key /cases/key.pem; access_log off;\n",
                "server { listen *:9080 default_server backlog=100; listen [::]:9080 ipv6only=on; server_name _; }\n",
                "server { listen 9080; listen 9081 ssl http2; server_name b; }\n",
                "server { listen [::1]:9082 so_keepalive=on; listen 'unix:/tmp/a b.sock'; }\n",
                "server { listen 9081 ssl; listen 127.0.0.2:9083 reuseport; server_name c; ssl_verify_client off; } }"
            ),
        )],
        more: |service| {
            let tls = service.configuration.listens.iter().filter(|listen| listen.tls == Some(true));
            assert_eq!(tls.map(|listen| listen.address.to_string()).collect::<Vec<_>>(), ["0.0.0.0:9081"]);
        },
    },
    Case {
        name: "default",
        arguments: "-c /cases/NAME/nginx.conf",
        files: &[("nginx.conf", main!("http { server { location / { access_log /tmp/only-here.log; } } }"))],
        more: |service| {
            assert_eq!(service.configuration.listens[0].address.to_string(), "0.0.0.0:80");
            // What is opened for the server itself, though no request is logged there.
            assert_eq!(log(service, "/var/log/nginx/access.log").unwrap().0, "combined");
            assert_eq!(log(service, "/tmp/only-here.log").unwrap().0, "combined");
        },
    },
    Case {
        name: "arguments",
        arguments: "-c /cases/NAME/nginx.conf -g 'pid /tmp/NAME.pid; error_log /tmp/by-argument.log; worker_processes 1;'",
        files: &[
            ("nginx.conf", "events { include events; } http { server { listen 9100; } }"),
            ("events", "worker_connections 64;"),
        ],
        more: |service| {
            let configuration = &service.configuration;
            assert_eq!(configuration.settings["worker_processes"], "1");
            assert!(configuration.logs.iter().any(|log| log.path.to_str() == Some("/tmp/by-argument.log")));
        },
    },
    Case {
        name: "status",
        arguments: "-c /cases/NAME/nginx.conf",
        files: &[
            (
                "nginx.conf",
                main!(
                    "http { server { listen 9110; server_name www; root /srv; location /in { internal; stub_status; } }\n",
                    "server { listen 9110; listen [::1]:9111; server_name *.x status.example; include status; } }"
                ),
            ),
            (
                "status",
                "location = /nginx_status { stub_status; allow 127.0.0.1; deny all; access_log off; }",
            ),
        ],
        more: |service| {
            let pages = &service.configuration.status;
            assert_eq!(pages.len(), 2, "{pages:#?}");
            assert!(
                pages.iter().all(|page| page.host.as_deref() == Some("status.example") && page.restricted)
            );
            assert!(pages.iter().all(|page| page.path == "/nginx_status" && page.kind == "stub_status"));
        },
    },
    Case {
        name: "crlf",
        arguments: "-c /cases/NAME/nginx.conf",
        files: &[
            (
                "nginx.conf",
                main!(
                    "http\r\n{\r\n\tserver\r\n\t{\r\n\t\tlisten\r\n9120\r\n;}\r\ninclude\r\n\tx ; include\ty;}\r\n# the end"
                ),
            ),
            ("x", "# no newline at its end"),
            ("y", "\n\n;\n".split_at(2).0),
        ],
        more: NO_MORE,
    },
    Case {
        name: "nested",
        arguments: "-c /cases/NAME/nginx.conf",
        files: &[
            ("nginx.conf", main!("include http;")),
            ("http", "http { include servers; }"),
            (
                "servers",
                "server { include listen; include location; } server { include listen2; location / { include location2; } }",
            ),
            ("listen", "listen 9130;"),
            ("listen2", "listen 9131; server_name two;"),
            (
                "location",
                "location /a { location /a/b { include snippet; } if ($arg_x) { include snippet; } }",
            ),
            ("location2", "include snippet;"),
            ("snippet", "add_header X 'y'; include bottom;"),
            ("bottom", "# here"),
        ],
        more: NO_MORE,
    },
];
