//! RabbitMQ: what is charted is what the broker listens on, reads and writes.

use std::path::Path;
use std::time::{Duration, Instant};

use portolan::Service;
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{running, services_of};
use crate::inside::Inside;

/// An Erlang machine starts slowly where the machine has little to spare.
const LONG: Duration = Duration::from_secs(90);

/// The broker, once it says that it runs.
fn broker(world: &World) -> (Inside, Service) {
    let inside = Inside::start(world);
    let start = Instant::now();
    // It is there for its own tools before all of its listeners are.
    let says = |text: &str| inside.container.log().contains(text);
    while !says("Starting broker... completed") && !says("Server startup complete") {
        let waiting = inside.container.is_running() && start.elapsed() < LONG;
        assert!(waiting, "it does not run: {}", inside.container.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    let service = services_of(&inside, "rabbitmq").into_iter().find(|s| s.kind == "rabbitmq").unwrap();
    (inside, service)
}

/// All that listens inside, but the daemon of names, which is a program of its own.
fn ports(inside: &Inside) -> Vec<u16> {
    let text = inside.shell("ss -Hltnp | grep -v epmd | awk '{print $4}' | sed 's/.*://' | sort -nu");
    text.lines().map(|port| port.parse().unwrap()).collect()
}

fn charted(service: &Service) -> Vec<u16> {
    let port = |address: &portolan::configuration::ListenAddress| {
        address.to_string().rsplit_once(':').map(|(_, port)| port.parse().unwrap())
    };
    let mut ports: Vec<u16> = service.configuration.listens.iter().filter_map(|l| port(&l.address)).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

const START: &str = "echo 127.0.0.1 services rabbit >> /etc/hosts\n\
    rm -rf /var/lib/rabbitmq/mnesia && chown rabbitmq /var/lib/rabbitmq /var/log/rabbitmq\n\
    exec setpriv --reuid rabbitmq --regid rabbitmq --init-groups env HOME=/var/lib/rabbitmq \
    RABBITMQ_ALLOW_INPUT=1 /usr/lib/rabbitmq/bin/rabbitmq-server -noinput";

#[test]
fn the_packages_own_configuration() {
    require!(Need::Root, Need::Overlay, Need::Program("rabbitmq-server"), Need::Program("ss"));
    let (inside, service) = broker(&running(START));
    let configuration = &service.configuration;
    assert!(configuration.faults.is_empty(), "{configuration:#?}");
    assert_eq!(charted(&service), [5672, 25672]);
    assert_eq!(ports(&inside), charted(&service));
    let node = "rabbit@services";
    assert_eq!(
        configuration.data_directory.as_deref(),
        Some(Path::new("/var/lib/rabbitmq/mnesia").join(node).as_path())
    );
    let log = &configuration.logs[0];
    assert_eq!(
        (log.path.as_path(), log.pattern),
        (Path::new("/var/log/rabbitmq/rabbit@services.log"), false)
    );
    inside.shell("test -s /var/log/rabbitmq/rabbit@services.log");
}

#[test]
fn listeners_plugins_and_files_that_follow_each_other() {
    require!(Need::Root, Need::Overlay, Need::Program("rabbitmq-server"), Need::Program("ss"));
    let world = running(START)
        .file(
            "/etc/rabbitmq/rabbitmq.conf",
            "listeners.tcp.default = 5700  # a comment\nlisteners.tcp.other = ::1:5701\n\
             management.tcp.port = 15701\nmanagement.tcp.ip = 127.0.0.1\nlog.file = /var/log/rabbitmq/own.log\n\
             log.console = true\nmqtt.listeners.tcp.default = 5704\ncluster_name = it\n",
        )
        .file("/etc/rabbitmq/conf.d/20.conf", "management.tcp.port = 15702\n")
        .file("/etc/rabbitmq/conf.d/10.conf", "management.tcp.port = 15703\n")
        .file("/etc/rabbitmq/rabbitmq-env.conf", "NODENAME=bunny\nNODE_PORT=5710\n")
        .file("/etc/rabbitmq/enabled_plugins", "[rabbitmq_management,rabbitmq_prometheus,rabbitmq_mqtt].\n");
    let (inside, service) = broker(&world);
    let configuration = &service.configuration;
    assert!(configuration.faults.is_empty(), "{configuration:#?}");
    assert_eq!(charted(&service), [5700, 5701, 5704, 15692, 15702, 25710]);
    assert_eq!(ports(&inside), charted(&service));
    assert_eq!(configuration.logs[0].path, Path::new("/var/log/rabbitmq/own.log"));
    inside.shell("test -s /var/log/rabbitmq/own.log");
    assert_eq!(
        configuration.data_directory.as_deref(),
        Some(Path::new("/var/lib/rabbitmq/mnesia/bunny@services"))
    );
    inside.shell("test -d /var/lib/rabbitmq/mnesia/bunny@services");
    // The pages are there, as they are charted.
    for page in &configuration.status {
        let answer = inside.shell(&format!(
            "curl -s -o /dev/null -w '%{{http_code}}' http://127.0.0.1:{}{}",
            page.listen.to_string().rsplit_once(':').unwrap().1,
            page.path
        ));
        assert_eq!(answer, if page.restricted { "401" } else { "200" }, "{page:?}");
    }
    assert_eq!(configuration.status.len(), 2);
}
