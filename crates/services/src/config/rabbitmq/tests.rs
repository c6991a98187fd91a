use super::*;
use crate::memory::Memory;

fn configuration(variables: &[(&str, &str)], files: &[(&str, &str)]) -> Configuration {
    let launch = Launch::test(
        "/usr/lib/erlang/erts-13/bin/beam.smp",
        &["beam.smp", "-s", "rabbit", "boot"],
        variables,
    );
    read(&launch, &mut Memory::of(files))
}

fn listens(found: &Configuration) -> Vec<String> {
    let shown = |l: &crate::configuration::Listen| {
        format!("{} {}{}", l.address, l.purpose.as_str(), if l.tls == Some(true) { " tls" } else { "" })
    };
    found.listens.iter().map(shown).collect()
}

#[test]
fn settings_of_files_that_follow_each_other() {
    let found = configuration(
        &[],
        &[
            (
                "/etc/rabbitmq/rabbitmq.conf",
                "# c\nlisteners.tcp.default = 5673 # c\nlisteners.tcp.other = ::1:5674\nlisteners.ssl.1=127.0.0.1:5671\n\
                 management.tcp.port = 1\nlog.file = a.log\nlog.dir = /logs\nwrong\ndefault_user = it\n\
                 default_pass = 'ge#heim'\n",
            ),
            ("/etc/rabbitmq/conf.d/20.conf", "management.tcp.port = 2\n"),
            ("/etc/rabbitmq/conf.d/10.conf", "management.tcp.port = 3\nmanagement.tcp.ip = 127.0.0.1\n"),
            (
                "/etc/rabbitmq/enabled_plugins",
                "[rabbitmq_shovel_management,\n rabbitmq_mqtt]. % rabbitmq_stomp\n",
            ),
            ("/etc/rabbitmq/advanced.config", "[]."),
            (
                "/etc/rabbitmq/rabbitmq-env.conf",
                "NODENAME=bunny\nexport RABBITMQ_DIST_PORT=\"7\"\nX=$(hostname)\n",
            ),
            ("/var/lib/rabbitmq/mnesia/bunny@here/schema.DAT", ""),
            ("/var/lib/rabbitmq/mnesia/bunny@here.pid", "1"),
        ],
    );
    assert_eq!(
        listens(&found),
        [
            "*:5673 service",
            "[::1]:5674 service",
            "127.0.0.1:5671 service tls",
            "*:1883 service",
            "127.0.0.1:2 admin",
            "*:7 cluster"
        ]
    );
    assert_eq!(found.logs[0].path, Path::new("/logs/a.log"));
    assert_eq!(found.credentials[0].user.as_deref(), Some("it"));
    assert!(!format!("{found:?}").contains("heim"));
    assert_eq!(found.faults.len(), 3, "{:?}", found.faults);
    assert_eq!(found.status[0].path, "/api/overview");
    assert_eq!((found.access.password, found.access.tls), (Some(true), Some(false)));
    let files: Vec<_> = found.files.iter().map(|file| file.path.to_str().unwrap()).collect();
    assert_eq!(
        files,
        [
            "/etc/rabbitmq/rabbitmq-env.conf",
            "/etc/rabbitmq/rabbitmq.conf",
            "/etc/rabbitmq/conf.d/10.conf",
            "/etc/rabbitmq/conf.d/20.conf",
            "/etc/rabbitmq/advanced.config",
            "/etc/rabbitmq/enabled_plugins"
        ]
    );
}

#[test]
fn nothing_but_variables() {
    let found = configuration(&[("RABBITMQ_NODE_PORT", "5700"), ("RABBITMQ_LOGS", "-")], &[]);
    assert_eq!(listens(&found), ["*:5700 service", "*:25700 cluster"]);
    assert!(found.logs.is_empty() && found.faults.is_empty());
    let found = configuration(
        &[("RABBITMQ_NODENAME", "a@b"), ("RABBITMQ_CONFIG_FILE", "/x/y")],
        &[("/x/y.conf", "listeners.tcp = none\nprometheus.tcp.port=1\n")],
    );
    assert_eq!(listens(&found), ["*:25672 cluster"]);
    assert_eq!(found.logs[0].path, Path::new("/var/log/rabbitmq/a@b.log"));
    assert_eq!(found.data_directory.as_deref(), Some(Path::new("/var/lib/rabbitmq/mnesia/a@b")));
    let found = configuration(&[], &[]);
    assert_eq!(listens(&found), ["*:5672 service", "*:25672 cluster"]);
    assert!(found.logs[0].pattern);
}
