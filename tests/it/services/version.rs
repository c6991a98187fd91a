//! Versions of real programs, without executing them: packages of Debian, a database as Alpine has it, and none.

use std::collections::HashMap;

use portolan::{Rules, Service, SurveyOptions, Surveyor};
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::chart;
use crate::inside::{Inside, SOON, files};
use crate::scratch::Scratch;

/// What the host's dpkg says of a package; the world is an overlay of the host.
fn installed(package: &str) -> String {
    let output =
        std::process::Command::new("dpkg-query").args(["-W", "-f=${Version}", package]).output().unwrap();
    assert!(output.status.success(), "{package} is not installed");
    String::from_utf8(output.stdout).unwrap()
}

/// The makers' version of a Debian one, for the packages of these tests.
fn upstream(package: &str) -> String {
    let version = installed(package);
    let version = version.split_once(':').map_or(version.as_str(), |(_, rest)| rest);
    version.rsplit_once('-').map_or(version, |(upstream, _)| upstream).to_owned()
}

/// Rules of these tests, so that they do not change with the built-in ones.
fn rules() -> Rules {
    let scratch = Scratch::new();
    let rule = |kind: &str, program: &str, packages: &str| {
        format!(
            "[[service]]\nkind = '{kind}'\ntitle = '{kind}'\ncategory = 'x'\npackages = [{packages}]\n\
             [[service.when]]\nprogram = [{program}]\n"
        )
    };
    let text = [
        rule("nginx", "'nginx'", "'nginx*'"),
        // Debian's redis-server is a link to a program that does several things.
        rule("redis", "'redis-server', 'redis-check-rdb'", "'redis', 'redis-server'"),
        rule("memcached", "'memcached'", "'memcached'"),
        rule("cachy", "'cachy'", ""),
        // Of the package that is called as the program, because its list of files has it.
        rule("lighttpd", "'lighttpd'", ""),
    ];
    std::fs::write(scratch.path().join("a.toml"), text.concat()).unwrap();
    Rules::built_in().with_directory(scratch.path()).unwrap()
}

/// The services of a container by their kinds, once all of these are there.
#[track_caller]
fn services(inside: &Inside, kinds: &[&str]) -> HashMap<String, Service> {
    let start = std::time::Instant::now();
    let mut options = SurveyOptions::default();
    options.rules = rules();
    loop {
        let chart = chart();
        let id = chart.containers.iter().find(|c| c.init.pid == inside.pid()).map(|c| c.id.clone());
        let survey = Surveyor::new(options.clone()).survey(&chart, Some(files()));
        let own = survey.services.into_iter().filter(|s| id.is_some() && s.container == id);
        let own: HashMap<String, Service> =
            own.map(|service| (service.kind.clone(), Service::clone(&service))).collect();
        if kinds.iter().all(|kind| own.contains_key(*kind)) {
            return own;
        }
        let waiting = start.elapsed() < SOON && inside.container.is_running();
        assert!(waiting, "{own:#?}\nlog: {}", inside.container.log());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Of one service: its version, and where that comes from.
#[track_caller]
fn version(inside: &Inside, kind: &str) -> Option<(String, String)> {
    services(inside, &[kind]).remove(kind).unwrap().version.map(|version| (version.text, version.source))
}

const NGINX: &str = "mkdir -p /var/log/nginx && exec nginx -g 'daemon off;'";

fn shell(name: &str, script: &str) -> World {
    World::new(name).command(["sh", "-c", script])
}

#[test]
fn debian_s_packages_tell_what_dpkg_query_tells() {
    require!(
        Need::Root,
        Need::Overlay,
        Need::Program("nginx"),
        Need::Program("redis-server"),
        Need::Program("memcached"),
        Need::Program("lighttpd")
    );
    let script = "mkdir -p /var/log/nginx; nginx; redis-server --daemonize yes; \
        printf 'server.port = 8083\\nserver.document-root = \"/tmp\"\\n' >/tmp/l.conf; lighttpd -f /tmp/l.conf; \
        exec memcached -u root";
    let inside = Inside::start(&shell("version-debian", script));
    let found = services(&inside, &["nginx", "redis", "memcached", "lighttpd"]);
    // Debian's redis-server is a link to a program of redis-tools, and that is what the kernel executes.
    for (kind, package) in
        [("nginx", "nginx"), ("redis", "redis-tools"), ("memcached", "memcached"), ("lighttpd", "lighttpd")]
    {
        let version = found[kind].version.clone().unwrap_or_else(|| panic!("{kind} has no version"));
        assert_eq!(version.text, upstream(package), "{kind}");
        assert_eq!(version.source, format!("package {package} {} (dpkg)", installed(package)), "{kind}");
    }
}

const ALPINE: &str = "C:Q1x=\nP:musl\nV:1.2.4-r2\nA:x86_64\nF:lib\nR:ld-musl-x86_64.so.1\n\n\
    C:Q1x=\nP:nginx\nV:1.24.0-r15\nA:x86_64\nS:1\nT:HTTP server\nF:etc/nginx\nR:nginx.conf\nF:usr/sbin\nR:nginx\n\
    a:0:0:755\nZ:Q1y=\n\nC:Q1x=\nP:nginx-openrc\nV:1.24.0-r15\nA:x86_64\nF:etc/init.d\nR:nginx\n\n";

#[test]
fn an_apk_database_tells_of_its_packages() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"));
    let world = shell("version-alpine", NGINX).prepare("rm /var/lib/dpkg/status");
    let inside = Inside::start(&world.file("/usr/lib/apk/db/installed", ALPINE));
    let package = "package nginx 1.24.0-r15 (apk)".to_owned();
    assert_eq!(version(&inside, "nginx"), Some(("1.24.0".to_owned(), package)));
}

#[test]
fn epochs_and_other_marks_are_the_packagers() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"));
    let status = "Package: nginx\nStatus: install ok installed\nArchitecture: amd64\n\
        Version: 3:1.99.1+dfsg1-2+deb12u1~bpo11+1\n";
    let inside = Inside::start(&shell("version-marks", NGINX).file("/var/lib/dpkg/status", status));
    assert_eq!(version(&inside, "nginx").map(|it| it.0).as_deref(), Some("1.99.1"));
}

