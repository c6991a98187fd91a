//! Kafka: `server.properties`, which the arguments of `java` name, and `--override` after it.

use std::path::PathBuf;

use super::java::Java;
use super::properties::{self, Property};
use super::reading::{Reading, host, host_port, number, path_of};
use super::{Reader, Wanted};
use crate::configuration::{Configuration, Purpose};
use crate::launch::Launch;
use crate::source::Source;

pub(crate) const READER: Reader = Reader { name: "kafka", foresee, read };

/// Settings that agents ask for. None of them is a secret.
const SHOWN: &[&str] = &[
    "process.roles",
    "node.id",
    "broker.id",
    "broker.rack",
    "listeners",
    "advertised.listeners",
    "controller.listener.names",
    "controller.quorum.voters",
    "controller.quorum.bootstrap.servers",
    "inter.broker.listener.name",
    "inter.broker.protocol.version",
    "security.inter.broker.protocol",
    "sasl.enabled.mechanisms",
    "zookeeper.connect",
    "log.dirs",
    "num.partitions",
    "default.replication.factor",
    "log.retention.hours",
    "auto.create.topics.enable",
];

fn main_file(launch: &Launch, java: &Java) -> Option<PathBuf> {
    let file = java.arguments.first().filter(|argument| !argument.starts_with(b"-"))?;
    Some(launch.resolve(path_of(file)))
}

fn foresee(launch: &Launch) -> Vec<Wanted> {
    main_file(launch, &Java::of(launch)).map(Wanted::Read).into_iter().collect()
}

fn read(launch: &Launch, source: &mut dyn Source) -> Configuration {
    let mut reading = Reading::new(launch, source, 1);
    let java = Java::of(launch);
    java.jmx(&mut reading);
    java.logs(&mut reading);
    if reading.found.logs.is_empty()
        && let Some(file) =
            java.property("log4j2.configurationFile").or(java.property("log4j.configurationFile"))
    {
        let file = path_of(file.strip_prefix(b"file:").unwrap_or(file));
        reading.mention(&launch.resolve(file), "configuration of log4j, not read");
    }
    let Some(path) = main_file(launch, &java) else {
        reading.fault(None, "no argument names a configuration");
        return reading.found;
    };
    let Some(text) = reading.file(&path, "argument", None) else { return reading.found };
    let mut settings = properties::parse(&text);
    let mut left = java.arguments.iter().skip(1);
    while let Some(argument) = left.next() {
        let given = match argument.strip_prefix(b"--override=") {
            Some(given) => Some(given),
            None if argument == b"--override" => left.next().map(Vec::as_slice),
            None => None,
        };
        settings.extend(given.map(properties::parse).unwrap_or_default());
    }
    tell(&mut reading, &settings);
    reading.found
}

