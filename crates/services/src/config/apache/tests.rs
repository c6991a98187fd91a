//! Whole configurations.

use std::path::Path;

use portolan_linux::ErrorKind;

use super::*;
use crate::configuration::LogPurpose;
use crate::memory::Memory;

fn apache(files: &[(&str, &str)]) -> Configuration {
    let launch = Launch::test("/usr/sbin/apache2", &["/usr/sbin/apache2", "-k", "start"], &[]);
    read(&launch, &mut Memory::of(files))
}

fn paths(found: &Configuration) -> Vec<&str> {
    found.files.iter().map(|file| file.path.to_str().unwrap()).collect()
}

#[test]
fn debians_layout_without_the_variables_of_its_script() {
    let found = apache(&[
        (
            "/etc/apache2/apache2.conf",
            "ErrorLog ${APACHE_LOG_DIR}/error.log\nPidFile ${APACHE_PID_FILE}\nIncludeOptional mods-enabled/*.load\n\
             Include ports.conf\nLogFormat \"%h %O\" combined\nIncludeOptional sites-enabled/*.conf\n",
        ),
        ("/etc/apache2/envvars", "export APACHE_LOG_DIR=/var/log/apache2$SUFFIX\n"),
        ("/etc/apache2/mods-enabled/ssl.load", "LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so"),
        ("/etc/apache2/ports.conf", "Listen 80\n<IfModule ssl_module>\nListen 443\n</IfModule>\n"),
        (
            "/etc/apache2/sites-enabled/000.conf",
            "<VirtualHost *:80>\nServerName a\nDocumentRoot html\nCustomLog ${APACHE_LOG_DIR}/access.log combined\n</VirtualHost>\n\
             <VirtualHost _default_:443>\nSSLEngine on\nCustomLog \"|/bin/x\" combined\n</VirtualHost>\n",
        ),
    ]);
    assert_eq!(found.faults, []);
    assert_eq!(found.files.len(), 4);
    let listens: Vec<_> = found.listens.iter().map(|l| (l.address.to_string(), l.tls)).collect();
    assert_eq!(listens, [("*:80".to_owned(), Some(false)), ("*:443".to_owned(), Some(true))]);
    let logs: Vec<_> = found.logs.iter().map(|log| (log.path.to_str().unwrap(), log.purpose)).collect();
    assert_eq!(
        logs,
        [
            ("/var/log/apache2/error.log", LogPurpose::Error),
            ("/var/log/apache2/access.log", LogPurpose::Access)
        ]
    );
    let format = found.logs[1].format.as_ref().unwrap();
    assert_eq!((format.name.as_str(), format.text.as_deref()), ("combined", Some("%h %O")));
    assert_eq!(found.settings["VirtualHost *:80 a"], "/etc/apache2/sites-enabled/000.conf:1");
    assert_eq!(found.settings["VirtualHost *:80 a DocumentRoot"], "/etc/apache2/html");
}

#[test]
fn the_official_image_and_its_defaults() {
    let main = "ServerRoot \"/usr/local/apache2\"\nLoadModule mpm_event_module modules/mod_mpm_event.so\n\
                Listen 8080\n<IfModule unixd_module>\nInclude no.conf\n</IfModule>\nTransferLog logs/t\n";
    let mut memory = Memory::of(&[("/usr/local/apache2/conf/httpd.conf", main)]);
    let launch = Launch::test("/usr/local/apache2/bin/httpd", &["httpd", "-DFOREGROUND"], &[]);
    let found = read(&launch, &mut memory);
    assert_eq!(found.faults, []);
    let logs: Vec<_> = found.logs.iter().map(|log| log.path.to_str().unwrap()).collect();
    assert_eq!(logs, ["/usr/local/apache2/logs/error_log", "/usr/local/apache2/logs/t"]);
    assert_eq!(found.logs[1].format.as_ref().unwrap().name, "common");
    assert_eq!(found.settings["MPM"], "event");
}

#[test]
fn what_is_missing_is_said_where_it_is_asked_for() {
    let found = apache(&[(
        "/etc/apache2/apache2.conf",
        "Listen 80\nInclude gone.conf\nInclude gone/*.conf\nIncludeOptional gone.conf\nUse nothing\n</IfModule>\n\
         <VirtualHost *:80>\nListen what:ever\n",
    )]);
    let lines: Vec<_> = found.faults.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [Some(2), Some(3), Some(5), Some(6), None, Some(8)], "{:#?}", found.faults);
    assert_eq!(found.listens.len(), 1);
    let found = apache(&[]);
    assert_eq!((found.files.len(), found.logs.len(), found.faults.len()), (0, 0, 1));
    assert_eq!(found.faults[0].kind, ErrorKind::NotFound);
}

