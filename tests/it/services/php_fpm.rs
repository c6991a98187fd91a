//! PHP-FPM, compared with what it says of itself: `-tt`.

use std::path::Path;

use portolan::Service;
use portolan_world::World;
use portolan_world::need::Need;
use portolan_world::require;

use super::services_of;
use crate::inside::Inside;

fn fpm_of(inside: &Inside) -> Service {
    let services = services_of(inside, "php-fpm");
    services.into_iter().find(|service| service.kind == "php-fpm").unwrap()
}

/// The values that the service itself says a setting has, a pool after another; what is not set is left out.
fn told(text: &str, name: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.split_once("NOTICE: \t"));
    let values = lines.filter_map(|(_, setting)| setting.strip_prefix(name)?.strip_prefix(" = "));
    values.filter(|value| *value != "undefined").map(str::to_owned).collect()
}

#[test]
fn debians_own_configuration() {
    require!(Need::Root, Need::Overlay, Need::Program("php-fpm8.2"));
    let script = "mkdir -p /run/php && exec php-fpm8.2 -F";
    let inside = Inside::start(&World::new("fpm").command(["sh", "-ec", script]));
    let service = fpm_of(&inside);
    let configuration = &service.configuration;
    let paths: Vec<&Path> = configuration.files.iter().map(|file| file.path.as_path()).collect();
    assert_eq!(paths, ["/etc/php/8.2/fpm/php-fpm.conf", "/etc/php/8.2/fpm/pool.d/www.conf"].map(Path::new));
    assert!(configuration.faults.is_empty(), "{:#?}", configuration.faults);
    let text = inside.shell("php-fpm8.2 -tt 2>&1");
    let listens: Vec<String> =
        configuration.listens.iter().map(|listen| listen.address.to_string()).collect();
    let own: Vec<String> = told(&text, "listen").into_iter().map(|path| format!("unix:{path}")).collect();
    assert_eq!(listens, own);
    assert_eq!(configuration.logs[0].path, Path::new(&told(&text, "error_log")[0]));
    assert!(service.endpoints.iter().all(|endpoint| endpoint.tls == Some(false)), "{:#?}", service.endpoints);
}

#[test]
fn pools_with_prefixes_variables_and_statuses() {
    require!(Need::Root, Need::Overlay, Need::Program("php-fpm8.2"));
    let main = "[global]\nerror_log = /srv/fpm/log/main.log\npid = /srv/fpm/run/fpm.pid\ninclude=/srv/fpm/pools/*.conf\n";
    let one = "; a comment\n[one]\nprefix = /srv/fpm\nuser = www-data\nlisten = 127.0.0.1:9001\npm = static\npm.max_children = 1\n\
               pm.status_path = /state\npm.status_listen = 127.0.0.1:9002\nping.path = \"/ping\"\n\
               access.log = \"log/$pool-site.log\"\naccess.format = \"%R %{REMOTE_USER}e \\\"%m\\\"\"\n\
               slowlog = log/$pool.slow ; slow ones\nrequest_slowlog_timeout = 3\n";
    let two = "[two]\nprefix = /srv/$pool\nuser = www-data\nlisten = run/$pool.sock\npm = ondemand\npm.max_children = 2\n\
               access.log = /srv/two/a.log\nphp_admin_value[error_log] = /srv/two/php.log\n";
    let world = World::new("fpm")
        .file("/srv/fpm/main.conf", main)
        .file("/srv/fpm/pools/1.conf", one)
        .file("/srv/fpm/pools/2.conf", two)
        .file("/srv/fpm/pools/.3.conf", "[three]\n")
        .directory("/srv/fpm/log")
        .directory("/srv/fpm/run")
        .directory("/srv/two/run")
        .workdir("/srv/fpm")
        .command(["php-fpm8.2", "-F", "-y", "main.conf"]);
    let inside = Inside::start(&world);
    let service = fpm_of(&inside);
    let configuration = &service.configuration;
    assert!(configuration.faults.is_empty(), "{:#?}", configuration.faults);
    let paths: Vec<&Path> = configuration.files.iter().map(|file| file.path.as_path()).collect();
    assert_eq!(
        paths,
        ["/srv/fpm/main.conf", "/srv/fpm/pools/1.conf", "/srv/fpm/pools/2.conf"].map(Path::new)
    );
    let text = inside.shell("cd /srv/fpm && php-fpm8.2 -y main.conf -tt 2>&1");
    for log in ["access.log", "slowlog", "error_log"] {
        for path in told(&text, log) {
            assert!(
                configuration.logs.iter().any(|known| known.path == Path::new(&path)),
                "{path}: {configuration:#?}"
            );
        }
    }
    let made = inside.shell("ls /srv/fpm/log/* /srv/two/a.log");
    for path in made.lines() {
        assert!(
            configuration.logs.iter().any(|known| known.path == Path::new(path)),
            "{path}: {configuration:#?}"
        );
    }
    let addresses: Vec<String> =
        configuration.listens.iter().map(|listen| listen.address.to_string()).collect();
    assert_eq!(addresses, ["127.0.0.1:9001", "127.0.0.1:9002", "unix:/srv/two/run/two.sock"]);
    let bound: Vec<String> = service.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect();
    for address in &addresses {
        assert!(bound.contains(address), "{address} in {bound:?}");
    }
    assert_eq!(configuration.settings["two.pm"], "ondemand");
}