fn tell(reading: &mut Reading<'_>, settings: &[Property]) {
    let value = |name: &str| properties::last(settings, name).filter(|value| !value.is_empty());
    for name in SHOWN {
        if let Some(value) = value(name) {
            reading.set(name, value);
        }
    }
    let directories = value("log.dirs").or(value("log.dir")).unwrap_or(b"/tmp/kafka-logs");
    let first = directories.split(|b| *b == b',').next().unwrap_or(directories).trim_ascii();
    reading.found.data_directory = Some(reading.launch.resolve(path_of(first)));
    let text = |name: &str| String::from_utf8_lossy(value(name).unwrap_or_default()).into_owned();
    let controllers: Vec<String> =
        text("controller.listener.names").split(',').map(|n| n.trim().to_owned()).collect();
    let protocols = text("listener.security.protocol.map");
    let protocol = |name: &str| -> String {
        let mapped = protocols.split(',').find_map(|entry| {
            let (known, protocol) = entry.split_once(':')?;
            known.trim().eq_ignore_ascii_case(name).then(|| protocol.trim().to_owned())
        });
        mapped.unwrap_or_else(|| name.to_owned()).to_ascii_uppercase()
    };
    let (mut password, mut tls) = (None, None);
    // The settings before `listeners` was there.
    let old = format!(
        "PLAINTEXT://{}:{}",
        text("host.name"),
        value("port").map_or("9092".into(), |_| text("port"))
    );
    let listeners = value("listeners").map_or(old, |_| text("listeners"));
    for listener in listeners.split(',').map(str::trim).filter(|listener| !listener.is_empty()) {
        let Some((name, address)) = listener.split_once("://") else {
            reading.fault(None, "a listener without a name");
            continue;
        };
        let protocol = protocol(name);
        let Some(address) = host_port(address.as_bytes()) else {
            reading.fault(None, "a listener without a port");
            continue;
        };
        let encrypted = match &*protocol {
            "SSL" | "SASL_SSL" => Some(true),
            "PLAINTEXT" | "SASL_PLAINTEXT" => Some(false),
            _ => None,
        };
        let of_controller = controllers.iter().any(|known| known.eq_ignore_ascii_case(name));
        let purpose = if of_controller { Purpose::Cluster } else { Purpose::Service };
        if !of_controller && password.is_none() {
            let own = format!("listener.name.{}.ssl.client.auth", name.to_ascii_lowercase());
            let certificate = value(&own).or(value("ssl.client.auth")) == Some(b"required");
            password = Some(protocol.starts_with("SASL") || protocol == "SSL" && certificate);
            tls = encrypted;
        }
        reading.listen(address, encrypted, purpose);
    }
    reading.found.access.password = password;
    reading.found.access.tls = tls;
    let jmx = reading.launch.variable("JMX_PORT").and_then(number::<u16>);
    if let Some(port) = jmx.filter(|port| *port != 0) {
        reading.listen(host(b"*", port), None, Purpose::Status);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::memory::Memory;

    fn configuration(text: &str, more: &[&str]) -> Configuration {
        let mut line = vec![
            "/usr/bin/java",
            "-Dkafka.logs.dir=/var/log/kafka",
            "-Dlog4j.configuration=file:/opt/kafka/config/log4j.properties",
            "-cp",
            "/opt/kafka/libs/*",
            "kafka.Kafka",
            "/opt/kafka/config/server.properties",
        ];
        line.extend(more);
        let files = [
            ("/opt/kafka/config/server.properties", text),
            (
                "/opt/kafka/config/log4j.properties",
                "log4j.rootLogger=INFO, stdout, kafkaAppender\n\
                 log4j.appender.kafkaAppender.File=${kafka.logs.dir}/server.log\n\
                 log4j.appender.kafkaAppender.layout.ConversionPattern=[%d] %p %m (%c)%n\n\
                 log4j.logger.kafka.controller=TRACE, controllerAppender\n\
                 log4j.appender.controllerAppender.File=${kafka.logs.dir}/controller.log\n\
                 log4j.appender.unused.File=/x\n",
            ),
        ];
        read(&Launch::test("/usr/bin/java", &line, &[("JMX_PORT", "9999")]), &mut Memory::of(&files))
    }

    fn listens(found: &Configuration) -> Vec<String> {
        found.listens.iter().map(|l| format!("{} {} {:?}", l.address, l.purpose.as_str(), l.tls)).collect()
    }

    #[test]
    fn listeners_by_name_and_protocol() {
        let text = "process.roles=broker,controller\nnode.id=1\nlog.dirs=/data/a,/data/b\n\
                    listeners=CLIENT://:9093,CONTROLLER://127.0.0.1:9094,PLAINTEXT://[::1]:9092\n\
                    listener.security.protocol.map=CONTROLLER:PLAINTEXT,client:SASL_SSL\n\
                    controller.listener.names=CONTROLLER\nadvertised.listeners=CLIENT://kafka:9093\n\
                    ssl.keystore.password=geheim\n";
        let found = configuration(text, &["--override", "node.id=7", "--override", "num.partitions=3"]);
        assert!(found.faults.is_empty(), "{:?}", found.faults);
        assert_eq!(
            listens(&found),
            [
                "*:9093 service Some(true)",
                "127.0.0.1:9094 cluster Some(false)",
                "[::1]:9092 service Some(false)",
                "*:9999 status None"
            ]
        );
        assert_eq!((found.access.password, found.access.tls), (Some(true), Some(true)));
        assert_eq!(found.settings["node.id"], "7");
        assert_eq!(found.settings["num.partitions"], "3");
        assert_eq!(found.data_directory.as_deref(), Some(Path::new("/data/a")));
        let logs: Vec<_> = found.logs.iter().map(|log| log.path.to_str().unwrap()).collect();
        assert_eq!(logs, ["/var/log/kafka/server.log", "/var/log/kafka/controller.log"]);
        assert!(!format!("{found:?}").contains("geheim"));
    }

    #[test]
    fn defaults_and_mistakes() {
        let found = configuration("", &[]);
        assert_eq!(listens(&found), ["*:9092 service Some(false)", "*:9999 status None"]);
        assert_eq!(found.access.password, Some(false));
        assert_eq!(configuration("listeners=x,PLAINTEXT://a:b", &[]).faults.len(), 2);
    }
}
