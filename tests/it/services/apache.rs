//! Apache httpd, compared with what it says of itself: `-t -D DUMP_INCLUDES`, `-S`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use portolan::Service;
use portolan_world::World;
use portolan_world::need::Need;
use portolan_world::require;

use super::services_of;
use crate::inside::Inside;

/// Files of a server below `/srv/httpd`, its main one being `httpd.conf`, and how it is started besides.
struct Case {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// For the shell, before the server.
    prepare: &'static str,
    arguments: &'static str,
}

/// What every main file begins with.
const HEAD: &str = "ServerRoot /srv/httpd\nUser www-data\nGroup www-data\nPidFile /run/test-httpd.pid\nServerName main.test\n\
    LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\n\
    LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n\
    LoadModule macro_module /usr/lib/apache2/modules/mod_macro.so\n";

const CASES: &[Case] = &[
    Case {
        name: "wildcards in directories, sorted name by name",
        files: &[
            (
                "httpd.conf",
                "Listen 127.0.0.1:8101\nIncludeOptional site*/x[a-c].conf\nInclude d?/*/*.conf\n\
                 IncludeOptional nothing/*/*.conf\nIncludeOptional nothing\nIncludeOptional s**/xa*\n",
            ),
            ("site/xc.conf", "# 1"),
            ("site/xa.conf", "# 2"),
            ("site.d/xb.conf", "# 3"),
            ("site/.xa.conf", "# hidden"),
            ("site/xd.conf", "# not of the set"),
            ("d1/z/1.conf", ""),
            ("d1/z/.2.conf", ""),
            ("d2/a/3.conf", ""),
            ("d2/4.conf", "# not so high"),
        ],
        prepare: "",
        arguments: "",
    },
    Case {
        name: "whole directories, hidden files and links among them",
        files: &[
            ("httpd.conf", "Listen 127.0.0.1:8101\nInclude extra\nInclude ./extra/../more//one.conf\n"),
            ("extra/b.conf", ""),
            ("extra/.a.conf", "# editors leave such files"),
            ("extra/sub/deep/c", ""),
            ("extra/sub.conf", ""),
            ("more/one.conf", "Include two.d/*\n"),
            ("two.d/dir/inner", "# a directory that a wildcard matches"),
            ("two.d/file", ""),
        ],
        prepare: "ln -s ../../more/one.conf /srv/httpd/extra/sub/link.conf",
        arguments: "",
    },
    Case {
        name: "links to directories, which a wildcard does not enter, and links to nothing",
        files: &[
            (
                "httpd.conf",
                "Listen 127.0.0.1:8101\nIncludeOptional w/l*/*.conf\nInclude w/link/*.conf\nIncludeOptional w/*.conf\nInclude w/link\n",
            ),
            ("w/ldir/1.conf", ""),
            ("w/ok.conf", ""),
            ("real/2.conf", ""),
        ],
        prepare: "ln -s ../real /srv/httpd/w/link; ln -s /nowhere /srv/httpd/w/gone.conf",
        arguments: "",
    },
    Case {
        name: "conditions within conditions",
        files: &[
            (
                "httpd.conf",
                "Listen 127.0.0.1:8101\n\
                 <IfModule !ssl_module>\n <IfModule event.c>\n  Include yes/1.conf\n </IfModule>\n\
                 <IfModule prefork.c>\n  <IfDefine NEVER>\n  Include no\n  </IfDefine>\n  Include no\n </IfModule>\n\
                 </IfModule>\n\
                 <IfDefine WITH>\nInclude yes/2.conf\n</IfDefine>\n<IfDefine with>\nInclude no\n</IfDefine>\n\
                 <IfDefine !WITH>\n# </IfDefine>\nInclude no\n</IfDefine>\n\
                 <IfVersion >= 2.4>\nInclude yes/3.conf\n</IfVersion>\n<IfVersion < 2.4>\nInclude no\n</IfVersion>\n\
                 <IfVersion !< 2.4>\nInclude yes/6.conf\n</IfVersion>\n\
                 <IfFile yes/4.conf>\nInclude yes/4.conf\n</IfFile>\n<IfFile !\"yes\">\nInclude no\n</IfFile>\n\
                 <IfDirective SSLEngine>\nInclude no\n</IfDirective>\n\
                 <IfSection VirtualHost>\nInclude yes/5.conf\n</IfSection>\n\
                 <ifmodule mod_log_config.c>\n<IfModule log_config_module>\nINCLUDE yes/7.conf\n</IfModule>\n</ifmodule>\n",
            ),
            ("yes/1.conf", ""),
            ("yes/2.conf", ""),
            ("yes/3.conf", ""),
            ("yes/4.conf", ""),
            ("yes/5.conf", ""),
            ("yes/6.conf", ""),
            ("yes/7.conf", ""),
        ],
        prepare: "",
        arguments: "-D WITH",
    },
    Case {
        name: "lines that go on, quotes and comments",
        files: &[
            (
                "httpd.conf",
                "Listen \\\n  127.0.0.1:8101\n# a comment that goes on \\\nInclude no.conf\n\
                 Include \"with space/a b.conf\"\nInclude 'single.conf' \n   \tinclude\ttab.conf\t\r\n\
                 In\\\nclude \\\njoined.conf\nInclude \"quo\\\"te.conf\"\n\
                 <VirtualHost *:8101 \\\n  127.0.0.1:8102>\nServerName \"one.test\"\n</VirtualHost>\n",
            ),
            ("with space/a b.conf", ""),
            ("single.conf", ""),
            ("tab.conf", ""),
            ("joined.conf", ""),
            ("quo\"te.conf", ""),
        ],
        prepare: "",
        arguments: "",
    },
    Case {
        name: "variables, defined again, taken back, and of the environment",
        files: &[
            (
                "httpd.conf",
                "Define port 8101\nListen 127.0.0.1:${port}\nDefine base /srv/httpd\nInclude ${base}/a-${ENVIRON}.conf\n\
                 Define site one\nInclude site.conf\nDefine SITE two\nInclude site.conf\nUnDefine site\n\
                 <IfDefine site>\nInclude no\n</IfDefine>\nDefine ENVIRON other\nInclude a-${environ}.conf\n\
                 Define chain ${base}/c\nInclude ${chain}.conf\nIncludeOptional ${unknown}.conf\n",
            ),
            ("a-value.conf", ""),
            ("a-other.conf", ""),
            ("c.conf", ""),
            (
                "site.conf",
                "<VirtualHost *:${port}>\nServerName ${site}.test\nDocumentRoot /srv\nCustomLog logs/${site}.log common\n\
                 Include site-${site}.conf\n</VirtualHost>\n",
            ),
            ("site-one.conf", "ErrorLog logs/one-error.log"),
            ("site-two.conf", ""),
        ],
        prepare: "export ENVIRON=value",
        arguments: "",
    },
    Case {
        name: "macros that use macros and include files",
        files: &[
            (
                "httpd.conf",
                "Listen 127.0.0.1:8101\n\
                 <Macro Site $name $port>\n<VirtualHost 127.0.0.1:$port>\nServerName $name.test\nUse Logs $name\n\
                 Include part-$name.conf\n</VirtualHost>\n</Macro>\n\
                 <Macro Logs $n>\nErrorLog logs/$n-error.log\nCustomLog logs/$n.log combined\n</Macro>\n\
                 LogFormat \"%h %t \\\"%r\\\"\" combined\n\
                 Use Site a 8101\nUSE site \"b\" 8101\nUndefMacro Site\n\
                 <Macro Site $x>\nInclude part-$x.conf\n</Macro>\n<IfModule mod_macro.c>\nUse Site c\n</IfModule>\n",
            ),
            ("part-a.conf", ""),
            ("part-b.conf", ""),
            ("part-c.conf", ""),
        ],
        prepare: "",
        arguments: "",
    },
    Case {
        name: "a root that moves, and includes within sections",
        files: &[
            (
                "httpd.conf",
                "Listen 127.0.0.1:8101\nInclude first.conf\nServerRoot /srv/httpd/elsewhere\nInclude first.conf\n\
                 <Directory />\nInclude dir.conf\n</Directory>\n\
                 <VirtualHost *:8101>\nServerName v.test\nErrorLog logs/v.log\n<Location /x>\nInclude dir.conf\n</Location>\n\
                 <If \"%{HTTP_HOST} == 'x'\">\nInclude dir.conf\n</If>\n</VirtualHost>\n",
            ),
            ("first.conf", ""),
            ("elsewhere/first.conf", ""),
            ("elsewhere/dir.conf", "Options None\n"),
            ("elsewhere/logs/keep", ""),
        ],
        prepare: "",
        arguments: "",
    },
    Case {
        name: "a file that is included twice, before and after the files",
        files: &[
            (
                "httpd.conf",
                "Include twice.conf\nInclude other.conf\nInclude twice.conf\nListen 127.0.0.1:8101\n",
            ),
            ("twice.conf", "<IfDefine EARLY>\nInclude early.conf\n</IfDefine>\n"),
            ("other.conf", ""),
            ("early.conf", ""),
            ("last.conf", ""),
        ],
        prepare: "",
        arguments: "-C 'Define EARLY' -c 'Include last.conf'",
    },
    Case {
        name: "addresses of every kind",
        files: &[(
            "httpd.conf",
            "Listen 127.0.0.1:8101\nListen 8102 https\nListen [::1]:8103\nListen 0.0.0.0:8104\n\
             <VirtualHost 127.0.0.1:8101 [::1]:8103>\nServerName http://a.test:8101\n</VirtualHost>\n\
             <VirtualHost *:8104>\nServerName b.test\n</VirtualHost>\n\
             <VirtualHost _default_:8104>\nServerName c.test\nServerAlias d.test\n</VirtualHost>\n",
        )],
        prepare: "",
        arguments: "",
    },
    Case {
        name: "logs that are files, and logs that are not",
        files: &[(
            "httpd.conf",
            "Listen 127.0.0.1:8101\nLogFormat \"%v %h\" vh\nLogFormat \"%U\"\n\
             CustomLog \"|/bin/cat\" vh\nCustomLog logs/a.log vh env=!x\nTransferLog ./logs//b.log\n\
             CustomLog /srv/httpd/logs/../logs/c.log \"%m %{User-Agent}i\" \"expr=true\"\nGlobalLog logs/d.log vh\n\
             ErrorLog syslog:local1\nErrorLogFormat \"%M\"\n\
             <VirtualHost *:8101>\nServerName v.test\nErrorLog \"||/bin/cat\"\nLogFormat \"%m\" vh\nCustomLog logs/e.log vh\n\
             </VirtualHost>\n",
        )],
        prepare: "",
        arguments: "",
    },
    Case {
        name: "a chain of includes, each in the one before",
        files: &[
            ("httpd.conf", "Include c/1.conf\n"),
            ("c/1.conf", "Include c/2.conf\nInclude c/4.conf\n"),
            ("c/2.conf", "<IfModule !none>\nInclude c/3.conf\n</IfModule>\n"),
            ("c/3.conf", "Listen 127.0.0.1:8101\n"),
            ("c/4.conf", "<VirtualHost *:8101>\nServerName four.test\n</VirtualHost>\n"),
        ],
        prepare: "",
        arguments: "",
    },
];

