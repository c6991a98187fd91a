//! What starts and ends, told by the kernel: its process connector (`linux/cn_proc.h`, `drivers/connector/cn_proc.c`).
//!
//! The kernel sends a message for every fork, exec and exit of the machine to whoever subscribed. That is a hint
//! where to look, not the truth: messages are dropped when the reader is slow ([`Event::Lost`]), nothing tells of a
//! process that changes its namespaces, and by the time that a message is read its process can be gone. So a reader
//! looks at the process itself, and at everything when something was lost and now and then in any case.
//!
//! # Who is told
//! The numbers are those of the initial pid namespace, so the kernel answers only a process in the initial pid and
//! user namespaces, by a socket of the initial network namespace. To others it refuses the socket's first message
//! (network), or says nothing at all; yet some events can reach them, if another program subscribed. Before Linux 6.6
//! it takes `CAP_NET_ADMIN` as well. That events will come is proved by the kernel's acknowledgement.
//!
//! # Filter and numbers
//! Since Linux 6.6 the kernel sends only the kinds that were asked for. Others than ours would cost time alone, but a
//! lot of it when a container renames its threads to keep us busy. Before, every message is counted by its
//! processor, so that what the kernel had no memory to send is noticed as well; a filter makes gaps of its own.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::socket::{MsgFlags, NetlinkAddr, bind, getsockopt, recvfrom, send, setsockopt, sockopt};

use crate::error::{ErrorKind, Feature, Subject, os};
use crate::namespace::NamespaceId;
use crate::privilege::Capability;
use crate::wait::{Ready, until};
use crate::{Error, Result, sys};

/// What happened to a process. The numbers are those that `/proc` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// A process was made. Threads are not told.
    Fork {
        /// Its parent: who made it, or that one's parent (`CLONE_PARENT`).
        parent: i32,
        /// The new process.
        child: i32,
    },
    /// A process executed a program.
    Exec {
        /// The process.
        pid: i32,
    },
    /// The main thread of a process has ended, as a rule the process with it.
    ///
    /// Other threads may go on without it; when the last of them ends, nothing is told. And one of them may execute a
    /// program: then an [`Exec`](Self::Exec) of the same number follows.
    Exit {
        /// The process.
        pid: i32,
    },
    /// Events before this one are missing. Whatever happened up to now has to be looked up.
    Lost,
}

/// A subscription to the starts and ends of all processes. It ends when this is dropped.
#[derive(Debug)]
pub struct ProcessEvents {
    socket: OwnedFd,
    /// Whether the kernel counts us among its listeners.
    listening: bool,
    /// Counts of messages; `None` when the kernel filters.
    counts: Option<Counts>,
    /// After an overrun: how many messages can still be in the queue from before it.
    overrun: Option<u64>,
    /// How many messages the queue can hold.
    room: u64,
    /// What was read while it waited for the acknowledgement.
    pending: VecDeque<Event>,
    /// The last acknowledgement: its number and the errno.
    answer: Option<(u32, u32)>,
}

/// `CN_IDX_PROC` and `CN_VAL_PROC`, of `linux/connector.h`; the multicast group has the same number.
const PROC: u32 = 1;
const LISTEN: u32 = 1;
const IGNORE: u32 = 2;
/// `PROC_EVENT_*`. Asking for none is asking for all.
const NONE: u32 = 0;
const FORK: u32 = 1;
const EXEC: u32 = 2;
const EXIT: u32 = 0x8000_0000;
/// The kernel answers before `send` returns; this is for one that is changed to take its time.
const PATIENCE: Duration = Duration::from_millis(200);
/// Bytes; the kernel doubles it. Some 20,000 messages find room; the memory is used when they wait.
const BUFFER: usize = 8 << 20;
/// A message costs the queue more than this (`skb->truesize`).
const LEAST_COST: usize = 256;
/// Messages taken by one `read`.
const BATCH: usize = 4096;
/// `PROC_USER_INIT_INO` and `PROC_PID_INIT_INO` of `linux/proc_ns.h`.
const INITIAL_USER: NamespaceId = NamespaceId::new(0xEFFF_FFFD);
const INITIAL_PID: NamespaceId = NamespaceId::new(0xEFFF_FFFC);

