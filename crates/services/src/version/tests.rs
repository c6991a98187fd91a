//! Versions out of files of a test.

use std::path::Path;

use super::*;
use crate::memory::Memory;
use crate::rules::Rules;

const STATUS: &str = "/var/lib/dpkg/status";

pub(super) fn rule(kind: &str, packages: &[&str]) -> Rule {
    let rules = Rules::built_in();
    let mut rule = rules.iter().next().map(|rule| Rule::clone(rule)).unwrap();
    (rule.kind, rule.runtime) = (kind.to_owned(), false);
    rule.packages = packages.iter().map(|&name| name.to_owned()).collect();
    rule
}

/// A version and where it comes from.
fn told(rule: &Rule, launch: &Launch, source: &mut Memory) -> Option<(String, String)> {
    let asked = [Asked::new(rule, &rule.kind, launch, Path::new("/"))];
    let versions = Versions::of(&asked);
    versions.tell(&asked, source).remove(0).map(|version| (version.text, version.source))
}

fn text(rule: &Rule, launch: &Launch, source: &mut Memory) -> Option<String> {
    told(rule, launch, source).map(|(text, _)| text)
}

fn debian(name: &str, version: &str, architecture: &str, status: &str) -> String {
    format!(
        "Package: {name}\nStatus: {status}\nPriority: optional\nSection: httpd\nMaintainer: A <a@b.c>\n\
         Architecture: {architecture}\nVersion: {version}\nDepends: x\nDescription: none\n Package: y\n .\n Version: 9\n\n"
    )
}

fn status(packages: &[(&str, &str, &str)]) -> Memory {
    let text: String = packages
        .iter()
        .map(|(name, version, architecture)| debian(name, version, architecture, "install ok installed"))
        .collect();
    Memory::of(&[(STATUS, &text)])
}

fn nginx() -> Launch {
    Launch::test("/usr/sbin/nginx", &["nginx"], &[])
}

#[test]
fn the_package_that_a_rule_names() {
    let rule = rule("nginx", &["nginx*"]);
    let mut files = status(&[
        ("adduser", "3.134", "all"),
        ("libnginx-mod-http-geoip", "9.9", "amd64"),
        ("nginx", "1.22.1-9+deb12u3", "amd64"),
        ("nginx-common", "1.22.1-9+deb12u3", "all"),
    ]);
    let package = "package nginx 1.22.1-9+deb12u3 (dpkg)".to_owned();
    assert_eq!(told(&rule, &nginx(), &mut files), Some(("1.22.1".into(), package)));
    // What the rule does not name.
    let other = self::rule("nginx", &["nginx-light"]);
    assert_eq!(text(&other, &nginx(), &mut files), None);
    // A program that is not the package's.
    for program in ["/usr/local/sbin/nginx", "/opt/nginx/sbin/nginx", "/srv/nginx"] {
        assert_eq!(text(&rule, &Launch::test(program, &["nginx"], &[]), &mut files), None, "{program}");
    }
    // One that has been upgraded under its process.
    let mut replaced = nginx();
    replaced.deleted = true;
    assert_eq!(text(&rule, &replaced, &mut files), None);
}

#[test]
fn what_was_removed_is_not_installed() {
    let rule = rule("nginx", &["nginx*"]);
    for (state, installed) in [
        ("install ok installed", true),
        ("hold ok installed", true),
        ("install ok unpacked", true),
        ("deinstall ok config-files", false),
        ("purge ok not-installed", false),
        ("install ok half-installed", false),
        ("", false),
    ] {
        let mut files = Memory::of(&[(STATUS, &debian("nginx", "1.2-1", "amd64", state))]);
        assert_eq!(text(&rule, &nginx(), &mut files).is_some(), installed, "{state}");
    }
}