fn apache_of(inside: &Inside) -> Service {
    let services = services_of(inside, "apache");
    let mut own = services.into_iter().filter(|service| service.kind == "apache");
    let one = own.next().unwrap();
    assert!(own.next().is_none());
    one
}

fn paths(service: &Service) -> Vec<PathBuf> {
    service.configuration.files.iter().map(|file| file.path.clone()).collect()
}

/// The files that the server itself lists, each once.
fn includes(inside: &Inside, server: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for line in inside.shell(&format!("{server} -t -D DUMP_INCLUDES 2>/dev/null")).lines() {
        let Some((_, path)) = line.split_once(") ").filter(|_| line.starts_with("  ")) else { continue };
        if !paths.iter().any(|known| known == Path::new(path)) {
            paths.push(path.into());
        }
    }
    assert!(!paths.is_empty());
    paths
}

/// What `-S` says: the places of virtual hosts, and a few settings.
struct Dumped {
    hosts: BTreeSet<String>,
    text: String,
}

fn dumped(inside: &Inside, server: &str) -> Dumped {
    let text = inside.shell(&format!("{server} -S 2>/dev/null"));
    let mut hosts = BTreeSet::new();
    for line in text.lines() {
        // The place of one in a macro is that of the macro, and of its use.
        if let Some((_, used)) = line.split_once(" used on line ") {
            let (line, rest) = used.split_once(" of \"").unwrap();
            hosts.insert(format!("{}:{line}", rest.split('"').next().unwrap()));
        } else if let Some((_, place)) = line.split_once(" (/") {
            hosts.insert(format!("/{}", place.trim_end_matches(')')));
        }
    }
    Dumped { hosts, text }
}

