//! Surveys in a row: what did not change is kept, what changed is noticed.

use std::sync::Arc;

use portolan::{ScanOptions, Scanner, Service, SurveyOptions, Surveyor};
use portolan_world::need::Need;
use portolan_world::require;

use super::{running, services_of};
use crate::inside::{Inside, files};

/// A container with nginx, and what looks at it again and again.
struct Watched {
    inside: Inside,
    scanner: Scanner,
    surveyor: Surveyor,
}

impl Watched {
    fn start() -> Self {
        let script = "mkdir -p /var/log/nginx && rm -f /etc/nginx/conf.d/* /etc/nginx/sites-enabled/* && \
            echo 'server { listen 127.0.0.1:8080; access_log /var/log/nginx/one.log; }' \
            >/etc/nginx/conf.d/one.conf && exec nginx -g 'daemon off;'";
        let inside = Inside::start(&running(script));
        services_of(&inside, "nginx");
        let surveyor = Surveyor::new(SurveyOptions::default());
        Self { inside, scanner: Scanner::new(ScanOptions::default()), surveyor }
    }

    fn nginx(&mut self) -> Arc<Service> {
        let chart = self.scanner.scan().unwrap();
        let survey = self.surveyor.survey(&chart, Some(files()));
        let pid = self.inside.pid();
        survey.services.into_iter().find(|service| service.process.pid == pid).unwrap()
    }

    /// The same, once nothing is starting any more.
    fn settled(&mut self) -> Arc<Service> {
        let mut before = self.nginx();
        for _ in 0..200 {
            let now = self.nginx();
            if Arc::ptr_eq(&before, &now) {
                return now;
            }
            before = now;
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("it is never the same: {before:#?}");
    }
}

fn has_log(service: &Service, path: &str) -> bool {
    service.logs.iter().any(|log| log.path.as_os_str() == path)
}

#[test]
fn a_service_of_which_nothing_changed_is_the_same_value() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"));
    let mut watched = Watched::start();
    let settled = watched.settled();
    assert!(has_log(&settled, "/var/log/nginx/one.log"), "{settled:#?}");
    // What it writes to its logs is no change.
    watched.inside.shell("echo more >>/var/log/nginx/one.log; echo else >/tmp/else");
    assert!(Arc::ptr_eq(&settled, &watched.nginx()));
}

#[test]
fn a_file_that_is_edited_added_or_removed_is_read() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"));
    let mut watched = Watched::start();
    assert!(has_log(&watched.settled(), "/var/log/nginx/one.log"));
    // In place, with as many bytes: only its time tells.
    watched.inside.shell("sleep 0.01; sed -i 's/one.log/two.log/' /etc/nginx/conf.d/one.conf");
    let edited = watched.nginx();
    assert!(has_log(&edited, "/var/log/nginx/two.log"), "{edited:#?}");
    let one_is_open = edited.logs.iter().any(|log| log.open && log.path.ends_with("one.log"));
    assert!(one_is_open, "nginx was not told to read it: {edited:#?}");
    watched.inside.shell("echo 'server { listen 127.0.0.1:8081; }' >/etc/nginx/conf.d/new.conf");
    let files = |service: &Service| {
        let files = service.configuration.files.iter();
        files.filter(|file| file.path.starts_with("/etc/nginx/conf.d")).count()
    };
    assert_eq!(files(&watched.nginx()), 2);
    watched.inside.shell("rm /etc/nginx/conf.d/new.conf");
    assert_eq!(files(&watched.nginx()), 1);
}

#[test]
fn a_listener_that_comes_is_an_endpoint() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"));
    let mut watched = Watched::start();
    watched.settled();
    watched
        .inside
        .shell("echo 'server { listen 127.0.0.1:8081; }' >/etc/nginx/conf.d/new.conf; nginx -s reload");
    let start = std::time::Instant::now();
    loop {
        let service = watched.nginx();
        if service.endpoints.iter().any(|endpoint| endpoint.address.to_string() == "127.0.0.1:8081") {
            break;
        }
        assert!(start.elapsed() < crate::inside::SOON, "{service:#?}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
