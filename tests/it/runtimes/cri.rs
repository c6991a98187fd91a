//! Pods of containerd, through the interface that Kubernetes uses (CRI), without Kubernetes.

use std::fs;
use std::process::Command;

use portolan_world::need::Need;
use portolan_world::require;
use serde_json::{Value, json};

use super::chart::Chart;
use super::containerd::{Daemon, IMAGE};
use super::protobuf::{self, Message};
use super::rootfs::{self, SH};
use super::told::Told;
use super::tool::{attempt, told, tool};
use crate::oracle;

/// The namespace (of containerd) that its pods are in.
pub(crate) const PODS: &str = "k8s.io";
/// The namespace (of Kubernetes) that ours are in.
const NAMESPACE: &str = "shop";

/// A call of the service, ready to run: gRPC over HTTP/2 is a body of one message, with five bytes before it that
/// say that it is not compressed and how long it is. The answer has the same form, and its status in a trailer.
pub(crate) fn call(daemon: &Daemon, method: &str, request: &Message) -> (Command, String) {
    let files = format!("{}-{method}", daemon.socket());
    let (question, answer) = (format!("{files}.question"), format!("{files}.answer"));
    let length = u32::try_from(request.encoded().len()).unwrap().to_be_bytes();
    let body: Vec<u8> = [&[0], length.as_slice(), request.encoded()].concat();
    fs::write(&question, body).unwrap();
    let mut curl = tool("curl");
    curl.args(["--silent", "--show-error", "--http2-prior-knowledge", "--max-time", "20"]);
    curl.args(["--unix-socket", &daemon.socket()]);
    curl.args(["--header", "content-type: application/grpc", "--header", "te: trailers"]);
    curl.args(["--data-binary", &format!("@{question}"), "--output", &answer, "--dump-header", "-"]);
    curl.arg(format!("http://localhost/runtime.v1.RuntimeService/{method}"));
    (curl, answer)
}

/// What the service answers.
#[track_caller]
pub(crate) fn ask(daemon: &Daemon, method: &str, request: &Message) -> Vec<u8> {
    let (mut curl, answer) = call(daemon, method, request);
    let headers = told(&mut curl);
    assert!(headers.lines().any(|line| line.trim() == "grpc-status: 0"), "{method}: {headers}");
    fs::read(answer).unwrap().split_off(5)
}

/// A running pod with two containers, which share its network.
#[derive(Debug)]
struct Pod<'a> {
    daemon: &'a Daemon,
    id: String,
    uid: &'static str,
    name: String,
    /// Name, id and port of each.
    containers: Vec<(String, String, u16)>,
}

impl<'a> Pod<'a> {
    #[track_caller]
    fn start(daemon: &'a Daemon, name: &str, uid: &'static str, parent: &str) -> Self {
        let metadata = Message::new().text(1, name).text(2, uid).text(3, NAMESPACE);
        let linux = Message::new().text(1, parent);
        let config = Message::new().message(1, &metadata).text(2, name).message(8, &linux);
        let run = Message::new().message(1, &config);
        let id = protobuf::text(&ask(daemon, "RunPodSandbox", &run), 1);
        assert_eq!(id.len(), 64, "{id}");
        // From here on it is ended when something fails.
        let mut pod = Self { daemon, id, uid, name: name.to_owned(), containers: Vec::new() };
        pod.add("web", &config);
        pod.add("beside", &config);
        pod
    }

    /// A container that serves the page.
    #[track_caller]
    fn add(&mut self, role: &str, sandbox: &Message) {
        let name = format!("{}-{role}", self.name);
        let port = rootfs::port();
        let httpd = rootfs::httpd("/srv/www", port).join(" ");
        let config = Message::new()
            .message(1, &Message::new().text(1, &name))
            .message(2, &Message::new().text(1, IMAGE))
            .texts(3, &[SH, "-c", &format!("exec {httpd}")]);
        let create = Message::new().text(1, &self.id).message(2, &config).message(3, sandbox);
        let id = protobuf::text(&ask(self.daemon, "CreateContainer", &create), 1);
        ask(self.daemon, "StartContainer", &Message::new().text(1, &id));
        self.containers.push((name, id, port));
    }

    /// As the chart has to tell it.
    fn told_pod(&self) -> Value {
        json!({ "uid": self.uid, "name": self.name, "namespace": NAMESPACE })
    }