impl Dumped {
    fn setting(&self, name: &str) -> Option<&str> {
        let line = self.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": \""));
        line.and_then(|line| line.strip_suffix('"'))
    }
}

#[track_caller]
fn agree(name: &str, service: &Service, inside: &Inside, server: &str) {
    let configuration = &service.configuration;
    assert_eq!(paths(service), includes(inside, server), "{name}: {configuration:#?}");
    assert!(configuration.faults.is_empty(), "{name}: {:#?}", configuration.faults);
    let dumped = dumped(inside, server);
    let hosts: BTreeSet<String> = configuration
        .settings
        .iter()
        .filter(|(key, _)| key.starts_with("VirtualHost ") && !key.ends_with(" DocumentRoot"))
        .map(|(_, place)| place.clone())
        .collect();
    assert_eq!(hosts, dumped.hosts, "{name}");
    let setting = |name: &str| configuration.settings.get(name).map(String::as_str);
    assert_eq!(setting("ServerRoot"), dumped.setting("ServerRoot"), "{name}");
    assert_eq!(setting("PidFile"), dumped.setting("PidFile"), "{name}");
    let logs: Vec<&Path> = configuration.logs.iter().map(|log| log.path.as_path()).collect();
    if let Some(log) = dumped.setting("Main ErrorLog").filter(|log| log.starts_with('/')) {
        assert!(logs.contains(&Path::new(log)), "{name}: {log} in {logs:?}");
    }
    // Each log that is a file was made by the server when it started, and there are no others.
    let made = inside.shell("find /srv/httpd -path '*/logs/*' -name '*log' 2>/dev/null || true");
    let made: BTreeSet<&Path> = made.lines().map(Path::new).collect();
    let told: BTreeSet<&Path> = logs.iter().copied().filter(|log| log.starts_with("/srv/httpd")).collect();
    assert_eq!(told, made, "{name}");
    assert!(!service.endpoints.is_empty());
    for endpoint in &service.endpoints {
        let address = endpoint.address.tcp().unwrap();
        assert!(endpoint.tls.is_some(), "{name}: nothing in {configuration:#?} listens on {address}");
    }
}

