//! Each difference that has a name, made on purpose: both charts are exactly as they have to be.

use portolan::{Inventory, Listener, Local, SourceChoice};
use portolan_world::need::Need;
use portolan_world::require;

use super::super::outside::Outside;
use super::super::part::{Ours, Part};
use super::super::{BPF, by, thoroughly};
use super::explained::{Compared, Explained};
use super::holders::Holders;

const COMMON: &str = r"
import ctypes, fcntl, os, socket, threading, time
libc = ctypes.CDLL(None, use_errno=True)
NEWNET, FILES = 0x40000000, 0x400
def check(result): assert result == 0, os.strerror(ctypes.get_errno())
def number(path): return os.stat(path).st_ino
def listen():
    s = socket.socket(socket.AF_UNIX); s.bind(b'\0' + NAME); s.listen(1)
    return s
def ready(netns, *pids):
    print('ready', netns, os.getpid(), *pids, flush=True)
    time.sleep(1000)
HOST = number('/proc/self/ns/net')
";

/// A program with one listener.
struct Case {
    name: Vec<u8>,
    netns: u64,
    processes: Vec<i32>,
    _program: Outside,
}

impl Case {
    fn start(what: &str, text: &str) -> Self {
        let name = format!("portolan-it-{}-{what}", std::process::id());
        let (program, said) = Outside::python(&format!("NAME = b'{name}'\n{COMMON}{text}"));
        let mut numbers = said.split(' ');
        let netns = numbers.next().unwrap().parse().unwrap();
        let processes = numbers.map(|pid| pid.parse().unwrap()).collect();
        Self { name: name.into_bytes(), netns, processes, _program: program }
    }

    /// Its listener in a chart, and the pid of its owner.
    fn listener<'a>(&self, chart: &'a Inventory) -> Option<(&'a Listener, Option<i32>)> {
        let own = |l: &&Listener| l.local == Local::Abstract(self.name.clone());
        let found: Vec<&Listener> = chart.listeners.iter().filter(own).collect();
        assert!(found.len() <= 1, "{found:?}");
        let found = *found.first()?;
        assert_eq!(found.netns.inode(), self.netns, "{found:?}");
        assert!(chart.network_namespaces.contains(&found.netns), "{found:?}");
        Some((found, found.owner.map(|owner| owner.pid)))
    }

    /// The owner of the listener in both charts, if it is there: by BPF iterators and by system calls. The difference
    /// is explained by this name.
    #[track_caller]
    fn check(&self, thorough: bool, owners: [Option<Option<i32>>; 2], explained: Option<Explained>) {
        let charts = [SourceChoice::Bpf, SourceChoice::SystemCalls]
            .map(|source| if thorough { thoroughly(source) } else { by(source) });
        let found = [0, 1].map(|at| self.listener(&charts[at]).map(|(_, owner)| owner));
        assert_eq!(found, owners, "thorough: {thorough}");
        let ours = Ours::new(self.processes.clone(), std::str::from_utf8(&self.name).unwrap());
        let [bpf, calls]: [Part; 2] = [0, 1].map(|at| ours.part(&charts[at]));
        let holders = Holders::now();
        let compared = Compared::new(&bpf, &calls, &holders, thorough);
        assert_eq!(compared.unexplained, Vec::<String>::new());
        assert_eq!(compared.explained, explained.into_iter().collect());
    }
}

/// Sends the listener, and keeps neither it nor who could receive it from anybody else.
const SENT: &str = r"
ends = socket.socketpair()
listener = listen()
socket.send_fds(ends[0], [b'x'], [listener.fileno()])
listener.close()
ready(number('/proc/self/ns/net'))";

#[test]
fn a_socket_on_its_way_in_another_network_is_for_thorough_scans_by_bpf_iterators() {
    require!(Need::Root, BPF);
    let case = Case::start("sent-abroad", &format!("check(libc.unshare(NEWNET))\n{SENT}"));
    case.check(false, [None, Some(None)], Some(Explained::OnItsWay));
    case.check(true, [Some(None), Some(None)], None);
}

#[test]
fn a_socket_on_its_way_in_the_hosts_network_is_charted_both_ways() {
    require!(Need::Root, BPF);
    let case = Case::start("sent-here", SENT);
    case.check(false, [Some(None), Some(None)], None);
    case.check(true, [Some(None), Some(None)], None);
}

#[test]
fn a_network_that_a_listener_alone_holds_is_for_thorough_scans_by_system_calls() {
    require!(Need::Root, BPF);
    let case = Case::start(
        "held-by-socket",
        "
home = os.open('/proc/self/ns/net', os.O_RDONLY)
check(libc.unshare(NEWNET))
left = number('/proc/self/ns/net')
listener = listen()
check(libc.setns(home, NEWNET))
os.close(home)
ready(left)",
    );
    let owner = Some(Some(case.processes[0]));
    case.check(false, [owner, None], Some(Explained::HeldBySocket));
    case.check(true, [owner, owner], None);
}

#[test]
fn a_thread_with_descriptors_of_its_own_is_seen_by_bpf_iterators_only() {
    require!(Need::Root, BPF);
    let case = Case::start(
        "own-table",
        "
check(libc.unshare(NEWNET))
def work():
    check(libc.unshare(FILES))
    listener = listen()
    ready(number('/proc/thread-self/ns/net'))
threading.Thread(target=work).start()
time.sleep(1000)",
    );
    let owner = Some(Some(case.processes[0]));
    for thorough in [false, true] {
        case.check(thorough, [owner, Some(None)], Some(Explained::OwnTable));
    }
}

#[test]
fn a_socket_of_the_host_far_up_among_the_descriptors_of_another_network_is_for_bpf_iterators() {
    require!(Need::Root, BPF);
    let case = Case::start(
        "far-abroad",
        "
listener = listen()
high = fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD, 40)
listener.close()
told, tell = os.pipe()
child = os.fork()
if child == 0:
    check(libc.prctl(1, 9, 0, 0, 0))
    check(libc.unshare(NEWNET))
    os.write(tell, b'x')
    time.sleep(1000)
os.close(high)
os.read(told, 1)
ready(HOST, child)",
    );
    let owner = Some(Some(case.processes[1]));
    // Where every process may be looked at, all descriptors are.
    let (calls, explained) =
        if Holders::now().blind { (Some(None), Some(Explained::FarAbroad)) } else { (owner, None) };
    for thorough in [false, true] {
        case.check(thorough, [owner, calls], explained);
    }
}
