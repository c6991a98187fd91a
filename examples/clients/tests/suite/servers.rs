//! The servers, all in one container: their configurations, their ports, and when they are ready.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use portolan_dial::{Dialer, Resolver};

use crate::tool::{told, tool};

/// What is in the container at `/srv/inside`.
pub(crate) const START: &str = include_str!("start.sh");
/// Of every server that wants one.
pub(crate) const PASSWORD: &str = "inside";
/// The name that the web server's certificate is for. The container's name server alone knows it.
pub(crate) const WEB_NAME: &str = "web.inside.test";

pub(crate) const AMQP: u16 = 5672;
/// A Redis that is a cluster of itself alone.
pub(crate) const CLUSTER: u16 = 7000;
pub(crate) const DNS: u16 = 53;
pub(crate) const ETCD: u16 = 2379;
pub(crate) const HTTP: u16 = 8080;
pub(crate) const HTTPS: u16 = 8443;
pub(crate) const LDAP: u16 = 389;
pub(crate) const MARIADB: u16 = 3306;
pub(crate) const MEMCACHED: u16 = 11211;
pub(crate) const MQTT: u16 = 1883;
pub(crate) const NATS: u16 = 4222;
pub(crate) const POSTGRES: u16 = 5432;
pub(crate) const REDIS: u16 = 6379;

/// The TCP port of each server.
pub(crate) const PORTS: [(&str, u16); 13] = [
    ("redis", REDIS),
    ("cluster", CLUSTER),
    ("postgres", POSTGRES),
    ("mariadb", MARIADB),
    ("memcached", MEMCACHED),
    ("nginx", HTTP),
    ("nginx", HTTPS),
    ("rabbitmq", AMQP),
    ("mosquitto", MQTT),
    ("etcd", ETCD),
    ("nats", NATS),
    ("slapd", LDAP),
    ("dns", DNS),
];

/// Programs that the container starts.
pub(crate) const PROGRAMS: [&str; 12] = [
    "redis-server",
    "pg_ctlcluster",
    "mariadbd",
    "memcached",
    "nginx",
    "rabbitmq-server",
    "mosquitto",
    "etcd",
    "nats-server",
    "slapd",
    "dnsmasq",
    "haproxy",
];

/// A broker in Erlang takes its time, and three times as long beside others.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where Unix sockets are, in the container; decoys lie at the same paths of the host.
pub(crate) fn sockets() -> String {
    format!("/run/{}", crate::name("clients"))
}

/// Writes what the servers are given, for an address that they are to listen on.
pub(crate) fn give(to: &Path, address: IpAddr) {
    let files = [
        ("start.sh", START.to_owned()),
        ("password", format!("{PASSWORD}\n")),
        ("resolv.conf", format!("nameserver {address}\n")),
        ("mariadb.sql", format!("CREATE USER 'agent'@'%' IDENTIFIED BY '{PASSWORD}';\n")),
        ("rabbitmq.conf", format!("listeners.tcp.1 = {address}:{AMQP}\nloopback_users = none\n")),
        ("mosquitto.conf", format!("listener {MQTT} {address}\nallow_anonymous true\npersistence false\n")),
        ("haproxy.cfg", haproxy()),
        ("nginx.conf", nginx(address)),
        ("slapd.conf", slapd()),
        ("certificate.cnf", certificate()),
    ];
    for (name, text) in files {
        fs::write(to.join(name), text).unwrap();
    }
    let at = |name: &str| to.join(name).to_str().unwrap().to_owned();
    told(
        tool("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ])
            .args(["-config", &at("certificate.cnf"), "-keyout", &at("web.key"), "-out", &at("web.crt")]),
    );
}

fn certificate() -> String {
    format!(
        "[req]\nprompt = no\ndistinguished_name = name\nx509_extensions = leaf\n[name]\nCN = {WEB_NAME}\n\
         [leaf]\nbasicConstraints = critical, CA:FALSE\nsubjectAltName = DNS:{WEB_NAME}\n"
    )
}

fn haproxy() -> String {
    let sockets = sockets();
    format!(
        "global\n  stats socket {sockets}/haproxy.sock mode 666 level user\n  node inside\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n\
         frontend inside\n  bind unix@{sockets}/frontend.sock\n"
    )
}

/// It closes every connection after one answer.
fn nginx(address: IpAddr) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path /data/nginx/{kind};\n"))
        .concat();
    format!(
        "daemon off;\nerror_log stderr;\npid /data/nginx/pid;\nevents {{}}\nhttp {{\n  access_log off;\n  keepalive_timeout 0;\n{temporary}  \
         server {{\n    listen {address}:{HTTP};\n    listen {address}:{HTTPS} ssl;\n    \
         ssl_certificate /srv/inside/web.crt;\n    ssl_certificate_key /srv/inside/web.key;\n    \
         location / {{ return 200 \"inside\\n\"; }}\n  }}\n}}\n"
    )
}

fn slapd() -> String {
    format!(
        "include /etc/ldap/schema/core.schema\npidfile /data/slapd/pid\nargsfile /data/slapd/args\n\
         database ldif\nsuffix \"dc=inside,dc=test\"\nrootdn \"cn=admin,dc=inside,dc=test\"\n\
         rootpw {PASSWORD}\ndirectory /data/slapd\n"
    )
}

/// The servers of one container.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) dialer: Dialer,
    pub(crate) address: IpAddr,
    /// What they were given.
    pub(crate) given: PathBuf,
}

impl Servers {
    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address, port)
    }

    /// Asks the container's name server.
    pub(crate) fn resolver(&self) -> Resolver {
        Resolver::new(&self.dialer, &self.file("resolv.conf"), b"").unwrap()
    }

    /// A file of what they were given.
    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.given.join(name)).unwrap()
    }

    /// Waits until all of them answer.
    pub(crate) fn wait(&self) {
        let end = Instant::now() + PATIENCE;
        for (name, port) in PORTS {
            while let Err(error) = self.dialer.connect(self.at(port), Duration::from_secs(1)) {
                assert!(Instant::now() < end, "{name} is not ready: {error}\n{}", self.said(name));
                sleep(Duration::from_millis(50));
            }
        }
        for (name, path) in [
            ("postgres", "/data/ready/postgres"),
            ("cluster", "/data/ready/cluster"),
            ("haproxy", &format!("{}/haproxy.sock", sockets())),
        ] {
            while !self.inside(path).exists() {
                assert!(Instant::now() < end, "{name} is not ready:\n{}", self.said(name));
                sleep(Duration::from_millis(50));
            }
        }
    }

    /// A path of the container as the suite sees it.
    fn inside(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.dialer.process().pid()))
    }

    /// What a server has said.
    pub(crate) fn said(&self, name: &str) -> String {
        fs::read_to_string(self.inside(&format!("/data/log/{name}")))
            .unwrap_or_else(|error| error.to_string())
    }
}