#[test]
fn databases_that_are_none_are_passed_over() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"));
    let status = "/var/lib/dpkg/status";
    let ways = [
        ("fifo", format!("rm {status}; mkfifo {status}")),
        ("loop", format!("rm {status}; ln -s status {status}")),
        ("directory", format!("rm {status}; mkdir {status}")),
        ("garbage", format!("head -c 3000000 /dev/urandom >{status}")),
        ("device", format!("rm {status}; ln -s /dev/zero {status}")),
        ("endless", format!("yes 'Package: nginx' | head -c 5000000 >{status}")),
        ("holes", format!("rm {status}; truncate -s 1T {status}")),
    ];
    for (name, prepare) in ways {
        let inside = Inside::start(&shell(&format!("version-{name}"), NGINX).prepare(&prepare));
        let started = std::time::Instant::now();
        let told = version(&inside, "nginx");
        assert!(started.elapsed() < SOON, "{name}");
        assert_eq!(told, Some((upstream("nginx"), "text in /usr/sbin/nginx".to_owned())), "{name}");
    }
}

#[test]
fn a_database_of_five_megabytes_is_looked_through() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"));
    let filler = "Package: filler\nStatus: install ok installed\nArchitecture: all\nVersion: 9\n\n";
    let filler = filler.repeat(5 * 1024 * 1024 / filler.len());
    let own = "Package: nginx\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.77-1\n\n";
    let world = shell("version-large", NGINX)
        .file("/var/lib/dpkg/status", [filler.as_bytes(), own.as_bytes()].concat());
    let inside = Inside::start(&world);
    assert_eq!(version(&inside, "nginx").map(|it| it.0).as_deref(), Some("1.77"));
}

#[test]
fn a_program_put_there_by_hand_tells_itself() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"));
    let script = "mkdir -p /var/log/nginx; cp /usr/sbin/nginx /usr/local/bin/; exec /usr/local/bin/nginx -g 'daemon off;'";
    let inside = Inside::start(&shell("version-by-hand", script));
    // Of the package that is installed too it is not, although that has the same version here.
    assert_eq!(
        version(&inside, "nginx"),
        Some((upstream("nginx"), "text in /usr/local/bin/nginx".to_owned()))
    );
    let replaced = "mkdir -p /var/log/nginx; cp /usr/sbin/nginx /usr/local/bin/; /usr/local/bin/nginx; \
        sleep 0.2; cp /bin/sleep /usr/local/bin/new; mv /usr/local/bin/new /usr/local/bin/nginx; exec sleep 1000";
    let inside = Inside::start(&shell("version-replaced", replaced));
    let deleted = || std::fs::read_link(format!("/proc/{}/exe", inside.pid())).unwrap();
    let start = std::time::Instant::now();
    while !deleted().ends_with("sleep") {
        assert!(start.elapsed() < SOON, "{}", inside.container.log());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(version(&inside, "nginx"), None, "what is on disk is another program now");
}

#[test]
fn images_without_dpkg_have_its_paragraphs() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"));
    let part = "Package: nginx\nArchitecture: amd64\nVersion: 1.66.1-3\n";
    let world = shell("version-distroless", NGINX).prepare("rm /var/lib/dpkg/status");
    let inside = Inside::start(&world.file("/var/lib/dpkg/status.d/nginx", part));
    assert_eq!(version(&inside, "nginx").map(|it| it.0).as_deref(), Some("1.66.1"));
}

#[test]
fn a_variable_is_the_last_resort() {
    require!(Need::Root, Need::Overlay, Need::Program("memcached"), Need::Program("redis-server"));
    let script = "cp /usr/bin/memcached /usr/local/bin/cachy; exec /usr/local/bin/cachy -u root";
    let inside = Inside::start(&shell("version-variable", script).env("CACHY_VERSION", "v7.9.9-1+x"));
    assert_eq!(version(&inside, "cachy"), Some(("7.9.9".to_owned(), "variable CACHY_VERSION".to_owned())));
    // Redis writes its title over its variables: what is left of them is not believed.
    let script = "cp /usr/bin/redis-server /usr/local/bin/; exec /usr/local/bin/redis-server";
    let inside = Inside::start(&shell("version-rewritten", script).env("REDIS_VERSION", "7.9.9"));
    let told = version(&inside, "redis");
    assert!(told.as_ref().is_none_or(|(text, _)| text == "7.9.9"), "{told:?}");
}
