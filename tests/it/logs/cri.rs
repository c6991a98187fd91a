//! Logs of pods, as containerd writes them for the kubelet: without a kubelet, its part is played here.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use portolan_world::need::Need;
use portolan_world::require;

use super::read::{Following, HARD, LINES, bytes, lines, wait_for};
use crate::command::portolan;
use crate::runtimes::containerd::{Daemon, IMAGE};
use crate::runtimes::cri::{PODS, ask, call};
use crate::runtimes::place::Place;
use crate::runtimes::protobuf::{self, Message};
use crate::runtimes::rootfs::SH;
use crate::runtimes::tool::attempt;

/// A pod that is removed with its containers.
struct Pod<'a> {
    daemon: &'a Daemon,
    id: String,
    config: Message,
}

impl<'a> Pod<'a> {
    #[track_caller]
    fn start(daemon: &'a Daemon, name: &str, uid: &str, logs: &str) -> Self {
        let metadata = Message::new().text(1, name).text(2, uid).text(3, "shop");
        let linux = Message::new().text(1, &format!("/kubepods/burstable/pod{uid}"));
        let config = Message::new().message(1, &metadata).text(2, name).text(3, logs).message(8, &linux);
        let run = Message::new().message(1, &config);
        let id = protobuf::text(&ask(daemon, "RunPodSandbox", &run), 1);
        Self { daemon, id, config }
    }

    /// A container that runs a script, its log in a file of the pod's directory; its id.
    #[track_caller]
    fn add(&self, name: &str, log: &str, script: &str) -> String {
        let config = Message::new()
            .message(1, &Message::new().text(1, name))
            .message(2, &Message::new().text(1, IMAGE))
            .texts(3, &[SH, "-c", script])
            .text(11, log);
        let create = Message::new().text(1, &self.id).message(2, &config).message(3, &self.config);
        let id = protobuf::text(&ask(self.daemon, "CreateContainer", &create), 1);
        ask(self.daemon, "StartContainer", &Message::new().text(1, &id));
        id
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

/// A link as the kubelet makes it, gone with its directories when it is dropped.
struct Link(PathBuf, Vec<PathBuf>);

impl Link {
    fn new(name: &str, target: &Path) -> Self {
        let made: Vec<PathBuf> =
            ["/var/log/containers"].iter().map(PathBuf::from).filter(|path| !path.exists()).collect();
        fs::create_dir_all("/var/log/containers").unwrap();
        let path = Path::new("/var/log/containers").join(name);
        symlink(target, &path).unwrap();
        Self(path, made)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
        for directory in &self.1 {
            let _ = fs::remove_dir(directory);
        }
    }
}

/// The lines that a file of this format has, read by this suite's own few lines; whole ones only.
fn read_plainly(file: &Path, stream: &str) -> Vec<u8> {
    let text = fs::read(file).unwrap();
    let mut all = Vec::new();
    for line in text.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let mut fields = line.splitn(4, |b| *b == b' ').skip(1);
        if fields.next() != Some(stream.as_bytes()) {
            continue;
        }
        let ends = fields.next() == Some(b"F");
        all.extend_from_slice(fields.next().unwrap());
        if ends {
            all.push(b'\n');
        }
    }
    all
}

#[test]
fn logs_of_pods_are_where_the_kubelet_wants_them() {
    require!(
        Need::Root,
        Need::Program("containerd"),
        Need::Program("curl"),
        Need::Program("ip"),
        Need::Program("busybox")
    );
    let _turn = crate::runtimes::turn();
    let uid = "1c9f4a5e-71d2-4b7e-9d35-0b6f0f6a3c21";
    let daemon =
        Daemon::start(PODS, &[&format!("kubepods/burstable/pod{uid}"), "kubepods/burstable", "kubepods"]);
    daemon.import(PODS);
    let place = Place::new("podlogs");
    let logs = place.directory("logs");
    for name in ["web", "linked", "restarted"] {
        fs::create_dir(logs.join(name)).unwrap();
    }
    let pod = Pod::start(&daemon, &crate::runtimes::name("logs"), uid, &place.at("logs"));
    // By the pod's directory, which the sandbox's bundle names.
    let web = pod.add("web", "web/0.log", HARD);
    wait_for(&web, "last");
    let file = logs.join("web/0.log");
    assert_eq!(bytes(&web, &["--stream", "stdout", "-n", "all"]), read_plainly(&file, "stdout"));
    let all = lines(&web, &["-n", "all"]);
    assert_eq!((all.len(), all.iter().filter(|line| line.stream == "stderr").count()), (LINES + 1, 1));
    assert!(
        fs::read(&file).unwrap().windows(10).any(|bytes| bytes == b" stdout P "),
        "it was cut into pieces"
    );
    let places = portolan(["logs", &web, "--where"]).text();
    assert!(places.starts_with(&format!("output: {} (cri)\n", file.display())), "{places}");
    // Of several starts the last one counts.
    fs::write(logs.join("restarted/0.log"), "2026-01-01T00:00:00Z stdout F before\n").unwrap();
    let restarted = pod.add("restarted", "restarted/1.log", "echo now; sleep 100000");
    wait_for(&restarted, "now");
    assert_eq!(bytes(&restarted, &[]), b"now\n");
    // By the kubelet's link, wherever it leads.
    let linked = pod.add("linked", "elsewhere.log", "echo linked; sleep 100000");
    portolan(["logs", &linked]).failed(1);
    let _link = Link::new(&format!("pod_shop_linked-{linked}.log"), &logs.join("elsewhere.log"));
    wait_for(&linked, "linked");
    rotations_are_followed(&daemon, &pod, &logs);
    let sandbox = portolan(["logs", &pod.id]);
    assert!(sandbox.failed(1).contains("sandbox"), "{sandbox:?}");
}

/// The kubelet renames the file, and then has the runtime open the next one.
#[track_caller]
fn rotations_are_followed(daemon: &Daemon, pod: &Pod<'_>, logs: &Path) {
    fs::create_dir(logs.join("busy")).unwrap();
    let script = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo \"$i\"; [ $((i % 10)) = 0 ] && sleep 0.01; done; \
        echo end; sleep 100000";
    let busy = pod.add("busy", "busy/0.log", script);
    wait_for_file(&logs.join("busy/0.log"));
    let following = Following::start(&busy, &["-n", "all"]);
    for round in 0..5 {
        std::thread::sleep(std::time::Duration::from_millis(300));
        fs::rename(logs.join("busy/0.log"), logs.join(format!("busy/0.log.20261121-10000{round}"))).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(40));
        ask(daemon, "ReopenContainerLog", &Message::new().text(1, &busy));
    }
    let numbers: Vec<u32> = following.until("end").iter().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(numbers, (1..=3000).collect::<Vec<_>>());
    // And read again, over all files.
    let all = String::from_utf8(bytes(&busy, &["-n", "all"])).unwrap();
    let numbers: Vec<u32> = all.lines().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(numbers, (1..=3000).collect::<Vec<_>>());
}

#[track_caller]
fn wait_for_file(path: &Path) {
    for _ in 0..500 {
        if fs::metadata(path).is_ok_and(|meta| meta.len() > 0) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{} does not come", path.display());
}