#[test]
fn requests_are_handed_on() {
    let found = apache(&[(
        "/etc/apache2/apache2.conf",
        "<Proxy balancer://pool>\nBalancerMember http://10.0.0.1:81 route=a\nBalancerMember https://[::1]\n</Proxy>\n\
         ProxyPass /a balancer://pool/\nProxyPass /b ! \nProxyPassMatch ^/c http://c/$1\n<Location /d>\nProxyPass ajp://d\n</Location>\n\
         <FilesMatch php>\nSetHandler \"proxy:unix:/run/php.sock|fcgi://localhost\"\n</FilesMatch>\n\
         <Perl>\n<x> if (1 < 2) { include }\n</Perl>\nListen 1\n",
    )]);
    assert_eq!((found.faults.len(), found.listens.len()), (0, 1), "{:?}", found.faults);
    let told: Vec<_> =
        found.upstreams.iter().map(|u| format!("{} {}", u.name, u.addresses.join(","))).collect();
    let pool = "balancer://pool 10.0.0.1:81,[::1]:443";
    assert_eq!(told, [pool, "c:80 c:80", "d:8009 d:8009", "unix:/run/php.sock unix:/run/php.sock"]);
}

#[test]
fn circles_and_bombs_end() {
    let found = apache(&[("/etc/apache2/apache2.conf", "Include apache2.conf\nInclude *.conf\nListen 1\n")]);
    assert_eq!((found.listens.len(), found.faults.len()), (1, 2));
    let found = apache(&[(
        "/etc/apache2/apache2.conf",
        "<Macro A>\nUse B\nUse B\n</Macro>\n<Macro B>\nUse C\nUse C\n</Macro>\n<Macro C>\nUse A\n</Macro>\nUse A\nListen 1\n",
    )]);
    assert_eq!(found.listens.len(), 1);
    // Each macro uses the one before it ten times.
    let mut text = "<Macro M0>\nTimeout 1\n</Macro>\n".to_owned();
    for at in 1..12 {
        let before = at - 1;
        text += &format!("<Macro M{at}>\n{}</Macro>\n", format!("Use M{before}\n").repeat(10));
    }
    let found = apache(&[("/etc/apache2/apache2.conf", &format!("{text}Use M11\nListen 1\n"))]);
    assert!(found.faults.iter().any(|fault| matches!(fault.kind, ErrorKind::Limit(_))), "{:?}", found.faults);
    // Each variable holds the one before it ten times.
    let mut text = "Define v0 xxxxxxxxxx\n".to_owned();
    for at in 1..12 {
        text += &format!("Define v{at} {}\n", format!("${{v{}}}", at - 1).repeat(10));
    }
    let found = apache(&[("/etc/apache2/apache2.conf", &format!("{text}Listen 1\n"))]);
    assert!(found.faults.iter().any(|fault| matches!(fault.kind, ErrorKind::Limit(_))), "{:?}", found.faults);
    assert_eq!(found.listens.len(), 1);
    let found = apache(&[("/etc/apache2/apache2.conf", &"<Directory /x>\n".repeat(50_000))]);
    assert!(found.faults.iter().any(|fault| matches!(fault.kind, ErrorKind::Limit(_))));
    let found =
        apache(&[("/etc/apache2/apache2.conf", &"<IfFile /x>\n</IfFile>\nIncludeOptional y\n".repeat(5000))]);
    assert!(found.faults.iter().any(|fault| matches!(fault.kind, ErrorKind::Limit(_))));
}

#[test]
fn a_long_chain_of_files_is_followed_to_the_servers_own_depth() {
    let mut memory = Memory::of(&[("/etc/apache2/apache2.conf", "Include 1\n")]);
    for at in 1..200 {
        memory = memory.with(format!("/etc/apache2/{at}"), format!("Include {}\n", at + 1).as_bytes());
    }
    let launch = Launch::test("/usr/sbin/apache2", &["apache2"], &[]);
    // A small stack, as threads of some programs have.
    let read = std::thread::Builder::new().stack_size(1024 * 1024).spawn(move || read(&launch, &mut memory));
    let found = read.unwrap().join().unwrap();
    assert_eq!((found.files.len(), found.faults.len()), (129, 1));
    assert!(matches!(found.faults[0].kind, ErrorKind::Limit(_)));
}

#[test]
fn every_cut_and_every_changed_byte_is_survived() {
    let text: &[u8] = b"Define a \"b\\\" c\"\nListen [::1]:8${a}0 https\n<IfModule !x.c>\nLoadModule x_module y.so\n\
        </IfModule>\n<Macro M $p>\n<VirtualHost $p:80>\nCustomLog 'l$p' \"%h\" env=x\n<Location ~ ^/s$>\nSetHandler \\\n\
        server-status\nRequire ip 1\n</Location>\n</VirtualHost>\n</Macro>\nUse M *\nInclude x*/../y\n<IfVersion !>= 2.4>\n";
    let launch = Launch::test("/usr/sbin/apache2", &["apache2"], &[]);
    let main = Path::new("/etc/apache2/apache2.conf");
    for at in 0..text.len() {
        read(&launch, &mut Memory::default().with(main, &text[..at]));
        for byte in *b"\0\n\\\"'<>/ ${}*#\xff" {
            let mut changed = text.to_vec();
            changed[at] = byte;
            let found = read(&launch, &mut Memory::default().with(main, &changed));
            assert_eq!(paths(&found), ["/etc/apache2/apache2.conf"]);
        }
    }
}
