//! Configurations that became unreadable, without end, or hostile after nginx had started.

use std::time::{Duration, Instant};

use portolan::{ErrorKind, Service, SurveyOptions, Surveyor};
use portolan_world::World;
use portolan_world::need::Need;
use portolan_world::require;

use crate::inside::{Inside, files};
use crate::services::{chart, running, services_when};

const GOOD: &str =
    "pid /tmp/n.pid; error_log stderr; daemon off; events { } http { server { listen 9200; } }";

/// An nginx whose configuration is changed by a script once it runs.
fn changed(script: &str) -> (Inside, Service) {
    let world = running("mkdir -p /var/log/nginx && exec nginx -c /n/nginx.conf");
    let inside = Inside::start(&world.file("/n/nginx.conf", GOOD).tmpfs("/many"));
    services_when(&inside.container, |services| services.iter().any(|s| !s.configuration.listens.is_empty()));
    inside.shell(script);
    let chart = chart();
    let start = Instant::now();
    let survey = Surveyor::new(SurveyOptions::default()).survey(&chart, Some(files()));
    assert!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
    let own = |service: &Service| service.kind == "nginx" && service.processes.contains(&inside.pid());
    let service = survey.services.iter().find(|service| own(service)).unwrap();
    (inside, Service::clone(service))
}

/// The only fault is of this kind, at this place, and says this; what else there is has been read.
#[track_caller]
fn fault(service: &Service, kind: impl Fn(ErrorKind) -> bool, text: &str) {
    let configuration = &service.configuration;
    let [fault] = configuration.faults.as_slice() else { panic!("{configuration:#?}") };
    assert!(kind(fault.kind) && fault.to_string().contains(text), "{fault:?}");
    let address = configuration.listens.first().map(|listen| listen.address.to_string());
    assert_eq!(address.as_deref(), Some("0.0.0.0:9201"), "{configuration:#?}");
}

/// The statements that every changed file has besides.
const REST: &str = "http { server { listen 9201; } }";

fn with(include: &str) -> String {
    format!("printf '%s\\n' '{include}' '{REST}' > /n/nginx.conf")
}

#[test]
fn a_file_that_includes_itself() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"));
    let (_inside, service) = changed(&with("include *.conf;"));
    fault(&service, |kind| kind == ErrorKind::InvalidInput, "/n/nginx.conf: it includes itself");
}

#[test]
fn a_hundred_thousand_files() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"));
    let make = "cd /many && seq -f 'f%06g' 100000 | xargs touch";
    let (_inside, service) = changed(&format!("{make}\n{}", with("include /many/*;")));
    fault(&service, |kind| matches!(kind, ErrorKind::Limit(_)), "/n/nginx.conf:1: include /many/*:");
    assert!(service.configuration.files.len() > 500, "{}", service.configuration.files.len());
}

#[test]
fn a_program_as_configuration() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"));
    let (_inside, service) = changed(&format!("cp /bin/true /n/binary\n{}", with("include binary;")));
    fault(&service, |kind| kind == ErrorKind::InvalidInput, "/n/binary:1: it is no text");
}

#[test]
fn files_that_are_missing_or_no_files() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"));
    let (_inside, service) = changed(&with("include gone; include gone/*;"));
    fault(&service, |kind| kind == ErrorKind::NotFound, "/n/nginx.conf:1: include /n/gone: no such file");
    let (_inside, service) = changed(&format!("mkfifo /n/fifo\n{}", with("include fifo;")));
    fault(&service, |kind| matches!(kind, ErrorKind::NotRegular(_)), "/n/fifo: ");
    let (_inside, service) = changed(&format!("mkdir /n/directory\n{}", with("include d*;")));
    fault(&service, |kind| matches!(kind, ErrorKind::NotRegular(_)), "/n/directory: ");
    let (_inside, service) = changed(&format!("ln -s loop /n/loop\n{}", with("include loop;")));
    fault(&service, |kind| kind == ErrorKind::SymlinkLoop, "/n/loop: ");
    let (_inside, service) = changed(&format!("truncate -s 3M /n/huge\n{}", with("include huge;")));
    fault(&service, |kind| matches!(kind, ErrorKind::Limit(_)), "/n/huge: ");
}

#[test]
fn text_that_breaks_off() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"));
    let (_inside, service) =
        changed(&format!("{}\nprintf 'http {{ server {{ listen' >> /n/nginx.conf", with("")));
    fault(&service, |kind| kind == ErrorKind::InvalidInput, "/n/nginx.conf:3: it ends within a statement");
}

#[test]
fn a_container_without_its_configuration() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"));
    let (_inside, service) = changed("rm -r /n");
    let configuration = &service.configuration;
    assert!(configuration.files.is_empty() && configuration.listens.is_empty());
    assert_eq!(configuration.faults.len(), 1, "{configuration:#?}");
    assert_eq!(configuration.faults[0].kind, ErrorKind::NotFound);
    // Where it listens is the kernel's word.
    assert!(service.endpoints.iter().any(|endpoint| endpoint.listening), "{service:#?}");
    let world = World::new("bare").command([
        "sh",
        "-c",
        "mkdir -p /var/log/nginx; nginx && rm -r /etc/nginx; exec sleep 1000",
    ]);
    let inside = Inside::start(&world);
    let services = services_when(&inside.container, |services| {
        services.iter().any(|s| s.kind == "nginx" && s.configuration.files.is_empty())
    });
    let nginx = services.iter().find(|service| service.kind == "nginx").unwrap();
    assert!(!nginx.configuration.faults.is_empty(), "{nginx:#?}");
}
