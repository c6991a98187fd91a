//! ZooKeeper: `zoo.cfg`, Java properties that the arguments of `java` name.

use std::path::PathBuf;

use super::java::Java;
use super::properties::{self, Property};
use super::reading::{Reading, host, number, path_of};
use super::{Reader, Wanted};
use crate::configuration::{Configuration, Purpose, StatusPage};
use crate::launch::Launch;
use crate::source::Source;

pub(crate) const READER: Reader = Reader { name: "zookeeper", foresee, read };

/// Settings that agents ask for.
const SHOWN: &[&str] = &[
    "4lw.commands.whitelist",
    "maxClientCnxns",
    "tickTime",
    "initLimit",
    "syncLimit",
    "standaloneEnabled",
    "reconfigEnabled",
    "autopurge.purgeInterval",
    "autopurge.snapRetainCount",
    "admin.enableServer",
    "metricsProvider.className",
];

/// What is said where: in the file, or as a property `zookeeper.NAME` of the command line. The file wins.
struct Settings<'a> {
    properties: Vec<Property>,
    java: &'a Java,
}

impl Settings<'_> {
    fn value(&self, name: &str) -> Option<&[u8]> {
        let own = properties::last(&self.properties, name)
            .or_else(|| self.java.property(&format!("zookeeper.{name}")));
        own.filter(|value| !value.is_empty())
    }

    fn port(&self, name: &str, default: Option<u16>) -> Option<u16> {
        self.value(name).map_or(default, number).filter(|port| *port != 0)
    }
}

fn main_file(launch: &Launch, java: &Java) -> Option<PathBuf> {
    match &*java.arguments {
        [file] => Some(launch.resolve(path_of(file))),
        _ => None,
    }
}

fn foresee(launch: &Launch) -> Vec<Wanted> {
    main_file(launch, &Java::of(launch)).map(Wanted::Read).into_iter().collect()
}

fn read(launch: &Launch, source: &mut dyn Source) -> Configuration {
    let mut reading = Reading::new(launch, source, 2);
    let java = Java::of(launch);
    java.jmx(&mut reading);
    java.logs(&mut reading);
    let mut settings = Settings { properties: Vec::new(), java: &java };
    match (main_file(launch, &java), &*java.arguments) {
        (Some(path), _) => {
            let Some(text) = reading.file(&path, "argument", None) else { return reading.found };
            settings.properties = properties::parse(&text);
        }
        // Without a file: the port, the directory, and times.
        (None, [port, directory, ..]) => {
            let given = [("clientPort", port), ("dataDir", directory)];
            settings.properties = given
                .map(|(key, value)| Property { key: key.to_owned(), value: value.clone(), line: 0 })
                .into();
        }
        _ => {
            reading.fault(None, "no argument names a configuration");
            return reading.found;
        }
    }
    if let Some(path) = settings.value("dynamicConfigFile").map(|path| launch.resolve(path_of(path)))
        && let Some(text) = reading.file(&path, "dynamicConfigFile", None)
    {
        settings.properties.extend(properties::parse(&text));
    }
    tell(&mut reading, &settings);
    reading.found
}

fn tell(reading: &mut Reading<'_>, settings: &Settings<'_>) {
    let directory = settings.value("dataDir").map(|path| reading.launch.resolve(path_of(path)));
    for name in SHOWN {
        if let Some(value) = settings.value(name) {
            reading.set(name, value);
        }
    }
    if let Some(log) = settings.value("dataLogDir") {
        reading.set("dataLogDir", log);
    }
    let own = own_server(reading, settings, directory.as_deref());
    reading.found.data_directory = directory;
    // A client's port after the semicolon of a server's line counts where there is no setting of its own.
    let of_line = own.as_deref().and_then(|own| own.split_once(';')).map(|(_, client)| client);
    match settings.port("clientPort", None) {
        Some(port) => {
            let name = settings.value("clientPortAddress").unwrap_or_default().to_vec();
            reading.listen(host(&name, port), Some(false), Purpose::Service);
        }
        None => {
            if let Some(address) = of_line.and_then(|client| super::reading::host_port(client.as_bytes())) {
                reading.listen(address, Some(false), Purpose::Service);
            }
        }
    }
    if let Some(port) = settings.port("secureClientPort", None) {
        let name = settings.value("secureClientPortAddress").unwrap_or_default().to_vec();
        reading.listen(host(&name, port), Some(true), Purpose::Service);
    }
    if let Some(own) = own {
        // HOST:PORT of the leader:PORT of elections, more of them after bars.
        for address in own.split(';').next().unwrap_or_default().split('|') {
            let parts: Vec<&str> =
                address.rsplitn(4, ':').filter(|part| part.parse::<u16>().is_ok()).collect();
            for port in parts.iter().filter_map(|port| port.parse().ok()) {
                let tls = settings.value("sslQuorum").is_some_and(|value| value == b"true");
                reading.listen(host(b"*", port), Some(tls), Purpose::Cluster);
            }
        }
    }
    status(reading, settings);
    let secured = |name: &str| settings.value(name).is_some_and(|value| value == b"true");
    reading.found.access.password = Some(
        secured("sessionRequireClientSASLAuth")
            || settings.value("enforce.auth.enabled").is_some_and(|v| v == b"true"),
    );
    let plain = reading.found.listens.iter().any(|l| l.purpose == Purpose::Service && l.tls == Some(false));
    reading.found.access.tls = Some(!plain);
}

