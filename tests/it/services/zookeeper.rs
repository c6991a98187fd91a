//! ZooKeeper: what is charted is what the server opens.

use std::path::Path;

use portolan::Service;
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{running, services_when};
use crate::inside::Inside;

/// The server, once it listens on this port.
fn zookeeper(inside: &Inside, port: u16) -> Service {
    let on = |s: &Service| s.endpoints.iter().any(|e| e.address.tcp().is_some_and(|a| a.port() == port));
    let ready = |s: &Service| s.kind == "zookeeper" && on(s);
    services_when(&inside.container, |all| all.iter().any(ready)).into_iter().find(ready).unwrap()
}

fn listens(service: &Service) -> Vec<String> {
    service.configuration.listens.iter().map(|listen| listen.address.to_string()).collect()
}

/// As the package's unit starts it.
const START: &str = "mkdir -p /srv/data /srv/log\n\
    exec java -cp /etc/zookeeper/conf:/usr/share/java/slf4j-log4j12.jar:/usr/share/java/log4j-1.2.jar:/usr/share/java/zookeeper.jar \
    -Dzookeeper.log.dir=/srv/log \
    -Dzookeeper.root.logger=INFO,ROLLINGFILE org.apache.zookeeper.server.quorum.QuorumPeerMain";

#[test]
fn the_packages_own_configuration() {
    require!(Need::Root, Need::Overlay, Need::File("/usr/share/java/zookeeper.jar"), Need::Program("java"));
    let inside = Inside::start(&running(&format!("{START} /etc/zookeeper/conf/zoo.cfg")));
    let service = zookeeper(&inside, 2181);
    let configuration = &service.configuration;
    assert!(configuration.faults.is_empty(), "{configuration:#?}");
    assert_eq!(listens(&service)[0], "*:2181");
    assert!(configuration.files.iter().any(|file| file.path == Path::new("/etc/zookeeper/conf/zoo.cfg")));
    assert_eq!(configuration.logs[0].path, Path::new("/srv/log/zookeeper.log"));
    let text = inside.shell("cat /srv/log/zookeeper.log");
    let directory = configuration.data_directory.as_ref().unwrap().to_str().unwrap();
    assert!(text.contains(&format!("snapdir {directory}")), "{directory}: {text}");
}

#[test]
fn addresses_and_words_that_it_answers() {
    require!(Need::Root, Need::Overlay, Need::File("/usr/share/java/zookeeper.jar"), Need::Program("java"));
    let world: World = running(&format!("{START} /srv/own.cfg")).file(
        "/srv/own.cfg",
        "! a comment\ndataDir = /srv/da\\\n    ta\nclientPort: 2191\nclientPortAddress 127.0.0.1\n\
         4lw.commands.whitelist=conf,\\\n  ruok\nadmin.serverPort=8091\nmaxClientCnxns=7\n",
    );
    let inside = Inside::start(&world);
    let service = zookeeper(&inside, 2191);
    let configuration = &service.configuration;
    assert!(configuration.faults.is_empty(), "{configuration:#?}");
    assert_eq!(listens(&service)[0], "127.0.0.1:2191");
    // It listens before it serves.
    let script = "import socket, time\n\
                  while True:\n \
                  s = socket.create_connection(('127.0.0.1', 2191)); s.sendall(b'conf'); text = s.makefile().read()\n \
                  if 'not currently serving' not in text: break\n \
                  time.sleep(0.05)\n\
                  print(text)";
    let output = inside.container.exec(["python3", "-c", script]).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("maxClientCnxns=7\n") && text.contains("clientPort=2191\n"), "{text}");
    let directory = text.lines().find_map(|line| line.strip_prefix("dataDir=")).unwrap();
    assert!(
        directory.starts_with(configuration.data_directory.as_ref().unwrap().to_str().unwrap()),
        "{text}"
    );
    assert_eq!(configuration.settings["maxClientCnxns"], "7");
    assert_eq!(configuration.settings["4lw.commands.whitelist"], "conf,ruok");
}
