//! Containers that lack what one expects, have too much of it, or mean harm: all else is told, and nothing hangs.

use std::time::{Duration, Instant};

use portolan::{ScanOptions, Scanner, SurveyOptions, Surveyor};
use portolan_world::World;
use portolan_world::need::Need;
use portolan_world::require;

use super::{running, services_of, services_when};
use crate::command::portolan;
use crate::inside::{Inside, files};

#[test]
fn five_megabytes_of_variables_hide_nothing() {
    require!(Need::Root, Need::Overlay, Need::Program("redis-server"), Need::Program("python3"));
    // The kernel takes a quarter of the stack's limit, and 128 KiB in one text.
    let program = "import os, resource\n\
        resource.setrlimit(resource.RLIMIT_STACK, (64 << 20, 64 << 20))\n\
        many = {'V%d' % n: 'x' * 120000 for n in range(42)}\n\
        os.execve('/usr/bin/redis-server', ['redis-server', '--port', '6399', '--save', ''], many)\n";
    let world = World::new("variables").file("/start.py", program).command(["python3", "/start.py"]);
    let inside = Inside::start(&world);
    let services = services_of(&inside, "redis");
    let redis = services.iter().find(|service| service.kind == "redis").unwrap();
    assert_eq!(redis.endpoints[0].address.to_string(), "127.0.0.1:6399", "{redis:#?}");
}

#[test]
fn a_container_without_etc_is_charted_all_the_same() {
    require!(Need::Root, Need::Overlay, Need::Program("redis-server"));
    let script = "rm -rf /etc /var/lib/dpkg; exec redis-server --bind 127.0.0.1 --port 6396 --save ''";
    let inside = Inside::start(&running(script));
    let services = services_of(&inside, "redis");
    let redis = services.iter().find(|service| service.kind == "redis").unwrap();
    assert_eq!(redis.endpoints[0].address.to_string(), "127.0.0.1:6396", "{redis:#?}");
}

#[test]
fn a_path_with_a_newline_forges_no_line() {
    require!(Need::Root, Need::Overlay, Need::Program("redis-server"));
    let script = "mkdir -p '/etc/a\nb' && printf 'port 6398\\nset-proc-title no\\n' >'/etc/a\nb/redis.conf' && \
        exec redis-server '/etc/a\nb/redis.conf'";
    let inside = Inside::start(&running(script));
    let services = services_of(&inside, "redis");
    let redis = services.iter().find(|service| service.kind == "redis").unwrap();
    let files: Vec<_> = redis.configuration.files.iter().map(|file| file.path.to_str().unwrap()).collect();
    assert_eq!(files, ["/etc/a\nb/redis.conf"]);
    let table = portolan(["scan", "--no-runtime-api", &inside.target()]);
    let text = String::from_utf8(table.stdout).unwrap();
    assert!(text.contains(r"/etc/a\x0ab/redis.conf") && !text.contains("\nb/redis.conf"), "{text}");
}

#[test]
fn who_calls_itself_nginx_is_not() {
    require!(Need::Root, Need::Overlay, Need::Program("bash"));
    let inside = Inside::start(&World::new("nginx").command(["bash", "-c", "exec -a nginx sleep 1000"]));
    std::thread::sleep(Duration::from_millis(50));
    let services = services_when(&inside.container, |_| true);
    assert!(services.iter().all(|service| service.kind != "nginx"), "{services:#?}");
}

#[test]
fn a_configuration_that_never_comes_delays_nobody() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"), Need::Program("redis-server"));
    // Whoever reads a FIFO waits until somebody writes.
    let slow: Vec<Inside> = (0..3)
        .map(|_| {
            let script = "mkdir -p /var/log/nginx; nginx; rm /etc/nginx/nginx.conf; mkfifo /etc/nginx/nginx.conf; \
                exec sleep 1000";
            Inside::start(&running(script))
        })
        .collect();
    let inside = Inside::start(&running("exec redis-server --port 6397 --save ''"));
    services_of(&inside, "redis");
    let chart = Scanner::new(ScanOptions::default()).scan().unwrap();
    let start = Instant::now();
    let survey = Surveyor::new(SurveyOptions::default()).survey(&chart, Some(files()));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    for other in &slow {
        let own = survey.services.iter().filter(|service| service.kind == "nginx");
        let init = chart.containers.iter().find(|container| container.init.pid == other.pid()).unwrap();
        let nginx = own.clone().find(|service| service.container.as_ref() == Some(&init.id));
        let nginx = nginx.unwrap_or_else(|| panic!("{survey:#?}"));
        assert!(!nginx.configuration.faults.is_empty(), "{nginx:#?}");
    }
    assert!(survey.services.iter().any(|service| service.kind == "redis"));
}