#[test]
fn tricky_configurations_are_read_as_the_server_reads_them() {
    require!(Need::Root, Need::Overlay, Need::Program("apache2"));
    for case in CASES {
        let server = format!("apache2 -f /srv/httpd/httpd.conf {}", case.arguments);
        let script = format!("{}\nexec {server} -D FOREGROUND", case.prepare);
        let mut world = World::new("apache").command(["sh", "-ec", &script]).directory("/srv/httpd/logs");
        for (path, text) in case.files {
            let text = if *path == "httpd.conf" { format!("{HEAD}{text}") } else { (*text).to_owned() };
            world = world.file(format!("/srv/httpd/{path}"), text);
        }
        let inside = Inside::start(&world);
        let service = apache_of(&inside);
        let own = format!("{}\n{server}", case.prepare.replace("ln -s", "true"));
        agree(case.name, &service, &inside, &own);
    }
}

#[test]
fn debians_own_configuration() {
    require!(Need::Root, Need::Overlay, Need::Program("apache2"));
    let script = "mkdir -p /run/apache2 /var/log/apache2\n. /etc/apache2/envvars\nexec apache2 -D FOREGROUND";
    let inside = Inside::start(&World::new("apache").command(["sh", "-ec", script]));
    let service = apache_of(&inside);
    let configuration = &service.configuration;
    let server = ". /etc/apache2/envvars; apache2";
    assert_eq!(paths(&service), includes(&inside, server), "{configuration:#?}");
    assert_eq!(configuration.files[0].path, Path::new("/etc/apache2/apache2.conf"));
    assert!(configuration.faults.is_empty(), "{:#?}", configuration.faults);
    let log = |path: &str| configuration.logs.iter().find(|log| log.path == Path::new(path));
    assert!(log("/var/log/apache2/error.log").is_some(), "{configuration:#?}");
    let access = log("/var/log/apache2/access.log").and_then(|log| log.format.clone()).unwrap();
    assert_eq!(access.name, "combined");
    assert!(access.text.unwrap().contains("%{User-Agent}i"));
    assert_eq!(
        log("/var/log/apache2/other_vhosts_access.log").unwrap().format.as_ref().unwrap().name,
        "vhost_combined"
    );
    let page = configuration.status.iter().find(|page| page.kind == "server-status").unwrap();
    assert_eq!((page.path.as_str(), page.restricted, page.tls), ("/server-status?auto", true, false));
    let dumped = dumped(&inside, server);
    let setting = |name: &str| configuration.settings.get(name).map(String::as_str);
    assert_eq!(setting("ServerRoot"), dumped.setting("ServerRoot"));
    assert_eq!(setting("PidFile"), dumped.setting("PidFile"));
    assert_eq!(setting("VirtualHost *:80"), Some("/etc/apache2/sites-enabled/000-default.conf:1"));
    // Without the script's variables they are read where the script has them from.
    let plain = inside
        .shell("env -i PATH=$PATH APACHE_RUN_DIR=/run/apache2 sh -c '. /etc/apache2/envvars; apache2 -S'");
    assert!(plain.contains("/var/log/apache2/error.log"));
}

