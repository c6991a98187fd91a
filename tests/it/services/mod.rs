//! Real services of Debian's packages inside: what is recognised, and what their configurations say.

mod again;
mod apache;
mod haproxy;
mod hostile;
mod memcached;
mod mosquitto;
mod mysql;
mod nginx;
mod pgbouncer;
mod php_fpm;
mod postgresql;
mod rabbitmq;
mod recognition;
mod redis;
mod version;
mod zookeeper;

use std::collections::BTreeSet;

use portolan::{Inventory, Local, Service, SurveyOptions, Surveyor, configuration};
use portolan_linux::error::Escaped;
use portolan_world::{Container, World};

use crate::inside::{Inside, SOON, files};

/// A world that runs a shell script: of real services, which it starts in the foreground or waits for.
pub(crate) fn running(script: &str) -> World {
    World::new("services").command(["sh", "-c", script])
}

/// The chart of this host.
pub(crate) fn chart() -> Inventory {
    portolan_scan::scan(&portolan::ScanOptions::default()).unwrap()
}

/// The services of a container, as soon as there are any of a kind that listen.
#[track_caller]
pub(crate) fn services_of(inside: &Inside, kind: &str) -> Vec<Service> {
    services_when(&inside.container, |services| {
        services.iter().any(|service| service.kind == kind && !service.endpoints.is_empty())
    })
}

/// The services of a container, once they are as awaited.
#[track_caller]
pub(crate) fn services_when(container: &Container, awaited: impl Fn(&[Service]) -> bool) -> Vec<Service> {
    let start = std::time::Instant::now();
    loop {
        let chart = chart();
        let id = chart.containers.iter().find(|c| c.init.pid == container.pid()).map(|c| c.id.clone());
        let survey = Surveyor::new(SurveyOptions::default()).survey(&chart, Some(files()));
        let own = survey.services.into_iter().filter(|s| id.is_some() && s.container == id);
        let own: Vec<Service> = own.map(|service| (*service).clone()).collect();
        if awaited(&own) {
            return own;
        }
        assert!(start.elapsed() < SOON && container.is_running(), "{own:#?}\nlog: {}", container.log());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// What the kernel says that its processes listen on is what the configuration says.
#[track_caller]
pub(crate) fn same_listeners(service: &Service, chart: &Inventory) {
    let owned = |pid: i32| service.processes.contains(&pid);
    let listeners = chart.listeners.iter().filter(|l| l.owner.is_some_and(|owner| owned(owner.pid)));
    let bound: BTreeSet<String> = listeners
        .map(|listener| match &listener.local {
            Local::Inet(address, port) => std::net::SocketAddr::new(*address, *port).to_string(),
            Local::Path(path) => format!("unix:{}", without_pid(&String::from_utf8_lossy(path))),
            Local::Abstract(name) => format!("unix:@{}", Escaped(name)),
            other => format!("{other:?}"),
        })
        .collect();
    let configured: BTreeSet<String> = service
        .configuration
        .listens
        .iter()
        .map(|listen| match &listen.address {
            configuration::ListenAddress::Name(name, port) if name == "localhost" => {
                format!("127.0.0.1:{port}")
            }
            address => address.to_string(),
        })
        .collect();
    assert_eq!(configured, bound, "{:?}", service.configuration.files.first());
}

/// HAProxy binds its sockets under a name with its pid, and renames them.
fn without_pid(path: &str) -> &str {
    let before = path.strip_suffix(".tmp").and_then(|path| path.rsplit_once('.'));
    before.filter(|(_, pid)| pid.parse::<u32>().is_ok()).map_or(path, |(path, _)| path)
}