impl ProcessEvents {
    /// Subscribes, and proves that events will come. Those after this returned are told.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] with [`Feature::ProcessEvents`] when the kernel was built without
    /// (`CONFIG_PROC_EVENTS`), or the calling thread is not in the initial pid, user and network namespaces;
    /// [`ErrorKind::MissingPrivilege`] without `CAP_NET_ADMIN`, before Linux 6.6.
    pub fn open() -> Result<Self> {
        Self::with_buffer(BUFFER)
    }

    fn with_buffer(bytes: usize) -> Result<Self> {
        let socket = sys::connector_socket().map_err(refused)?;
        // The first may exceed the administrator's limit (`net.core.rmem_max`), but takes a capability.
        if setsockopt(&socket, sockopt::RcvBufForce, &bytes).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &bytes).map_err(|e| refused(os(e)))?;
        }
        let size = getsockopt(&socket, sockopt::RcvBuf).map_err(|e| refused(os(e)))?;
        let room = u64::try_from(size / LEAST_COST).unwrap_or(u64::MAX);
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, PROC)).map_err(|e| refused(os(e)))?;
        let mut events = Self {
            socket,
            listening: false,
            counts: None,
            overrun: None,
            room,
            pending: VecDeque::new(),
            answer: None,
        };
        events.subscribe()?;
        Ok(events)
    }

    fn subscribe(&mut self) -> Result<()> {
        let number = some_number();
        // The long form is of Linux 6.6; before, it is passed over in silence. It does not filter yet, for a filter
        // holds back the acknowledgement as well.
        self.send(&[LISTEN, NONE], number).map_err(refused)?;
        if self.answer_to(number, Instant::now())? {
            self.listening = true;
            return self.send(&[LISTEN, FORK | EXEC | EXIT], number).map_err(refused);
        }
        let number = number.wrapping_add(2);
        self.counts = Some(Counts::default());
        self.send(&[LISTEN], number).map_err(refused)?;
        self.listening = true;
        if self.answer_to(number, Instant::now().checked_add(PATIENCE).unwrap_or_else(Instant::now))? {
            return Ok(());
        }
        Err(silence())
    }

    /// Reads until the request of this number is acknowledged; false when it is not by the deadline.
    fn answer_to(&mut self, number: u32, deadline: Instant) -> Result<bool> {
        loop {
            // What is there already is read to its end even when the deadline has passed: but not for ever.
            for _ in 0..self.room {
                match self.receive()? {
                    Received::Event(event) => self.pending.push_back(event),
                    Received::Other => {}
                    Received::Empty => break,
                }
                if let Some((_, errno)) = self.answer.take_if(|(of, _)| *of == number.wrapping_add(1)) {
                    return match i32::try_from(errno).unwrap_or(libc::EIO) {
                        0 => Ok(true),
                        errno => Err(refused(io::Error::from_raw_os_error(errno))),
                    };
                }
            }
            if !until(&self.socket, Ready::Read, Some(deadline)).map_err(refused)? {
                return Ok(false);
            }
        }
    }

    /// Waits for the next event; `None` when the deadline has passed. Without one it waits for ever.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the socket fails; a lost event is not an error.
    pub fn next(&mut self, deadline: Option<Instant>) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Ok(Some(event));
            }
            match self.receive()? {
                Received::Event(event) => return Ok(Some(event)),
                Received::Empty => {
                    if !until(&self.socket, Ready::Read, deadline).map_err(failed)? {
                        return Ok(None);
                    }
                }
                // Messages that tell us nothing can come without end.
                Received::Other if deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                    return Ok(None);
                }
                Received::Other => {}
            }
        }
    }

    /// Appends the events that are there, without waiting, but not more than some thousand at once; gives whether more
    /// may be there.
    ///
    /// Whoever polls the descriptor reads once before, and until this gives false.
    ///
    /// # Errors
    /// As [`next`](Self::next); what was appended before is not lost.
    pub fn read(&mut self, into: &mut Vec<Event>) -> Result<bool> {
        into.extend(self.pending.drain(..));
        for _ in 0..BATCH {
            match self.receive()? {
                Received::Event(event) => into.push(event),
                Received::Other => {}
                Received::Empty => return Ok(false),
            }
            into.extend(self.pending.drain(..));
        }
        Ok(true)
    }

    /// Whether the kernel sends only what is told here (Linux 6.6).
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        self.counts.is_none()
    }

    /// Takes one message.
    fn receive(&mut self) -> Result<Received> {
        let mut buffer = [0_u8; 512];
        let (length, sender) = match recvfrom::<NetlinkAddr>(self.socket.as_raw_fd(), &mut buffer) {
            Err(nix::Error::EAGAIN) => {
                return Ok(if self.overrun.is_some() { self.lost() } else { Received::Empty });
            }
            Err(nix::Error::EINTR) => return Ok(Received::Other),
            // It is told before what still waits in the queue, and the kernel drops on until that is empty
            // (`netlink_overrun` in `net/netlink/af_netlink.c`). A reader that looked around now would look too early.
            Err(nix::Error::ENOBUFS) => {
                self.overrun = Some(self.room);
                return Ok(Received::Other);
            }
            other => other.map_err(|e| failed(os(e)))?,
        };
        // Not of the kernel: from a process, whose port is not 0.
        let message = match sender {
            Some(sender) if sender.pid() == 0 => Message::parse(buffer.get(..length).unwrap_or(&[])),
            _ => None,
        };
        let gap =
            message.as_ref().is_some_and(|m| self.counts.as_mut().is_some_and(|c| c.gap(m.cpu, m.count)));
        let event = message.and_then(|message| match message.what {
            What::Event(event) => Some(event),
            What::Answer { number, errno } => {
                self.answer = Some((number, errno));
                None
            }
            What::Other => None,
        });
        match &mut self.overrun {
            // All that waited then has been read, so the queue was empty in between.
            Some(0) => {
                self.pending.extend(event);
                return Ok(self.lost());
            }
            Some(left) => *left = left.saturating_sub(1),
            None if gap => {
                self.pending.extend(event);
                return Ok(Received::Event(Event::Lost));
            }
            None => {}
        }
        Ok(event.map_or(Received::Other, Received::Event))
    }

    fn lost(&mut self) -> Received {
        self.overrun = None;
        // What is missing has been told of.
        self.counts.iter_mut().for_each(Counts::forget);
        Received::Event(Event::Lost)
    }

    fn send(&self, words: &[u32], number: u32) -> io::Result<()> {
        send(self.socket.as_raw_fd(), &request(words, number), MsgFlags::empty()).map(drop).map_err(os)
    }
}

