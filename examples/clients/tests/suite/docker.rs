//! Docker: no network at all, or one that the host cannot reach.

use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::time::Duration;

use portolan_dial::Dialer;
use portolan_world::need::Need;

use crate::decoys::Decoys;
use crate::engine::Engine;
use crate::host::{alone, ip};
use crate::place::Place;
use crate::servers::{self, Servers};
use crate::suite;
use crate::tool::told;

/// The container's in its own network.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2));

const NAME: &str = "servers";

/// The host's programs, to be seen inside and no more.
const SHARED: [&str; 6] = ["/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc"];

/// Starts the container with the servers.
fn start(engine: &Engine, place: &Place, network: &[&str], address: IpAddr) -> Servers {
    let given = place.directory("given");
    servers::give(&given, address);
    let mut volumes: Vec<String> = SHARED
        .iter()
        .filter(|at| std::path::Path::new(at).exists())
        .map(|at| format!("{at}:{at}:ro"))
        .collect();
    volumes.push(format!("{}:/srv/inside:ro", given.display()));
    volumes.push(format!("{}/resolv.conf:/etc/resolv.conf:ro", given.display()));
    volumes.push(format!("{}:{}/docker.sock", crate::docker_socket(engine), servers::sockets()));
    let mut options = vec!["--name", NAME];
    options.extend(network);
    for memory in ["/data:exec", "/tmp", "/run", "/var"] {
        options.extend(["--tmpfs", memory]);
    }
    for volume in &volumes {
        options.extend(["--volume", volume]);
    }
    let id =
        engine.run(&options, &["/bin/sh", "/srv/inside/start.sh", &address.to_string(), &servers::sockets()]);
    let process = portolan::Process::open(engine.pid(&id)).unwrap();
    Servers { dialer: Dialer::new(process).unwrap(), address, given }
}

fn end(engine: &Engine) {
    told(engine.docker().args(["rm", "--force", NAME]));
}

#[test]
fn clients_reach_servers_in_docker_without_a_network() {
    suite::needs!(Need::Program("dockerd"), Need::Program("docker"));
    let _turn = crate::turn();
    alone(|| {
        let place = Place::new("clients-none");
        let engine = Engine::start();
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let servers = start(&engine, &place, &["--network", "none"], address);
        suite::run("docker, no network", &servers, &Decoys::at(&[address]), || end(&engine));
    });
}

#[test]
fn clients_reach_servers_in_docker_on_a_macvlan_network() {
    suite::needs!(Need::Program("dockerd"), Need::Program("docker"));
    let _turn = crate::turn();
    alone(|| {
        let place = Place::new("clients-macvlan");
        let engine = Engine::start();
        // A cable with nobody at its other end.
        ip(&["link", "add", "uplink", "type", "veth", "peer", "name", "beyond"]);
        ip(&["link", "set", "uplink", "up"]);
        ip(&["link", "set", "beyond", "up"]);
        ip(&["address", "add", "10.77.0.1/24", "dev", "uplink"]);
        told(
            engine
                .docker()
                .args(["network", "create", "--driver", "macvlan", "--opt", "parent=uplink"])
                .args(["--subnet", "10.77.0.0/24", "--gateway", "10.77.0.254", "unreachable"]),
        );
        let network = ["--network", "unreachable", "--ip", &ADDRESS.to_string()];
        let servers = start(&engine, &place, &network, ADDRESS);
        servers.wait();
        // It has a route there, and nobody answers.
        let direct = TcpStream::connect_timeout(&servers.at(servers::REDIS), Duration::from_secs(1));
        assert!(direct.is_err(), "the host reaches a macvlan network: {direct:?}");
        // From now on somebody does, who is the host.
        ip(&["address", "add", &format!("{ADDRESS}/32"), "dev", "lo"]);
        let decoys = Decoys::at(&[ADDRESS, IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        suite::run("docker, macvlan", &servers, &decoys, || end(&engine));
    });
}