    /// What `ContainerStatus` says of each.
    #[track_caller]
    fn told(&self) -> Vec<Told> {
        self.containers.iter().map(|(name, id, port)| self.told_of(name, id, *port)).collect()
    }

    #[track_caller]
    fn told_of(&self, name: &str, id: &str, port: u16) -> Told {
        let request = Message::new().text(1, id).number(2, 1);
        let answer = ask(self.daemon, "ContainerStatus", &request);
        let status = protobuf::bytes(&answer, 1);
        let said = (protobuf::text(status, 1), protobuf::text(protobuf::bytes(status, 2), 1));
        let info = info(&answer);
        assert_eq!((said, &info["sandboxID"]), ((id.to_owned(), name.to_owned()), &json!(self.id)));
        let pid = info["pid"].as_i64().unwrap().try_into().unwrap();
        Told::new("cri-containerd", id, Some(name.to_owned()), pid, port).in_pod(self.told_pod())
    }

    /// The process that holds the pod's namespaces, as `PodSandboxStatus` says.
    #[track_caller]
    fn sandbox(&self) -> i32 {
        let request = Message::new().text(1, &self.id).number(2, 1);
        let answer = ask(self.daemon, "PodSandboxStatus", &request);
        let status = protobuf::bytes(&answer, 1);
        let metadata = protobuf::bytes(status, 2);
        let said = [1, 2, 3].map(|field| protobuf::text(metadata, field));
        assert_eq!(said, [&self.name, self.uid, NAMESPACE]);
        info(&answer)["pid"].as_i64().unwrap().try_into().unwrap()
    }

    #[track_caller]
    fn check(&self) {
        let containers = self.told();
        // Both listen in one network, and each has what is its own.
        containers.iter().for_each(Told::wait_listening);
        for container in &containers {
            container.check();
        }
        let (chart, pid) = (Chart::now(), self.sandbox());
        let sandbox = chart.container_of(pid);
        let known = |key: &str| &sandbox[key];
        assert_eq!(
            (known("runtime"), known("kind"), known("id"), known("pod")),
            (&json!("cri-containerd"), &json!("sandbox"), &json!(self.id), &self.told_pod()),
            "{sandbox:#}"
        );
        for container in &containers {
            assert_eq!(oracle::namespace(pid, "net"), oracle::namespace(container.pid, "net"));
            assert_eq!(container.cat(&self.id, "/etc/app/app.conf"), rootfs::CONFIG);
        }
    }
}

impl Drop for Pod<'_> {
    fn drop(&mut self) {
        let request = Message::new().text(1, &self.id);
        for method in ["StopPodSandbox", "RemovePodSandbox"] {
            attempt(&mut call(self.daemon, method, &request).0);
        }
    }
}

/// The JSON that a status has for people who debug.
#[track_caller]
fn info(answer: &[u8]) -> Value {
    let pair = protobuf::bytes(answer, 2);
    assert_eq!(protobuf::text(pair, 1), "info");
    serde_json::from_slice(protobuf::bytes(pair, 2)).unwrap()
}

#[test]
fn a_pod_is_what_its_runtime_says() {
    require!(
        Need::Root,
        Need::Program("containerd"),
        Need::Program("curl"),
        Need::Program("ip"),
        Need::Program("busybox")
    );
    let _turn = super::turn();
    let name = super::name("pod");
    let uid = "1c9f4a5e-71d2-4b7e-9d35-0b6f0f6a3c11";
    let pod_group = format!("kubepods/burstable/pod{uid}");
    let other_uid = "1c9f4a5e-71d2-4b7e-9d35-0b6f0f6a3c12";
    let slice = format!("kubepods-besteffort-pod{}.slice", other_uid.replace('-', "_"));
    let daemon = Daemon::start(PODS, &[&pod_group, "kubepods/burstable", "kubepods", &slice]);
    daemon.import(PODS);
    // As the kubelet names them with the cgroupfs driver.
    let pod = Pod::start(&daemon, &format!("{name}-0"), uid, &format!("/{pod_group}"));
    pod.check();
    // And with its own driver set to systemd, but not that of containerd: `SLICE:cri-containerd:ID`.
    let other = Pod::start(&daemon, &format!("{name}-1"), other_uid, &slice);
    other.check();
    let containers = pod.told();
    drop(pod);
    containers.iter().for_each(Told::check_gone);
    other.check();
}