impl AsFd for ProcessEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for ProcessEvents {
    /// Before Linux 6.6 the kernel only counts its listeners: one that went without a word would let it go on sending
    /// to nobody.
    fn drop(&mut self) {
        if self.listening {
            let _ = self.send(&[IGNORE], 0);
        }
    }
}

enum Received {
    Event(Event),
    /// Something that tells nothing.
    Other,
    /// Nothing is there.
    Empty,
}

/// The last count of every processor.
#[derive(Debug, Default)]
struct Counts(HashMap<u32, u32>);

impl Counts {
    /// Whether messages are missing before this one.
    fn gap(&mut self, cpu: u32, count: u32) -> bool {
        // Acknowledgements of older kernels come from no processor, and are not counted.
        if cpu == u32::MAX {
            return false;
        }
        self.0.insert(cpu, count).is_some_and(|last| last.wrapping_add(1) != count)
    }

    fn forget(&mut self) {
        self.0.clear();
    }
}

/// `struct nlmsghdr`, `struct cn_msg` and `struct proc_event`, as far as they are of use.
struct Message {
    cpu: u32,
    count: u32,
    what: What,
}

enum What {
    Event(Event),
    Answer { number: u32, errno: u32 },
    Other,
}

impl Message {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let word = |bytes: &[u8], at: usize| -> Option<u32> {
            bytes.get(at..)?.first_chunk::<4>().map(|b| u32::from_ne_bytes(*b))
        };
        let bytes = bytes.get(..usize::try_from(word(bytes, 0)?).ok()?)?;
        let connector = bytes.get(16..)?;
        if (word(connector, 0)?, word(connector, 4)?) != (PROC, PROC) {
            return None;
        }
        let length = usize::from(u16::from_ne_bytes(*connector.get(16..)?.first_chunk()?));
        let event = connector.get(20..)?.get(..length)?;
        let id = |at: usize| word(event, at).and_then(|id| i32::try_from(id).ok());
        // Of a thread that is not its process's main one the two numbers differ.
        let process =
            |thread: usize, group: usize| Some((id(thread)?, id(group)?)).map(|(t, g)| (t == g).then_some(g));
        let what = match word(event, 0)? {
            FORK => process(24, 28)?.zip(id(20)).map(|(child, parent)| Event::Fork { parent, child }),
            EXEC => process(16, 20)?.map(|pid| Event::Exec { pid }),
            EXIT => process(16, 20)?.map(|pid| Event::Exit { pid }),
            _ => None,
        };
        let what = match (what, word(event, 0)?) {
            (Some(event), _) => What::Event(event),
            (None, NONE) => What::Answer { number: word(connector, 12)?, errno: word(event, 16)? },
            (None, _) => What::Other,
        };
        Some(Self { cpu: word(event, 4)?, count: word(connector, 8)?, what })
    }
}

