//! Which process owns a listening socket.
//!
//! A socket's inode number is among the descriptors of its owner, so the descriptors of processes are looked through,
//! but no further than needed: only of namespaces that have listeners, the oldest process first, the lowest
//! descriptors first, and no longer than there is a listener without an owner. What was accepted later is never
//! looked at. Where a socket was found is remembered, so that the next scan asks for that descriptor alone, after
//! those of older processes.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use portolan_linux::error::Limit;
use portolan_linux::{ErrorKind, NamespaceId, Process, ProcessId};

use crate::fault::Faults;
use crate::places::Member;
use crate::walk::Seen;

/// A socket, by its inode number, which no other socket of the host has while it is open.
type Socket = u32;

/// Where sockets were found in the scan before.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    found: HashMap<Socket, (ProcessId, u32)>,
    /// Whose owner was not found, and since when; none after a whole scan, which looked everywhere.
    orphans: HashMap<Socket, Option<Instant>>,
    /// The sockets of programs behind those that the kernel listens with for them.
    pub(crate) behind: HashMap<Socket, Socket>,
    /// Sockets that nobody had, and that are most likely the kernel's own: tunnels wait for UDP by sockets that have a
    /// number, and nobody ever has one of them.
    kernels: HashSet<Socket>,
}

/// An owner that is not found at first may be so new that it is not known yet.
const NEW: Duration = Duration::from_secs(1);

impl Remembered {
    /// Whether a process has any of them.
    pub(crate) fn has(&self, process: ProcessId) -> bool {
        self.found.values().any(|(holder, _)| *holder == process)
    }

    /// Whether to look again for the owner of a socket, though nothing else may have happened.
    pub(crate) fn is_looking(&self) -> bool {
        self.orphans.values().flatten().any(|since| since.elapsed() < NEW)
    }
}

/// Who looks for owners, and what was found.
pub(crate) struct Search<'a> {
    processes: &'a [Seen],
    before: &'a Remembered,
    found: HashMap<Socket, (usize, u32)>,
    /// Sockets of the host that most likely belong to a process that we may not look at.
    unlikely: HashSet<Socket>,
    /// Those of the scan before that still have no owner, and new ones.
    kernels: HashSet<Socket>,
    /// How many descriptors may be looked at for one namespace, and how many of these are left.
    most: u32,
    left: u32,
}

/// So many descriptors are looked at for the sockets of one namespace, about a tenth of a second's work: a container
/// can have a million, and a listener that nobody is found to have.
const AT_HOME: u32 = 1 << 16;
/// So many, of all processes together and of each, for sockets that were handed to another namespace.
const ABROAD: u32 = 1 << 18;
const ABROAD_EACH: u32 = 1 << 12;

/// How far a process's descriptors are looked through for an unlikely socket.
const UNLIKELY: u32 = 32;

impl<'a> Search<'a> {
    pub(crate) fn new(processes: &'a [Seen], before: &'a Remembered) -> Self {
        Self {
            processes,
            before,
            found: HashMap::new(),
            unlikely: HashSet::new(),
            kernels: HashSet::new(),
            most: AT_HOME,
            left: 0,
        }
    }

    /// Looks among the processes of the sockets' own namespace; gives those that nobody there has.
    pub(crate) fn at_home(
        &mut self,
        namespace: NamespaceId,
        members: &[Member],
        mut wanted: HashSet<Socket>,
        faults: &mut Faults,
    ) -> HashSet<Socket> {
        self.left = self.most;
        for member in members {
            if wanted.is_empty() && self.unlikely.is_empty() {
                break;
            }
            self.among(*member, &mut wanted, u32::MAX, faults);
        }
        if self.left == 0 && !wanted.is_empty() {
            let limit = ErrorKind::Limit(Limit::Entries);
            faults.of_netns("look for the owners of the listeners", namespace.inode(), limit);
        }
        wanted
    }

    /// From now on, whoever is looked at is looked at for these as well, among its first descriptors: that they were
    /// handed to a process of another namespace is possible, but not worth more.
    pub(crate) fn also(&mut self, sockets: HashSet<Socket>) {
        self.unlikely.extend(sockets);
    }