/// Each module that Debian has, and whether the server knows it by the name that its library lets expect.
#[test]
fn modules_go_by_the_names_of_their_sources() {
    require!(Need::Root, Need::Overlay, Need::Program("apache2"));
    let script = "cd /usr/lib/apache2/modules\nfor so in mod_*.so; do\n name=${so#mod_}\n name=${name%.so}\n\
        case $name in mpm_*|authz_core|macro|cgi) ;; *) echo \"LoadModule ${name}_module $PWD/$so\" ;; esac\n\
        printf '<IfModule mod_%s.c>\\nInclude n/%s\\n</IfModule>\\n<IfModule %s_module>\\nInclude s/%s\\n</IfModule>\\n' \
        $name $name $name $name >>/srv/httpd/asked\ntouch /srv/httpd/n/$name /srv/httpd/s/$name\ndone >/srv/httpd/loads\n\
        exec apache2 -f /srv/httpd/httpd.conf -D FOREGROUND";
    let world = World::new("apache")
        .command(["sh", "-ec", script])
        .directory("/srv/httpd/logs")
        .directory("/srv/httpd/n")
        .directory("/srv/httpd/s")
        .file("/srv/httpd/rest", "TypesConfig /etc/mime.types\nDefaultRuntimeDir /run\n")
        .file(
            "/srv/httpd/httpd.conf",
            format!("{HEAD}Listen 127.0.0.1:8101\nInclude loads\nInclude asked\nInclude rest\n"),
        );
    let inside = Inside::start(&world);
    let service = apache_of(&inside);
    assert_eq!(paths(&service), includes(&inside, "apache2 -f /srv/httpd/httpd.conf"));
    assert!(service.configuration.faults.is_empty(), "{:#?}", service.configuration.faults);
    assert!(service.configuration.files.len() > 150, "{}", service.configuration.files.len());
}

#[test]
fn debians_modules_and_sites() {
    require!(Need::Root, Need::Overlay, Need::Program("apache2"), Need::Program("openssl"));
    let script = "mkdir -p /run/apache2 /var/log/apache2 /etc/ssl/private\n\
        openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=t -out /etc/ssl/certs/ssl-cert-snakeoil.pem \
        -keyout /etc/ssl/private/ssl-cert-snakeoil.key\n\
        a2enmod -q ssl rewrite headers proxy_http proxy_fcgi proxy_balancer lbmethod_byrequests info macro userdir \
        expires dav_fs http2 remoteip include cgid authz_groupfile unique_id vhost_alias substitute\n\
        a2enconf -q php8.2-fpm\na2ensite -q default-ssl\n\
        . /etc/apache2/envvars\nexec apache2 -k start -D FOREGROUND";
    let inside = Inside::start(&World::new("apache").command(["sh", "-ec", script]));
    let service = apache_of(&inside);
    let configuration = &service.configuration;
    let server = ". /etc/apache2/envvars; apache2";
    assert_eq!(paths(&service), includes(&inside, server), "{configuration:#?}");
    assert!(configuration.faults.is_empty(), "{:#?}", configuration.faults);
    let dumped = dumped(&inside, server);
    assert_eq!(dumped.hosts.len(), 2);
    for place in &dumped.hosts {
        assert!(
            configuration.settings.values().any(|known| known == place),
            "{place} in {:#?}",
            configuration.settings
        );
    }
    let mut tls: Vec<_> =
        service.endpoints.iter().map(|e| (e.address.tcp().unwrap().port(), e.tls)).collect();
    tls.sort();
    assert_eq!(tls, [(80, Some(false)), (443, Some(true))]);
    for kind in ["server-status", "server-info"] {
        assert!(
            configuration.status.iter().any(|page| page.kind == kind && page.restricted && page.tls),
            "{kind}"
        );
    }
}