/// A request of one word, or of two with the kinds that are wanted (`struct proc_input`).
fn request(words: &[u32], number: u32) -> Vec<u8> {
    let data: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let length = u16::try_from(data.len()).unwrap_or(0);
    let done = u16::try_from(libc::NLMSG_DONE).unwrap_or(0);
    let parts: [&[u8]; 12] = [
        &u32::from(length).saturating_add(36).to_ne_bytes(),
        &done.to_ne_bytes(),
        &[0; 2],
        &number.to_ne_bytes(),
        &[0; 4],
        &PROC.to_ne_bytes(),
        &PROC.to_ne_bytes(),
        &number.to_ne_bytes(),
        &number.to_ne_bytes(),
        &length.to_ne_bytes(),
        &[0; 2],
        &data,
    ];
    parts.concat()
}

/// Acknowledgements go to all subscribers: a number that another one does not use at the same moment.
fn some_number() -> u32 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    now ^ std::process::id().rotate_left(16)
}

fn failed(source: io::Error) -> Error {
    Error::of_call("read process events", Subject::Socket, source)
}

/// A subscription that the kernel refused with an errno.
fn refused(source: io::Error) -> Error {
    let errno = source.raw_os_error();
    let error = Error::of_call("subscribe to process events", Subject::Own, source);
    match errno {
        Some(libc::EPERM | libc::EACCES) => error.with_kind(reason()),
        // No connector in this kernel, or none in this network namespace.
        Some(libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT | libc::ECONNREFUSED) => {
            error.with_kind(ErrorKind::Unsupported(Feature::ProcessEvents))
        }
        _ => error,
    }
}

/// A subscription that the kernel did not answer. It does so in other namespaces, without its `CONFIG_PROC_EVENTS`, and
/// to the first one to ask without the capability.
fn silence() -> Error {
    Error::new(reason(), "subscribe to process events", Subject::Own)
}

