//! Real daemons, each charted as what it is, once, by its first process; and what only looks like one.

use std::collections::BTreeMap;

use portolan::{Confidence, Service};
use portolan_world::World;
use portolan_world::need::Need;
use portolan_world::require;

use super::{running, services_when};
use crate::inside::Inside;

/// Kind, command in the foreground, programs that it needs.
const DAEMONS: &[(&str, &str, &str)] = &[
    ("redis", "redis-server --port 6379 --save ''", "redis-server"),
    ("memcached", "memcached -u nobody -l 127.0.0.1", "memcached"),
    ("nginx", "nginx -c /t/nginx.conf -g 'daemon off;'", "nginx"),
    ("mosquitto", "mosquitto -p 1883", "mosquitto"),
    ("haproxy", "haproxy -W -db -f /t/haproxy.cfg", "haproxy"),
    ("dnsmasq", "dnsmasq -k -u root -p 5354 --conf-file=/dev/null", "dnsmasq"),
    ("openldap", "slapd -d 256 -h ldap://127.0.0.1:3890 -f /t/slapd.conf", "slapd"),
    ("beanstalkd", "beanstalkd -l 127.0.0.1 -p 11300", "beanstalkd"),
    ("stunnel", "stunnel4 /t/stunnel.conf", "stunnel4"),
    ("tinyproxy", "tinyproxy -d -c /t/tinyproxy.conf", "tinyproxy"),
    ("lighttpd", "lighttpd -D -f /t/lighttpd.conf", "lighttpd"),
    ("unbound", "unbound -d -c /t/unbound.conf", "unbound"),
    ("vsftpd", "vsftpd /t/vsftpd.conf", "vsftpd"),
    ("sshd", "/usr/sbin/sshd -D -p 2222 -h /t/key -f /dev/null", "sshd"),
    ("gunicorn", "gunicorn -b 127.0.0.1:8100 --chdir /t web:app", "gunicorn"),
];

fn with_configurations(world: World) -> World {
    world
        .directory("/t/www")
        .file("/t/nginx.conf", "events {} http { server { listen 8080; } }")
        .file("/t/haproxy.cfg", "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nfrontend f\n mode http\n bind 127.0.0.1:8081\n")
        .file("/t/slapd.conf", "pidfile /t/slapd.pid\ndatabase ldif\nsuffix \"\"\ndirectory /t/www\n")
        .file("/t/stunnel.conf", "foreground = yes\npid =\n[x]\nclient = yes\naccept = 127.0.0.1:8082\nconnect = 127.0.0.1:1\n")
        .file("/t/tinyproxy.conf", "Port 8083\nListen 127.0.0.1\nMaxClients 5\n")
        .file("/t/lighttpd.conf", "server.document-root = \"/t/www\"\nserver.port = 8084\n")
        .file("/t/unbound.conf", "server:\n interface: 127.0.0.1\n port: 5353\n chroot: \"\"\n username: \"\"\n use-syslog: no\n do-daemonize: no\nremote-control:\n control-enable: no\n")
        .file("/t/vsftpd.conf", "listen=YES\nlisten_port=2121\nbackground=NO\nsecure_chroot_dir=/t/www\n")
        .file("/t/web.py", "def app(environment, start):\n    start('200 OK', [])\n    return []\n")
}

/// The number that a process has in its own pid namespace, as the kernel says.
fn number_inside(pid: i32) -> i32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("NSpid:")).unwrap();
    line.split_whitespace().last().unwrap().parse().unwrap()
}

fn of_kind<'a>(services: &'a [Service], kind: &str) -> Vec<&'a Service> {
    services.iter().filter(|service| service.kind == kind).collect()
}

#[test]
fn each_daemon_is_itself_once_by_its_first_process() {
    require!(Need::Root, Need::Overlay);
    for (_, _, program) in DAEMONS {
        require!(Need::Program(program));
    }
    let mut script =
        "mkdir -p /run/sshd /run/vsftpd/empty /var/log/nginx; ssh-keygen -q -t ed25519 -N '' -f /t/key\n"
            .to_owned();
    for (kind, command, _) in DAEMONS {
        script.push_str(&format!("{command} >/t/{kind}.log 2>&1 & echo \"started {kind} $!\"\n"));
    }
    script.push_str("wait\n");
    let inside = Inside::start(&with_configurations(running(&script)));
    inside.wait_log("started gunicorn");
    let services = services_when(&inside.container, |services| {
        DAEMONS
            .iter()
            .all(|(kind, ..)| of_kind(services, kind).iter().any(|service| !service.endpoints.is_empty()))
    });
    let log = inside.container.log();
    let started: BTreeMap<&str, i32> = log
        .lines()
        .filter_map(|line| line.strip_prefix("started ")?.split_once(' '))
        .map(|(kind, pid)| (kind, pid.parse().unwrap()))
        .collect();
    for (kind, ..) in DAEMONS {
        let found = of_kind(&services, kind);
        assert_eq!(found.len(), 1, "{kind}: {services:#?}");
        assert_eq!(number_inside(found[0].process.pid), started[kind], "{kind}: {:?}", found[0]);
        assert!(found[0].confidence >= Confidence::Medium, "{:?}", found[0]);
    }
    let kinds: Vec<&str> = services.iter().map(|service| service.kind.as_str()).collect();
    assert_eq!(kinds.len(), DAEMONS.len(), "others: {kinds:?}");
    let workers = |kind: &str| of_kind(&services, kind)[0].processes.len();
    assert!(workers("nginx") > 1 && workers("haproxy") > 1 && workers("gunicorn") > 1, "{services:#?}");
}

