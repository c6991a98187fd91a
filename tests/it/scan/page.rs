//! `portolan scan` for people: services below their container, at every width, and no secrets.

use portolan_world::need::Need;
use portolan_world::{World, require};
use serde_json::Value;

use crate::command::{Ran, command, portolan, run};
use crate::inside::{Inside, SOON};
use crate::scratch::Scratch;

const CONFIG: &str = r#"
daemon off;
pid /run/nginx.pid;
error_log /var/log/nginx/told-error.log;
events {}
http {
    log_format inside '$remote_addr "$request" $status';
    access_log /var/log/nginx/a-directory-with-a-rather-long-name/told-access.log inside;
    include /etc/told/sites/*.conf;
}
"#;
const SITE: &str = "server { listen 127.0.0.1:8081; location = /told-status { stub_status; } }";

/// An nginx that has everything there is to tell, with a name of its test's own.
fn nginx(name: &str) -> Inside {
    let world = World::new(name)
        .file("/etc/told/nginx.conf", CONFIG)
        .file("/etc/told/sites/a.conf", SITE)
        .file("/etc/told/sites/b.conf", "no_such_directive on;\n")
        .file("/etc/told/sites/c.conf", "\n")
        .command([
            "sh",
            "-c",
            "mkdir -p /var/log/nginx/a-directory-with-a-rather-long-name && \
            rm /etc/told/sites/b.conf && nginx -c /etc/told/nginx.conf & wait",
        ]);
    let inside = Inside::start(&world);
    inside.container.wait_listening(8081, SOON).unwrap();
    // It is read when it is scanned, and not by nginx, which would not have it.
    inside.shell("echo 'no_such_directive {' > /etc/told/sites/b.conf");
    inside
}

#[track_caller]
fn at(columns: Option<&str>, arguments: &[&str]) -> String {
    let mut scan = command(["scan"].iter().chain(arguments));
    match columns {
        Some(columns) => scan.env("COLUMNS", columns),
        None => scan.env_remove("COLUMNS"),
    };
    let ran = run(&mut scan, b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn services_are_told_below_their_container_at_every_width() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"));
    let inside = nginx("page");
    let name = inside.target();
    let version = inside.shell("nginx -v 2>&1");
    let version = version.rsplit('/').next().unwrap().split_whitespace().next().unwrap();
    let whole = at(None, &[&name]);
    let lines: Vec<&str> = whole.lines().collect();
    assert!(
        lines[0].starts_with("page  unknown  ns-") && lines[0].ends_with(&format!("pid {}", inside.pid())),
        "{whole}"
    );
    assert!(lines[1].starts_with(&format!("  nginx {version}  pid ")), "{whole}");
    for line in [
        "    at       127.0.0.1:8081 (status)",
        "    status   http://127.0.0.1:8081/told-status (stub_status)",
        "    config   /etc/told/nginx.conf",
        "             and 3 more",
    ] {
        assert!(lines.contains(&line), "no {line:?} in\n{whole}");
    }
    for path in [
        "/var/log/nginx/told-error.log",
        "/var/log/nginx/a-directory-with-a-rather-long-name/told-access.log (inside)",
    ] {
        assert!(lines.iter().any(|line| line.ends_with(path)), "no {path:?} in\n{whole}");
    }
    assert!(whole.contains("faults   /etc/told/sites/b.conf:2: "), "{whole}");
    assert!(lines.last().unwrap().starts_with("1 container, 1 service, 1 listener, "), "{whole}");
    for width in ["30", "40", "60", "80", "119", "120", "150", "200"] {
        let page = at(Some(width), &[&name]);
        let most: usize = width.parse().unwrap();
        for line in page.lines() {
            assert!(
                line.chars().count() <= most && line.trim_end() == line,
                "at {width}: {line:?} in\n{page}"
            );
            assert!(!line.contains(char::is_control), "{line:?}");
        }
        let squeezed = squeezed(&page);
        for (path, whole) in [
            ("/told-access.log", most < 120),
            ("http://127.0.0.1:8081/told-status", most < 120),
            ("b.conf:2:", true),
        ] {
            assert!(squeezed.contains(path) || !whole, "at {width}, no {path}:\n{page}");
        }
        assert_eq!(page.contains("REACHED AT"), most >= 120, "{page}");
    }
    let wide = at(Some("200"), &[&name]);
    let row = wide.lines().find(|line| line.starts_with("  nginx ")).unwrap_or_else(|| panic!("{wide}"));
    assert!(row.contains("  127.0.0.1:8081 (status)  /etc/told/nginx.conf  "), "{wide}");
}

#[test]
fn evidence_and_targets_are_as_asked() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"));
    let (one, other) = (nginx("page-one"), nginx("page-other"));
    let page = at(None, &["page-one"]);
    assert!(
        page.contains("page-one") && !page.contains("page-other") && !page.contains("because "),
        "{page}"
    );
    let both = at(None, &["page-other", &one.target(), "-v"]);
    assert!(both.contains("page-one") && both.contains("page-other"), "{both}");
    let because = both.lines().filter(|line| line.contains("because") && line.contains("/nginx"));
    assert_eq!(because.count(), 2, "{both}");
    assert!(both.contains("because its mount"), "{both}");
    let ran = portolan(["scan", "no-such-page"]);
    assert!(ran.failed(1).contains("no-such-page"), "{ran:?}");
    portolan(["scan", "--listeners", "--json"]).stdout.is_empty().then_some(()).unwrap();
    let quick: Value =
        serde_json::from_slice(&portolan(["scan", "--json", "--no-services", "page-one"]).done()).unwrap();
    assert_eq!(
        (&quick["services"], quick["containers"].as_array().unwrap().len()),
        (&Value::Array(Vec::new()), 1)
    );
    let quick = at(None, &["--no-services", "page-one"]);
    assert!(quick.contains("127.0.0.1:8081  loopback  nginx (pid ") && !quick.contains("config"), "{quick}");
    drop(other);
}

/// Runs the command on a terminal of so many columns; gives all that is written to it.
#[track_caller]
fn on_terminal(columns: usize, arguments: &str, set: impl FnOnce(&mut std::process::Command)) -> Ran {
    let mut script = std::process::Command::new("script");
    let portolan = crate::command::binary();
    let line = format!("stty rows 50 cols {columns}; exec {} {arguments}", portolan.display());
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    script.env("PORTOLAN_HELPER", crate::command::helper()).env("TERM", "xterm");
    script.env_remove("COLUMNS").env_remove("NO_COLOR");
    set(&mut script);
    let ran = run(&mut script, b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran
}

/// What is left on the terminal, where work that takes long was told and erased.
fn left(text: &str) -> String {
    text.split_inclusive('\n').map(|line| line.rsplit("\r\x1b[K").next().unwrap_or(line)).collect()
}

/// Without what sets colours and erases lines.
fn plain(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    let after =
        |part: &str| part.find(|c: char| c.is_ascii_alphabetic()).map_or("", |at| &part[at + 1..]).to_owned();
    first + &parts.map(after).collect::<String>()
}

#[test]
fn a_terminal_gives_the_width_and_gets_colours_unless_they_are_unwanted() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"), Need::Program("script"));
    let inside = nginx("page-terminal");
    let scan = format!("scan {}", inside.target());
    for columns in [44, 80, 132] {
        let ran = on_terminal(columns, &scan, |_| {});
        let text = left(&String::from_utf8(ran.stdout).unwrap());
        assert!(text.contains("\x1b[1;36mnginx"), "{text:?}");
        let plain = plain(&text);
        // An error is one line, however long.
        let mut page = plain.lines().filter(|line| !line.starts_with("portolan: "));
        assert!(page.all(|line| line.trim_end().chars().count() <= columns), "{columns}:\n{plain}");
        assert_eq!(plain.contains("REACHED AT"), columns >= 120, "{plain}");
    }
    let ran = on_terminal(80, &scan, |script| _ = script.env("NO_COLOR", "1"));
    assert!(!left(&String::from_utf8(ran.stdout.clone()).unwrap()).contains('\x1b'), "{ran:?}");
}

#[test]
fn long_work_is_told_on_a_terminal_and_erased() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"), Need::Program("script"), Need::Program("cc"));
    const SILENT: &str = "
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(void) { prctl(PR_SET_PDEATHSIG, SIGKILL); sleep(20); }";
    let inside = nginx("page-slow");
    let scratch = Scratch::new();
    let (source, helper) = (scratch.file("silent.c", SILENT), scratch.join("silent"));
    let built = std::process::Command::new("cc").arg("-o").arg(&helper).arg(source).status().unwrap();
    assert!(built.success());
    let scan = format!("scan {}", inside.target());
    let ran = on_terminal(80, &scan, |script| _ = script.env("PORTOLAN_HELPER", &helper));
    let text = String::from_utf8(ran.stdout).unwrap();
    let told = text.find("\r\x1b[Kreading 1 of 1 containers…");
    let erased = text.rfind("\r\x1b[K").unwrap_or_else(|| panic!("{text:?}"));
    let page = text.find("page-slow").unwrap();
    assert!(told.is_some_and(|told| told < erased) && erased < page, "{text:?}");
    let to_nobody = run(command(["scan", &inside.target()]).env("PORTOLAN_HELPER", &helper), b"");
    assert!(!to_nobody.stderr.contains("reading 1 of"), "{to_nobody:?}");
}

#[test]
fn no_password_is_in_any_output() {
    require!(Need::Root, Need::Overlay, Need::Program("redis-server"));
    let script = "printf 'set-proc-title no\\nrequirepass s3cr3t-of-file\\nbind 127.0.0.1\\nport 7001\\nsave \"\"\\n' > /etc/told.conf
        redis-server /etc/told.conf & REDIS_PASSWORD=s3cr3t-of-variable redis-server --port 7002 --bind 127.0.0.1 --save '' \
        --set-proc-title no --requirepass s3cr3t-of-argument & wait";
    let inside = Inside::start(&World::new("page-secret").command(["sh", "-c", script]));
    inside.container.wait_listening(7001, SOON).unwrap();
    inside.container.wait_listening(7002, SOON).unwrap();
    let name = inside.target();
    for arguments in [&["-v"][..], &["--json"], &["--listeners"], &["--json", "-v"]] {
        let ran = portolan(["scan", &name].iter().chain(arguments));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let text = String::from_utf8(ran.stdout).unwrap();
        assert!(text.contains("7001") && text.contains("7002"), "{text}");
        for output in [&text, &ran.stderr] {
            assert!(!output.contains("s3cr3t"), "{arguments:?}: {output}");
        }
    }
    let json: Value = serde_json::from_slice(&portolan(["scan", "--json", &name]).done()).unwrap();
    let redis: Vec<&Value> =
        json["services"].as_array().unwrap().iter().filter(|service| service["kind"] == "redis").collect();
    assert_eq!(redis.len(), 2, "{json}");
    for service in redis {
        assert_eq!(service["access"]["password"], true, "{service:#}");
        let sources = service["credentials"].as_array().unwrap().iter();
        assert!(sources.clone().any(|credential| credential["source"] == "requirepass"), "{service:#}");
    }
}