#[test]
fn of_several_versions_the_owner_decides() {
    let rule = rule("postgresql", &["postgresql", "postgresql-*"]);
    let launch = Launch::test("/usr/lib/postgresql/15/bin/postgres", &["postgres"], &[]);
    let packages = [
        ("postgresql", "16+257", "all"),
        ("postgresql-15", "15.18-0+deb12u1", "amd64"),
        ("postgresql-16", "16.2-1.pgdg120+1", "amd64"),
    ];
    assert_eq!(text(&rule, &launch, &mut status(&packages)), None, "there are no lists to tell by");
    let mut files = status(&packages)
        .with("/var/lib/dpkg/info/postgresql-15.list", b"/.\n/usr/lib/postgresql/15/bin/postgres\n")
        .with("/var/lib/dpkg/info/postgresql-16:amd64.list", b"/usr/lib/postgresql/16/bin/postgres\n");
    assert_eq!(text(&rule, &launch, &mut files).as_deref(), Some("15.18"));
    let newer = Launch::test("/usr/lib/postgresql/16/bin/postgres", &["postgres"], &[]);
    assert_eq!(text(&rule, &newer, &mut files).as_deref(), Some("16.2"));
}

#[test]
fn only_a_list_proves_what_names_do_not() {
    let mut files = status(&[("nginx-common", "1.22.1-9", "all"), ("cupsd", "2.4.2-3", "amd64")]);
    let nginx_rule = rule("nginx", &["nginx*"]);
    assert_eq!(
        text(&nginx_rule, &nginx(), &mut files),
        None,
        "machine code is not in a package for all machines"
    );
    let unknown = rule("unknown", &[]);
    let launch = Launch::test("/usr/sbin/cupsd", &["cupsd"], &[]);
    assert_eq!(text(&unknown, &launch, &mut files), None);
    // Packages of before the directories were merged.
    let mut files = files.with("/var/lib/dpkg/info/cupsd.list", b"/.\n/sbin\n/sbin/cupsd\n");
    assert_eq!(text(&unknown, &launch, &mut files).as_deref(), Some("2.4.2"));
    let mut files =
        status(&[("nginx", "1.2-3", "amd64")]).with("/var/lib/dpkg/info/nginx.list", b"/opt/nginx/nginx\n");
    let elsewhere = Launch::test("/opt/nginx/nginx", &["nginx"], &[]);
    assert_eq!(text(&nginx_rule, &elsewhere, &mut files).as_deref(), Some("1.2"), "a package may be in /opt");
}

#[test]
fn scripts_are_the_services_of_interpreters() {
    let rule = rule("tomcat", &["tomcat*"]);
    let mut files =
        status(&[("tomcat10", "10.1.6-1+deb12u2", "all"), ("tomcat10-common", "10.1.6-1+deb12u2", "all")]);
    let java = "/usr/lib/jvm/java-17-openjdk-amd64/bin/java";
    let packaged =
        ["java", "-Dcatalina.base=/var/lib/tomcat10", "-cp", "/usr/share/tomcat10/bin/bootstrap.jar"];
    assert_eq!(text(&rule, &Launch::test(java, &packaged, &[]), &mut files).as_deref(), Some("10.1.6"));
    let by_hand = ["java", "-cp", "/usr/share/java/x.jar:/opt/tomcat/bin/bootstrap.jar"];
    assert_eq!(text(&rule, &Launch::test(java, &by_hand, &[]), &mut files), None);
}

#[test]
fn a_runtime_has_not_the_version_of_its_programs() {
    let mut python = rule("python", &["python3*"]);
    python.runtime = true;
    let launch = Launch::test("/usr/bin/python3.11", &["python3", "/usr/bin/app"], &[]);
    let asked = [Asked::new(&python, "app", &launch, Path::new("/"))];
    let mut files = status(&[("python3", "3.11.2-1", "amd64")]);
    assert_eq!(Versions::of(&asked).tell(&asked, &mut files), [None]);
}

const ALPINE: &str = "C:Q1xxxx=\nP:nginx\nV:1.24.0-r15\nA:x86_64\nS:1\nT:HTTP\nF:etc/nginx\nR:nginx.conf\nF:usr/sbin\n\
    M:0:0:755\nR:nginx\na:0:0:755\nZ:Q1yyy=\n\nC:Q1=\nP:nginx-mod-http\nV:9.9-r0\nA:x86_64\nF:usr/lib/nginx\nR:x.so\n\n";