/// The line of this server among those of all: the one of the number in `myid`.
fn own_server(
    reading: &mut Reading<'_>,
    settings: &Settings<'_>,
    directory: Option<&std::path::Path>,
) -> Option<String> {
    settings.properties.iter().find(|property| property.key.starts_with("server."))?;
    let text = reading.file_if_there(&directory?.join("myid"), "myid")?;
    let key = format!("server.{}", number::<u64>(&text)?);
    Some(String::from_utf8_lossy(properties::last(&settings.properties, &key)?).into_owned())
}

fn status(reading: &mut Reading<'_>, settings: &Settings<'_>) {
    let off = settings.value("admin.enableServer").is_some_and(|value| value == b"false");
    if let Some(port) = settings.port("admin.serverPort", Some(8080)).filter(|_| !off) {
        let listen = host(settings.value("admin.serverAddress").unwrap_or_default(), port);
        let path = settings.value("admin.commandURL").unwrap_or(b"/commands");
        let page = StatusPage {
            kind: "AdminServer",
            listen: listen.clone(),
            path: format!("{}/monitor", String::from_utf8_lossy(path).trim_end_matches('/')),
            host: None,
            tls: settings.value("admin.forceHttps").is_some_and(|value| value == b"true"),
            restricted: false,
        };
        reading.listen(listen, None, Purpose::Admin);
        reading.found.status.push(page);
    }
    let prometheus = settings
        .value("metricsProvider.className")
        .is_some_and(|n| n.ends_with(b"PrometheusMetricsProvider"));
    if let Some(port) = settings.port("metricsProvider.httpPort", Some(7000)).filter(|_| prometheus) {
        let listen = host(settings.value("metricsProvider.httpHost").unwrap_or_default(), port);
        let page = StatusPage {
            kind: "prometheus",
            listen: listen.clone(),
            path: "/metrics".to_owned(),
            host: None,
            tls: false,
            restricted: false,
        };
        reading.listen(listen, Some(false), Purpose::Status);
        reading.found.status.push(page);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::memory::Memory;

    const LINE: &[&str] = &[
        "java",
        "-Xmx1g",
        "-cp",
        "/etc/zk:/usr/share/java/zookeeper.jar",
        "-Dzookeeper.log.dir=/var/log/zk",
        "-Dzookeeper.root.logger=INFO, ROLLING,CONSOLE",
        "-Dzookeeper.admin.serverPort=9000",
        "-Dcom.sun.management.jmxremote.port=9999",
        "org.apache.zookeeper.server.quorum.QuorumPeerMain",
        "/etc/zk/zoo.cfg",
    ];

    #[test]
    fn a_server_of_three() {
        let files = [
            (
                "/etc/zk/zoo.cfg",
                "clientPort=2181\nclientPortAddress=127.0.0.1\ndataDir=/data\nsecureClientPort = 2182\n\
                 server.1=a:2888:3888\nserver.2=10.0.0.2:2889:3889:participant;2181\n\
                 metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider\n\
                 4lw.commands.whitelist=stat, ruok\n",
            ),
            ("/data/myid", "2\n"),
            (
                "/etc/zk/log4j.properties",
                "log4j.rootLogger=${zookeeper.root.logger}\nlog4j.appender.ROLLING.File=${dir}/zk.log\n\
                 dir=${zookeeper.log.dir}\nlog4j.appender.OTHER.File=/x\n\
                 log4j.appender.ROLLING.layout.ConversionPattern=%d %m%n\nself=${self}\n",
            ),
        ];
        let found = read(&Launch::test("/usr/bin/java", LINE, &[]), &mut Memory::of(&files));
        assert!(found.faults.is_empty(), "{:?}", found.faults);
        let listens: Vec<_> =
            found.listens.iter().map(|l| format!("{} {}", l.address, l.purpose.as_str())).collect();
        assert_eq!(
            listens,
            [
                "*:9999 status",
                "127.0.0.1:2181 service",
                "*:2182 service",
                "*:3889 cluster",
                "*:2889 cluster",
                "*:9000 admin",
                "*:7000 status"
            ]
        );
        assert_eq!(found.logs[0].path, Path::new("/var/log/zk/zk.log"));
        assert_eq!(found.logs.len(), 1);
        assert_eq!(found.logs[0].format.as_ref().unwrap().text.as_deref(), Some("%d %m%n"));
        assert_eq!(found.data_directory.as_deref(), Some(Path::new("/data")));
        assert_eq!(found.settings["4lw.commands.whitelist"], "stat, ruok");
        assert_eq!(found.status[0].path, "/commands/monitor");
    }

    #[test]
    fn without_a_file_and_with_a_missing_one() {
        let launch = Launch::test("/usr/bin/java", &["java", "-jar", "zk.jar", "2183", "/data"], &[]);
        let found = read(&launch, &mut Memory::default());
        assert_eq!(found.listens[0].address.to_string(), "*:2183");
        let found = read(&Launch::test("/usr/bin/java", LINE, &[]), &mut Memory::default());
        assert_eq!((found.faults.len(), found.listens.len()), (1, 1), "{found:?}");
    }
}
