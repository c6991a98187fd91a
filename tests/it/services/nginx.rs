//! nginx: what its configuration says, held against `nginx -T` and the kernel's listeners.

mod bad;
mod cases;

use std::os::unix::ffi::OsStrExt as _;

use portolan::Service;
use portolan_world::World;
use portolan_world::need::Need;
use portolan_world::require;

use super::{chart, running, same_listeners, services_of, services_when};
use crate::inside::Inside;

#[test]
fn it_is_recognised_with_its_workers_as_one() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"));
    let inside = Inside::start(&running("mkdir -p /var/log/nginx && exec nginx -g 'daemon off;'"));
    // It listens before its workers are there.
    let with_workers = |services: &[Service]| services.iter().any(|service| service.processes.len() > 1);
    let services = services_when(&inside.container, with_workers);
    let nginx: Vec<_> = services.iter().filter(|service| service.kind == "nginx").collect();
    assert_eq!(nginx.len(), 1, "{services:#?}");
    assert!(nginx[0].processes.len() > 1, "{nginx:#?}");
}

#[test]
fn the_packages_own_configuration() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"));
    let inside = Inside::start(&running("mkdir -p /var/log/nginx && exec nginx -g 'daemon off;'"));
    let services = services_of(&inside, "nginx");
    let nginx = services.iter().find(|service| service.kind == "nginx").unwrap();
    same_files(&inside, nginx, "/etc/nginx/nginx.conf");
    same_listeners(nginx, &chart());
    let configuration = &nginx.configuration;
    assert!(configuration.faults.is_empty(), "{configuration:#?}");
    let log = configuration.logs.iter().find(|log| log.purpose.as_str() == "access").unwrap();
    assert_eq!(log.path.to_str(), Some("/var/log/nginx/access.log"));
    assert_eq!(log.format.as_ref().unwrap().name, "combined");
    assert_eq!(configuration.settings["user"], "www-data");
}

#[test]
fn tricky_configurations_are_read_as_nginx_reads_them() {
    require!(
        Need::Root,
        Need::Overlay,
        Need::Ipv6,
        Need::Program("nginx"),
        Need::File("/usr/lib/nginx/modules/ngx_stream_module.so"),
        Need::File("/usr/lib/nginx/modules/ngx_http_lua_module.so"),
    );
    let mut world = World::new("nginx").prepare(cases::SCRIPT);
    let mut script = "set -e\nmkdir -p /var/log/nginx\n".to_owned();
    for case in cases::ALL {
        for (path, text) in case.files {
            world = world.file(format!("/cases/{}/{path}", case.name), text.replace("NAME", case.name));
        }
        // Each is valid, or the comparison means nothing.
        script += &format!("nginx -t -q {0}\nnginx {0}\n", case.arguments.replace("NAME", case.name));
    }
    let world = world.command(["sh", "-c", &format!("{script}\nexec sleep infinity")]);
    let inside = Inside::start(&world);
    let services = services_when(&inside.container, |services| {
        let running = services.iter().filter(|s| s.kind == "nginx" && s.processes.len() > 1);
        running.count() == cases::ALL.len()
    });
    let chart = chart();
    for case in cases::ALL {
        let main = format!("/cases/{}", case.name);
        let own = |service: &&Service| {
            let file = service.configuration.files.first();
            file.is_some_and(|file| file.path.starts_with(&main))
        };
        let service = services.iter().find(own);
        let service = service.unwrap_or_else(|| panic!("{main}: {services:#?}"));
        assert!(service.configuration.faults.is_empty(), "{main}: {:#?}", service.configuration);
        same_files(&inside, service, &case.arguments.replace("NAME", case.name));
        same_listeners(service, &chart);
        (case.more)(service);
    }
}

/// The files are those that `nginx -T` prints, in its order. The arguments are the ones that it was started with.
#[track_caller]
fn same_files(inside: &Inside, service: &Service, arguments: &str) {
    let arguments = if arguments.starts_with('/') { format!("-c {arguments}") } else { arguments.to_owned() };
    let output = inside.container.exec(["sh", "-c", &format!("nginx -T {arguments}")]).unwrap();
    assert!(output.status.success(), "{output:?}");
    let mark = &b"# configuration file "[..];
    let starts: Vec<usize> = (0..output.stdout.len())
        .filter(|at| output.stdout[*at..].starts_with(mark))
        .filter(|at| *at == 0 || output.stdout[at - 1] == b'\n')
        .map(|at| at + mark.len())
        .collect();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        starts.len(),
        service.configuration.files.len(),
        "{:#?}\n{shown}",
        service.configuration.files
    );
    for (start, file) in starts.iter().zip(&service.configuration.files) {
        // A path can hold any byte, so it is not told where it ends.
        let mut expected = file.path.as_os_str().as_bytes().to_vec();
        expected.extend(b":\n");
        let found = &output.stdout[*start..];
        assert!(found.starts_with(&expected), "{file:?} is {}", String::from_utf8_lossy(&found[..80]));
    }
}