#[test]
fn alpine_lists_a_package_s_files() {
    let rule = rule("nginx", &["nginx*"]);
    for path in ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"] {
        let mut files = Memory::of(&[(path, ALPINE)]);
        let package = "package nginx 1.24.0-r15 (apk)".to_owned();
        assert_eq!(told(&rule, &nginx(), &mut files), Some(("1.24.0".into(), package)));
        let elsewhere = Launch::test("/usr/bin/other-nginx", &["nginx"], &[]);
        assert_eq!(text(&rule, &elsewhere, &mut files), None, "no package has this file");
        let by_hand = Launch::test("/usr/local/sbin/nginx", &["nginx"], &[]);
        assert_eq!(text(&rule, &by_hand, &mut files), None);
    }
}

#[test]
fn images_without_dpkg_have_a_file_for_each_package() {
    let rule = rule("nginx", &["nginx"]);
    let mut files = Memory::default()
        .with("/var/lib/dpkg/status.d/nginx", b"Package: nginx\nVersion: 1.2-1\nArchitecture: amd64\n")
        .with("/var/lib/dpkg/status.d/nginx.md5sums", b"0123 usr/sbin/nginx\n");
    assert_eq!(text(&rule, &nginx(), &mut files).as_deref(), Some("1.2"));
}

#[test]
fn what_is_no_database_says_nothing() {
    let rule = rule("nginx", &["nginx*"]);
    let long = format!(
        "Package: nginx\nStatus: install ok installed\nArchitecture: amd64\nVersion: {}\n\n",
        "1".repeat(500)
    );
    let late = format!("Package: nginx\nArchitecture: amd64\nX: {}\nVersion: 1.2\n\n", "x".repeat(2000));
    for garbage in [
        "",
        "Package: nginx",
        "Package: nginx\nVersion: 1.2-1\n\nArchitecture: amd64\n\n",
        "Package: nginx\nArchitecture: amd64\nVersion: \x1b[31m1.2\n\n",
        "Package: nginx /\nArchitecture: amd64\nVersion: 1.2\n\n",
        "Package: nginx\nArchitecture: amd64\nVersion: :\n\n",
        "Package: nginx\nArchitecture: amd64\nVersion: -1\n\n",
        "xPackage: nginx\nArchitecture: amd64\nVersion: 1.2\n\n",
        long.as_str(),
        late.as_str(),
    ] {
        let mut files = Memory::of(&[(STATUS, garbage)]);
        assert_eq!(text(&rule, &nginx(), &mut files), None, "{garbage:?}");
    }
    // So many that not all of them were sent.
    let flood = "Package: nginx\nArchitecture: amd64\nVersion: 1.2\n\n".repeat(300);
    assert_eq!(text(&rule, &nginx(), &mut Memory::of(&[(STATUS, &flood)])), None);
}

#[test]
fn services_that_share_files_share_what_is_asked() {
    let rules =
        [rule("nginx", &["nginx*", "nginx-light"]), rule("redis", &["redis-server"]), rule("a", &["*"])];
    let (nginx, redis) = (nginx(), Launch::test("/usr/bin/redis-server", &[], &[]));
    let asked: Vec<Asked<'_>> = rules
        .iter()
        .zip([&nginx, &redis, &nginx])
        .map(|(rule, launch)| Asked::new(rule, &rule.kind, launch, Path::new("/")))
        .collect();
    let wanted: Vec<Wanted> = Versions::of(&asked).foresee().collect();
    assert_eq!(wanted.len(), 3, "a database each");
    let Some(Wanted::Find(path, find)) = wanted.first() else { panic!("{wanted:?}") };
    assert_eq!(path, Path::new(STATUS));
    assert_eq!(find.texts, [b"Package: nginx".to_vec(), b"Package: redis-server\n".to_vec()]);
}