    /// Looks everywhere for sockets that were handed to a process of another namespace. Of those that are for `udp` and
    /// are found nowhere, it is remembered that they are most likely the kernel's own, and not worth the same again.
    pub(crate) fn abroad(&mut self, mut wanted: HashSet<Socket>, udp: &HashSet<Socket>, faults: &mut Faults) {
        self.kernels.extend(wanted.extract_if(|socket| self.before.kernels.contains(socket)));
        if wanted.is_empty() {
            return;
        }
        self.unlikely.clear();
        self.left = ABROAD;
        let mut order: Vec<usize> = (0..self.processes.len()).collect();
        order.sort_by_key(|place| self.processes.get(*place).map(Seen::age));
        for place in order {
            if wanted.is_empty() {
                break;
            }
            let thread = self.processes.get(place).and_then(|seen| seen.thread);
            self.among(Member { place, thread }, &mut wanted, ABROAD_EACH, faults);
        }
        self.kernels.extend(wanted.intersection(udp));
    }

    /// Takes from `wanted` what a process has among so many of its descriptors.
    fn among(&mut self, member: Member, wanted: &mut HashSet<Socket>, most: u32, faults: &mut Faults) {
        let Some(seen) = self.processes.get(member.place) else { return };
        let looked = seen.trace.follow().and_then(|process| {
            self.again(member, &process, wanted);
            if wanted.is_empty() && self.unlikely.is_empty() || self.left == 0 {
                return Ok(());
            }
            let mut most = most;
            let look = |link: &[u8], descriptor: u32| {
                self.left = self.left.saturating_sub(1);
                most = most.saturating_sub(1);
                if let Some(socket) = portolan_linux::process::socket_inode(link) {
                    if wanted.remove(&socket) {
                        self.found.insert(socket, (member.place, descriptor));
                    } else if descriptor < UNLIKELY && self.unlikely.contains(&socket) {
                        self.found_unlikely(socket, member.place, descriptor);
                    }
                }
                let more = !wanted.is_empty() || !self.unlikely.is_empty() && descriptor < UNLIKELY;
                if more && most > 0 && self.left > 0 {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            };
            match member.thread {
                None => process.descriptors(look),
                Some(thread) => process.descriptors_of_thread(thread, look),
            }
        });
        if let Err(error) = looked
            && error.kind() != ErrorKind::TargetGone
        {
            faults.of_pid("list the sockets", seen.id().pid, &error);
        }
    }

    /// The oldest holder counts, in whatever order they are met.
    fn found_unlikely(&mut self, socket: Socket, place: usize, descriptor: u32) {
        let age = |place: usize| self.processes.get(place).map(Seen::age);
        if self.found.get(&socket).is_none_or(|(known, _)| age(place) < age(*known)) {
            self.found.insert(socket, (place, descriptor));
        }
    }

    /// Looks where the sockets were before.
    fn again(&mut self, member: Member, process: &Process, wanted: &mut HashSet<Socket>) {
        if self.before.found.is_empty() || member.thread.is_some() {
            return;
        }
        let still = |socket: &Socket| {
            let (holder, descriptor) = self.before.found.get(socket)?;
            (*holder == process.id() && process.socket(*descriptor).ok()? == Some(*socket))
                .then_some((*socket, *descriptor))
        };
        let held: Vec<_> = wanted.iter().filter_map(still).collect();
        for (socket, descriptor) in held {
            wanted.remove(&socket);
            self.found.insert(socket, (member.place, descriptor));
        }
    }

    /// Takes the owners of some sockets from the scan before, without looking.
    pub(crate) fn as_before(
        &mut self,
        sockets: impl Iterator<Item = Socket>,
        at: &HashMap<ProcessId, usize>,
    ) {
        for socket in sockets {
            if let Some((holder, descriptor)) = self.before.found.get(&socket)
                && let Some(place) = at.get(holder)
            {
                self.found.insert(socket, (*place, *descriptor));
            } else if self.before.kernels.contains(&socket) {
                self.kernels.insert(socket);
            }
        }
    }

    /// Whether its owner was looked for long enough.
    pub(crate) fn is_orphan(&self, socket: Socket) -> bool {
        self.before.orphans.get(&socket).is_some_and(|since| since.is_none_or(|since| since.elapsed() >= NEW))
    }

    /// The program's socket behind one that the kernel shows, as it was before.
    pub(crate) fn behind(&self, shown: Socket) -> Option<Socket> {
        self.before.behind.get(&shown).copied()
    }

    /// The places of the owners that were found.
    pub(crate) fn places(self) -> HashMap<Socket, usize> {
        self.found.into_iter().map(|(socket, (place, _))| (socket, place)).collect()
    }

    /// The places of the owners of these sockets, and what the next scan is to remember.
    pub(crate) fn done(self, all: &HashSet<Socket>, whole: bool) -> (HashMap<Socket, usize>, Remembered) {
        let remembered = self.found.iter().filter_map(|(socket, (place, descriptor))| {
            Some((*socket, (self.processes.get(*place)?.id(), *descriptor)))
        });
        let now = (!whole).then(Instant::now);
        let since =
            |socket: &Socket| self.before.orphans.get(socket).copied().filter(|_| !whole).unwrap_or(now);
        let orphans = all.iter().filter(|socket| !self.found.contains_key(socket));
        let orphans = orphans.map(|socket| (*socket, since(socket)));
        let behind = HashMap::new();
        let remembered = Remembered {
            found: remembered.collect(),
            orphans: orphans.collect(),
            behind,
            kernels: self.kernels,
        };
        (self.found.into_iter().map(|(socket, (place, _))| (socket, place)).collect(), remembered)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsRawFd as _;
    use std::sync::Arc;

    use portolan_linux::NamespaceId;

    use super::*;
    use crate::cgroup::classify;
    use crate::container::Namespaces;

    const ME: Member = Member { place: 0, thread: None };

    /// A process, as a scan sees it.
    fn seen(pid: u32) -> Seen {
        let id = NamespaceId::new(1);
        Seen {
            trace: Process::open(pid.cast_signed()).unwrap().trace().unwrap(),
            namespaces: Namespaces { mnt: id, net: id, pid: id, user: id },
            cgroup: Arc::new(classify(b"")),
            thread: None,
        }
    }

    /// Listeners whose descriptors are above this one, in their order, with their numbers and inode numbers.
    fn above(number: u32, count: usize) -> Vec<(TcpListener, u32, Socket)> {
        let (mut found, mut low, mut last) = (Vec::new(), Vec::new(), number);
        while found.len() < count {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let at = u32::try_from(listener.as_raw_fd()).unwrap();
            if at <= last {
                low.push(listener);
                continue;
            }
            last = at;
            let link = std::fs::read_link(format!("/proc/self/fd/{at}")).unwrap();
            let inode = portolan_linux::process::socket_inode(link.to_str().unwrap().as_bytes()).unwrap();
            found.push((listener, at, inode));
        }
        found
    }

    fn holding<const N: usize>(held: [(Socket, (ProcessId, u32)); N]) -> Remembered {
        Remembered { found: HashMap::from(held), ..Remembered::default() }
    }

    /// What is found of `wanted`, and of what is unlikely, by one scan after another.
    fn twice(processes: &[Seen], wanted: &[Socket], unlikely: &[Socket]) -> [HashMap<Socket, usize>; 2] {
        let mut remembered = Remembered::default();
        [(); 2].map(|()| {
            let mut search = Search::new(processes, &remembered);
            search.also(unlikely.iter().copied().collect());
            let members: Vec<Member> =
                (0..processes.len()).map(|place| Member { place, thread: None }).collect();
            search.at_home(
                NamespaceId::new(1),
                &members,
                wanted.iter().copied().collect(),
                &mut Faults::default(),
            );
            let (found, now) = search.done(&HashSet::new(), true);
            remembered = now;
            found
        })
    }

    #[test]
    fn how_far_an_unlikely_socket_is_looked_for_does_not_depend_on_what_is_remembered() {
        let processes = [seen(std::process::id())];
        let sockets = above(UNLIKELY, 2);
        let (far, farther) = (sockets[0].2, sockets[1].2);
        let [fresh, again] = twice(&processes, &[farther], &[far]);
        assert_eq!(fresh, again);
        assert_eq!(again, HashMap::from([(farther, 0)]));
    }

    #[test]
    fn the_first_of_the_members_that_has_it_owns_it() {
        let sockets = above(2, 1);
        let me = std::process::id();
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let processes = [seen(child.id()), seen(me), seen(me)];
        for found in twice(&processes, &[sockets[0].2], &[]) {
            assert_eq!(found, HashMap::from([(sockets[0].2, 1)]));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // One that ended meanwhile costs nothing, and is no fault.
        let remembered = holding([(sockets[0].2, (processes[0].id(), 3))]);
        let mut faults = Faults::default();
        let mut search = Search::new(&processes, &remembered);
        let rest = search.at_home(
            NamespaceId::new(1),
            &[ME, Member { place: 1, thread: None }],
            [sockets[0].2].into(),
            &mut faults,
        );
        assert!(rest.is_empty() && faults.into_list().is_empty());
        assert_eq!(search.done(&HashSet::new(), true).0, HashMap::from([(sockets[0].2, 1)]));
    }

    #[test]
    fn what_is_the_kernels_is_looked_for_once() {
        let processes = [seen(std::process::id())];
        let sockets = above(2, 1);
        let (nobodys, ours) = (1, sockets[0].2);
        let nothing = Remembered::default();
        let mut search = Search::new(&processes, &nothing);
        search.abroad([nobodys].into(), &[nobodys, ours].into(), &mut Faults::default());
        let (_, now) = search.done(&HashSet::new(), true);
        assert_eq!(now.kernels, [nobodys].into());
        let mut search = Search::new(&processes, &now);
        search.abroad([nobodys].into(), &[nobodys].into(), &mut Faults::default());
        assert_eq!(search.left, 0, "nothing was looked at");
        assert_eq!(search.done(&HashSet::new(), true).1.kernels, [nobodys].into());
        let mut search = Search::new(&processes, &now);
        search.abroad([nobodys, ours].into(), &[nobodys, ours].into(), &mut Faults::default());
        let (found, now) = search.done(&HashSet::new(), true);
        assert_eq!((found.get(&ours), now.kernels), (Some(&0), [nobodys].into()));
    }

    #[test]
    fn a_namespace_costs_no_more_than_its_share_and_that_is_told() {
        let processes = [seen(std::process::id())];
        let _sockets = above(2, 3);
        let remembered = Remembered::default();
        let mut search = Search { most: 2, ..Search::new(&processes, &remembered) };
        let mut faults = Faults::default();
        let nobodys = HashSet::from([1]);
        assert_eq!(search.at_home(NamespaceId::new(7), &[ME, ME, ME], nobodys.clone(), &mut faults), nobodys);
        assert_eq!(search.left, 0);
        let faults = faults.into_list();
        assert_eq!((faults.len(), faults[0].first, faults[0].subject), (1, 7, "netns"));
        assert_eq!(faults[0].kind, ErrorKind::Limit(Limit::Entries));
        // The next namespace has its own.
        search.most = AT_HOME;
        search.at_home(NamespaceId::new(8), &[ME], nobodys, &mut Faults::default());
        assert!(search.left > 0);
    }

    #[test]
    fn what_is_remembered_is_not_believed_without_a_look() {
        let processes = [seen(std::process::id())];
        let sockets = above(2, 2);
        let (one, other) = (&sockets[0], &sockets[1]);
        // It was at the descriptor that another socket has now, and is at its own.
        let remembered = holding([(one.2, (processes[0].id(), other.1)), (17, (processes[0].id(), one.1))]);
        let mut search = Search::new(&processes, &remembered);
        let rest = search.at_home(NamespaceId::new(1), &[ME], [one.2, 17].into(), &mut Faults::default());
        assert_eq!(rest, [17].into(), "there is no such socket");
        let (found, now) = search.done(&HashSet::new(), true);
        assert_eq!(found, HashMap::from([(one.2, 0)]));
        assert_eq!(now.found, HashMap::from([(one.2, (processes[0].id(), one.1))]));
    }

    #[test]
    fn abroad_whoever_has_it_is_found() {
        let sockets = above(2, 1);
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let me = seen(std::process::id());
        let processes = [seen(child.id()), me];
        let nothing = Remembered::default();
        let mut search = Search::new(&processes, &nothing);
        search.abroad([sockets[0].2, 17].into(), &HashSet::new(), &mut Faults::default());
        assert_eq!(search.done(&HashSet::new(), true).0, HashMap::from([(sockets[0].2, 1)]));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