fn reason() -> ErrorKind {
    let at_home = NamespaceId::own_user().is_ok_and(|own| own == INITIAL_USER)
        && std::fs::metadata("/proc/self/ns/pid").is_ok_and(|own| own.ino() == INITIAL_PID.inode());
    if at_home && !Capability::NetAdmin.is_effective() {
        ErrorKind::MissingPrivilege(Capability::NetAdmin)
    } else {
        ErrorKind::Unsupported(Feature::ProcessEvents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portolan_world::need::Need;
    use std::process::Command;

    /// The kernel's names of the protocols of its connector; in the initial network namespace alone.
    const CONNECTOR: Need = Need::File("/proc/net/connector");

    fn soon() -> Instant {
        Instant::now().checked_add(Duration::from_secs(10)).unwrap()
    }

    fn message(what: u32, words: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [76, 3, 0, 0, PROC, PROC, 7, 9, 40, what, 2, 0, 0] {
            bytes.extend_from_slice(&u32::to_ne_bytes(word));
        }
        // The length and the flags of the connector are two bytes each.
        bytes[32..36].copy_from_slice(&[40_u16.to_ne_bytes(), [0; 2]].concat());
        bytes.extend(words.iter().chain(&[0; 6]).take(6).flat_map(|word| word.to_ne_bytes()));
        bytes
    }

    fn event(what: u32, words: &[u32]) -> Option<Event> {
        match Message::parse(&message(what, words))?.what {
            What::Event(event) => Some(event),
            _ => None,
        }
    }

    #[test]
    fn messages_of_the_kernel() {
        let fork = event(FORK, &[11, 10, 20, 20]);
        assert_eq!(fork, Some(Event::Fork { parent: 10, child: 20 }));
        assert_eq!(event(FORK, &[11, 10, 21, 20]), None, "a thread");
        assert_eq!(event(EXEC, &[20, 20]), Some(Event::Exec { pid: 20 }));
        assert_eq!(event(EXIT, &[20, 20, 9, 17]), Some(Event::Exit { pid: 20 }));
        assert_eq!(event(EXIT, &[21, 20]), None, "a thread");
        assert_eq!(event(0x200, &[20, 20]), None, "another kind");
        let Message { cpu, count, what } = Message::parse(&message(NONE, &[1])).unwrap();
        assert_eq!((cpu, count), (2, 7));
        assert!(matches!(what, What::Answer { number: 9, errno: 1 }));
    }

    #[test]
    fn hostile_messages() {
        let good = message(FORK, &[1, 1, 2, 2]);
        for length in 0..good.len() {
            assert!(Message::parse(&good[..length]).is_none());
        }
        for length in [0_u32, 15, 16, 35, 36, 77, u32::MAX] {
            let mut bad = good.clone();
            bad[..4].copy_from_slice(&length.to_ne_bytes());
            assert!(Message::parse(&bad).is_none(), "length {length}");
        }
        for length in [0_u16, 4, 31, 41, u16::MAX] {
            let mut bad = good.clone();
            bad[32..34].copy_from_slice(&length.to_ne_bytes());
            assert!(Message::parse(&bad).is_none(), "inner length {length}");
        }
        let mut bad = good;
        bad[16] ^= 2;
        assert!(Message::parse(&bad).is_none(), "another protocol of the connector");
        // A number that is none is left out.
        assert!(
            Message::parse(&message(FORK, &[1, 1, u32::MAX, u32::MAX]))
                .is_none_or(|m| matches!(m.what, What::Other))
        );
    }

    #[test]
    fn gaps_are_seen_by_processor() {
        let mut counts = Counts::default();
        assert!(![(0, 5), (1, 90), (0, 6), (1, 91), (0, 7)].into_iter().any(|(c, n)| counts.gap(c, n)));
        assert!(counts.gap(0, 9));
        assert!(!counts.gap(0, 10));
        assert!(!counts.gap(u32::MAX, 3));
        assert!(!counts.gap(2, u32::MAX));
        assert!(!counts.gap(2, 0), "the count goes round");
    }

    /// What came of the process, until it ended.
    fn life_of(pid: i32, events: &mut ProcessEvents) -> Vec<Event> {
        let mut life = Vec::new();
        while let Some(event) = events.next(Some(soon())).unwrap() {
            let of = match event {
                Event::Fork { child, .. } => child,
                Event::Exec { pid } | Event::Exit { pid } => pid,
                Event::Lost => pid,
            };
            life.extend((of == pid).then_some(event));
            if event == (Event::Exit { pid }) {
                break;
            }
        }
        life
    }

    fn run() -> i32 {
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id().cast_signed()
    }

    #[test]
    fn a_child_lives_and_dies() {
        portolan_world::require!(Need::Root, CONNECTOR);
        let mut events = ProcessEvents::open().unwrap();
        let parent = std::process::id().cast_signed();
        for _ in 0..3 {
            let pid = run();
            let wanted = [Event::Fork { parent, child: pid }, Event::Exec { pid }, Event::Exit { pid }];
            assert_eq!(life_of(pid, &mut events), wanted);
        }
        // The same, polled and read at once.
        let pid = run();
        assert!(until(&events, Ready::Read, Some(soon())).unwrap());
        let mut all = Vec::new();
        while events.read(&mut all).unwrap() {}
        assert!(all.contains(&Event::Exit { pid }) && !all.contains(&Event::Lost));
        let soon = Instant::now().checked_add(Duration::from_millis(1)).unwrap();
        while events.next(Some(soon)).unwrap().is_some() {}
    }

    #[test]
    fn the_older_form_works_as_well() {
        portolan_world::require!(Need::Root, CONNECTOR);
        let mut events = ProcessEvents::open().unwrap();
        // As a kernel before 6.6 does it: everything comes, and is counted.
        let number = some_number();
        events.send(&[LISTEN], number).unwrap();
        assert!(events.answer_to(number, soon()).unwrap());
        events.counts = Some(Counts::default());
        for _ in 0..20 {
            let pid = run();
            assert_eq!(life_of(pid, &mut events).len(), 3);
        }
    }

    #[test]
    fn threads_are_not_told() {
        portolan_world::require!(Need::Root, CONNECTOR);
        let mut events = ProcessEvents::open().unwrap();
        let thread = std::thread::spawn(|| nix::unistd::gettid().as_raw()).join().unwrap();
        let pid = run();
        while let Some(event) = events.next(Some(soon())).unwrap() {
            assert!(!matches!(event, Event::Fork { child, .. } if child == thread));
            assert_ne!(event, Event::Exit { pid: thread });
            if event == (Event::Exit { pid }) {
                break;
            }
        }
    }

    #[test]
    fn a_slow_reader_is_told_after_it_caught_up() {
        portolan_world::require!(Need::Root, CONNECTOR);
        let mut events = ProcessEvents::with_buffer(1).unwrap();
        let pids: Vec<i32> = (0..20).map(|_| run()).collect();
        let mut all = Vec::new();
        while events.read(&mut all).unwrap() {}
        let exits = pids.iter().filter(|pid| all.contains(&Event::Exit { pid: **pid })).count();
        assert!(exits < pids.len(), "nothing was lost");
        // Of what is told before, nothing is newer than the loss.
        let lost = all.iter().rposition(|event| *event == Event::Lost).unwrap();
        assert!(all[lost..].iter().all(|event| !matches!(event, Event::Exit { pid } if pids.contains(pid))));
        // And it goes on, with room enough for what other tests start.
        setsockopt(&events.socket, sockopt::RcvBuf, &BUFFER).unwrap();
        while events.read(&mut all).unwrap() {}
        assert_eq!(life_of(run(), &mut events).len(), 3);
    }

    #[test]
    fn elsewhere_it_is_refused() {
        const INSIDE: &str = "PORTOLAN_TEST_ELSEWHERE";
        let wanted = ErrorKind::Unsupported(Feature::ProcessEvents);
        if std::env::var_os(INSIDE).is_some() {
            assert_eq!(ProcessEvents::open().unwrap_err().kind(), wanted);
            return;
        }
        portolan_world::require!(Need::Root, Need::UserNamespaces, Need::Program("unshare"), CONNECTOR);
        for namespaces in ["--net", "--user", "--fork --pid", "--user --net --map-root-user"] {
            let output = Command::new("unshare")
                .args(namespaces.split(' '))
                .arg(std::env::current_exe().unwrap())
                .args(["--exact", "proc_events::tests::elsewhere_it_is_refused", "--test-threads=1"])
                .env(INSIDE, "1")
                .output()
                .unwrap();
            let told = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && told.contains("1 passed"), "{namespaces}: {told}");
        }
    }
}