#[test]
fn two_of_a_kind_under_a_supervisor_stay_two() {
    require!(Need::Root, Need::Overlay, Need::Program("supervisord"), Need::Program("redis-server"));
    let config = "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=/t/s.pid\n\
        [program:a]\ncommand=redis-server --port 7001 --save ''\n\
        [program:b]\ncommand=sh -c 'redis-server --port 7002 --save \"\"; true'\n\
        [program:c]\ncommand=python3 /srv/reports/worker.py\n";
    let world = World::new("services")
        .file("/t/supervisord.conf", config)
        .file("/srv/reports/worker.py", "import time; time.sleep(1000)")
        .command(["supervisord", "-c", "/t/supervisord.conf"]);
    let inside = Inside::start(&world);
    let services = services_when(&inside.container, |services| {
        let listen = |service: &&&Service| !service.endpoints.is_empty();
        of_kind(services, "redis").iter().filter(listen).count() == 2
            && !of_kind(services, "python").is_empty()
    });
    let supervisors = of_kind(&services, "supervisord");
    assert_eq!(supervisors.len(), 1, "{services:#?}");
    assert_eq!(supervisors[0].process.pid, inside.pid());
    let ports: Vec<String> =
        of_kind(&services, "redis").iter().map(|s| s.endpoints[0].address.to_string()).collect();
    assert_eq!(ports.len(), 2, "{services:#?}");
    assert_ne!(ports[0], ports[1]);
    // It does not listen, but somebody wants it to run.
    let python = of_kind(&services, "python");
    assert_eq!((python.len(), python[0].name.as_str()), (1, "reports"), "{services:#?}");
    assert_eq!(services.len(), 4, "{services:#?}");
}

#[test]
fn what_only_calls_itself_so_is_not() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"), Need::Program("bash"));
    const LISTEN: &str = "import ctypes, socket, time\n\
        ctypes.CDLL(None).prctl(15, b'nginx', 0, 0, 0)\n\
        s = socket.socket(); s.bind(('127.0.0.1', 80)); s.listen(); print('ready', flush=True); time.sleep(1000)\n";
    let script = "cp /bin/sleep /usr/local/bin/redis-server
        /usr/local/bin/redis-server 1000 &
        (exec -a nginx sleep 1000) & (exec -a 'nginx: master process /usr/sbin/nginx' sleep 1000) &
        (exec -a 'nginx: master process' python3 /t/liar.py) & wait";
    let world = World::new("services").file("/t/liar.py", LISTEN).command(["bash", "-c", script]);
    let inside = Inside::start(&world);
    inside.wait_log("ready");
    let services = services_when(&inside.container, |services| {
        services.len() >= 2 && services.iter().any(|service| !service.endpoints.is_empty())
    });
    let kinds: Vec<&str> = services.iter().map(|service| service.kind.as_str()).collect();
    assert_eq!(kinds, ["python", "redis"], "{services:#?}");
    assert_eq!(services[0].name, "liar");
    // The kernel says that the program's file has this name, and nothing else agrees.
    assert_eq!(services[1].confidence, Confidence::Medium, "{services:#?}");
}

#[test]
fn wrappers_are_seen_through() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"), Need::Program("timeout"));
    let world = World::new("services")
        .file("/srv/billing/src/main.py", "import time; time.sleep(1000)")
        .file(
            "/entrypoint.sh",
            "#!/bin/sh\ncd /srv/billing\nenv A=1 timeout 1000 python3 src/main.py\ntrue\n",
        )
        .command(["sh", "-c", "sh /entrypoint.sh; true"]);
    let inside = Inside::start(&world);
    let services = services_when(&inside.container, |services| !services.is_empty());
    assert_eq!(services.len(), 1, "{services:#?}");
    assert_eq!((services[0].kind.as_str(), services[0].name.as_str()), ("python", "billing"));
    assert!(services[0].evidence.iter().any(|clause| clause == "it runs main.py"), "{services:#?}");
}

#[test]
fn a_program_that_was_replaced_is_still_what_it_was() {
    require!(Need::Root, Need::Overlay, Need::Program("redis-server"));
    let script = "cp /usr/bin/redis-server /usr/local/bin/redis-server
        /usr/local/bin/redis-server --port 6379 --save '' & sleep 0.2; rm /usr/local/bin/redis-server
        cp /bin/true /usr/local/bin/redis-server; echo replaced; wait";
    let inside = Inside::start(&running(script));
    inside.wait_log("replaced");
    let services = services_when(&inside.container, |services| {
        services.iter().any(|service| !service.endpoints.is_empty())
    });
    assert_eq!(services.len(), 1, "{services:#?}");
    assert_eq!((services[0].kind.as_str(), services[0].confidence), ("redis", Confidence::High));
}

#[test]
fn parts_of_a_service_belong_to_it() {
    require!(Need::Root, Need::Overlay, Need::Program("postfix"));
    let script = "postconf -e maillog_file=/var/log/mail inet_interfaces=loopback-only mydestination=; postfix start; sleep 1000";
    let inside = Inside::start(&running(script));
    let services = services_when(&inside.container, |services| {
        services.iter().any(|service| service.processes.len() >= 3 && !service.endpoints.is_empty())
    });
    assert_eq!(services.len(), 1, "{services:#?}");
    assert_eq!(services[0].kind, "postfix");
    let program = std::fs::read_link(format!("/proc/{}/exe", services[0].process.pid)).unwrap();
    assert_eq!(program.file_name().unwrap(), "master");
}