#[test]
fn tls_status_and_balancer_pages() {
    require!(Need::Root, Need::Overlay, Need::Program("apache2"), Need::Program("openssl"));
    let modules = "/usr/lib/apache2/modules";
    let load: String = [
        "mpm_event",
        "authz_core",
        "authz_host",
        "status",
        "info",
        "ssl",
        "socache_shmcb",
        "proxy",
        "proxy_http",
        "proxy_balancer",
        "lbmethod_byrequests",
        "slotmem_shm",
        "alias",
    ]
    .iter()
    .map(|name| format!("LoadModule {name}_module {modules}/mod_{name}.so\n"))
    .collect();
    let main = format!(
        "ServerRoot /srv/httpd\nUser www-data\nGroup www-data\nErrorLog /dev/stderr\nPidFile /run/t.pid\nServerName main.test\nDefaultRuntimeDir /run\n{load}\
         Listen 127.0.0.1:8101\nListen 127.0.0.1:8443 https\nListen 127.0.0.1:8444\nListen 127.0.0.1:8445 https\n\
         SSLCertificateFile /srv/httpd/cert\nSSLCertificateKeyFile /srv/httpd/key\n\
         <Location /state>\nSetHandler server-status\n<RequireAny>\nRequire local\nRequire ip 10.0.0.0/8\n</RequireAny>\n</Location>\n\
         <Location \"/open\">\nSetHandler server-info\nRequire all granted\n</Location>\n\
         <Location />\nRequire ip 127.0.0.1\n</Location>\n\
         <VirtualHost *:8443>\nServerName tls.test:8443\nSSLEngine on\n<Location /balance>\nSetHandler balancer-manager\n</Location>\n</VirtualHost>\n\
         <VirtualHost *:8444>\nServerName on.test\nSSLEngine on\n</VirtualHost>\n\
         <VirtualHost *:8445>\nServerName off.test\n</VirtualHost>\n",
    );
    let script = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=t -keyout key -out cert\n\
                  exec apache2 -f /srv/httpd/httpd.conf -DFOREGROUND";
    let world = World::new("apache")
        .command(["sh", "-ec", script])
        .workdir("/srv/httpd")
        .directory("/srv/httpd/logs")
        .file("/srv/httpd/httpd.conf", main);
    let inside = Inside::start(&world);
    let service = apache_of(&inside);
    let configuration = &service.configuration;
    assert!(configuration.faults.is_empty(), "{:#?}", configuration.faults);
    let mut tls: Vec<(u16, Option<bool>)> =
        service.endpoints.iter().map(|e| (e.address.tcp().unwrap().port(), e.tls)).collect();
    tls.sort();
    assert_eq!(tls, [(8101, Some(false)), (8443, Some(true)), (8444, Some(true)), (8445, Some(false))]);
    // What is charted as TLS answers a handshake, and nothing else does.
    for (port, tls) in tls {
        let ask = format!(
            "openssl s_client -connect 127.0.0.1:{port} </dev/null 2>/dev/null | grep -c BEGIN || true"
        );
        assert_eq!(inside.shell(&ask) == "1", tls == Some(true), "{port}");
    }
    let pages: Vec<(&str, String, bool, Option<&str>)> = configuration
        .status
        .iter()
        .filter(|page| {
            page.listen.to_string().ends_with(":8443") || page.listen.to_string().ends_with(":8101")
        })
        .map(|page| {
            (page.kind, format!("{} {}", page.listen, page.path), page.restricted, page.host.as_deref())
        })
        .collect();
    assert_eq!(
        pages,
        [
            ("server-status", "127.0.0.1:8101 /state?auto".to_owned(), true, None),
            ("server-status", "127.0.0.1:8443 /state?auto".to_owned(), true, None),
            ("server-info", "127.0.0.1:8101 /open".to_owned(), false, None),
            ("server-info", "127.0.0.1:8443 /open".to_owned(), false, None),
            ("balancer-manager", "127.0.0.1:8443 /balance".to_owned(), true, Some("tls.test")),
        ]
    );
}
