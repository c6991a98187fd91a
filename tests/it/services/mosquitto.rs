//! Mosquitto: what is charted is what it opens.

use std::path::Path;

use portolan::Service;
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{running, services_when};
use crate::inside::Inside;

/// The broker, once it listens on so many addresses.
fn mosquitto(inside: &Inside, number: usize) -> Service {
    let ready = |s: &Service| s.kind == "mosquitto" && s.endpoints.len() == number;
    services_when(&inside.container, |all| all.iter().any(ready)).into_iter().find(ready).unwrap()
}

fn listens(service: &Service) -> Vec<String> {
    service.configuration.listens.iter().map(|listen| listen.address.to_string()).collect()
}

/// Whether a client without a name may publish.
fn anonymous(inside: &Inside, port: u16) -> bool {
    // CONNECT of MQTT 3.1.1: a clean session of the client "it".
    let connect = "100e00044d5154540402000500026974";
    let script = format!(
        "import socket; s = socket.create_connection(('127.0.0.1', {port})); \
         s.sendall(bytes.fromhex('{connect}')); print(s.recv(4).hex())"
    );
    let output = inside.container.exec(["python3", "-c", &script]).unwrap();
    String::from_utf8(output.stdout).unwrap().trim() == "20020000"
}

#[test]
fn the_packages_own_configuration_is_local() {
    require!(Need::Root, Need::Overlay, Need::Program("mosquitto"));
    let world = running(
        "mkdir -p /run/mosquitto && chown mosquitto /run/mosquitto\n\
         exec /usr/sbin/mosquitto -c /etc/mosquitto/mosquitto.conf",
    );
    let inside = Inside::start(&world);
    let service = mosquitto(&inside, 2);
    let configuration = &service.configuration;
    assert!(configuration.faults.is_empty(), "{configuration:#?}");
    assert_eq!(listens(&service), ["localhost:1883"]);
    assert_eq!(configuration.logs[0].path, Path::new("/var/log/mosquitto/mosquitto.log"));
    assert_eq!(configuration.data_directory.as_deref(), Some(Path::new("/var/lib/mosquitto/")));
    assert_eq!(configuration.access.password, Some(false));
    assert!(anonymous(&inside, 1883));
    inside.shell("test -s /var/log/mosquitto/mosquitto.log");
}

#[test]
fn directories_listeners_and_a_socket() {
    require!(Need::Root, Need::Overlay, Need::Program("mosquitto"));
    let world = World::new("mosquitto")
        .file(
            "/srv/m.conf",
            "log_dest stderr\ninclude_dir /srv/d\nlistener 1901 127.0.0.1\nlistener 0 /srv/m.sock\n\
             allow_anonymous false\npassword_file /srv/pw\n",
        )
        .file("/srv/d/10.conf", "listener 1902 127.0.0.1\n")
        .file("/srv/d/2.conf", "listener 1903 127.0.0.1\n")
        .file("/srv/d/.1.conf", "listener 1904 127.0.0.1\n")
        .file("/srv/d/3.txt", "listener 1905\n")
        .prepare("mosquitto_passwd -b -c /srv/pw it geheim && chmod 777 /srv && chown mosquitto /srv/pw")
        .command(["mosquitto", "-c", "/srv/m.conf", "-p", "1906"]);
    let inside = Inside::start(&world);
    let service = mosquitto(&inside, 5);
    let configuration = &service.configuration;
    assert!(configuration.faults.is_empty(), "{configuration:#?}");
    assert_eq!(
        listens(&service),
        ["127.0.0.1:1904", "127.0.0.1:1902", "127.0.0.1:1903", "127.0.0.1:1901", "unix:/srv/m.sock"]
    );
    // It says itself which files it read, and in which order it opened what they name.
    let log = inside.container.log();
    let places: Vec<usize> = ["port 1904", "port 1902", "port 1903", "port 1901"]
        .iter()
        .map(|port| log.find(port).unwrap())
        .collect();
    assert!(places.is_sorted(), "{log}");
    assert_eq!(configuration.access.password, Some(true));
    assert!(!anonymous(&inside, 1901));
    assert!(configuration.files.iter().any(|file| file.path == Path::new("/srv/pw")));
}
