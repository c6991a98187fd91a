//! Asks every network namespace for its listeners, one after another, on a thread made for that.

use std::collections::HashMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use portolan_linux::netns::{self, Visitor};
use portolan_linux::process::SocketCounts;
use portolan_linux::sock_diag::{Dumper, Listening, Local, Wanted};
use portolan_linux::{Error, ErrorKind, NamespaceId, NamespaceKind, Process, Result};

use crate::fault::Faults;
use crate::lookup::Lookup;
use crate::places::{Member, Place, Places};
use crate::scanner::snapshot::Which;
use crate::walk::Seen;
use crate::{held, text};

/// What the namespaces said.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// The listeners, by their namespace, in the order of the namespaces.
    pub(crate) listening: Vec<(NamespaceId, Vec<Listening>)>,
    /// Host names, by the place of the process that was asked for; none for those that share ours.
    pub(crate) hostnames: HashMap<usize, Option<Vec<u8>>>,
    /// Namespaces that did not answer whole.
    pub(crate) silent: Vec<NamespaceId>,
}

/// One who asks, with what it takes.
pub(crate) struct Asker<'a> {
    pub(crate) processes: &'a [Seen],
    pub(crate) timeout: Duration,
    /// What the namespaces said before.
    pub(crate) before: &'a HashMap<NamespaceId, Vec<Listening>>,
}

/// How a namespace answered.
struct Told {
    /// Whether all is known that it has to say.
    whole: bool,
    troubles: Vec<(&'static str, ErrorKind)>,
}

/// Why a namespace did not answer, by what was asked.
type Trouble = (NamespaceId, &'static str, ErrorKind);

impl Asker<'_> {
    /// Asks some namespaces; the host names of the processes at `names` are learnt on the way.
    pub(crate) fn ask(
        &self,
        places: &Places,
        which: Which<'_>,
        names: &[usize],
        faults: &mut Faults,
    ) -> Answers {
        let work = |visitor: &mut Visitor| {
            let (mut answers, mut troubles) = (Answers::default(), Vec::new());
            let mut lookup = Lookup::new();
            let mut nameless: HashMap<NamespaceId, usize> = HashMap::new();
            let mut later = Vec::new();
            for place in names {
                match self.processes.get(*place).map(|p| p.namespaces.net) {
                    Some(net) if which.has(net) && !nameless.contains_key(&net) => {
                        _ = nameless.insert(net, *place);
                    }
                    _ => later.push(*place),
                }
            }
            for (id, place) in places.iter().filter(|(id, _)| which.has(*id)) {
                let named = nameless.get(&id).copied();
                let mut found = Vec::new();
                let told =
                    self.one(visitor, &mut lookup, (id, place), named, &mut found, &mut answers.hostnames);
                if !told.whole {
                    answers.silent.push(id);
                }
                troubles.extend(told.troubles.into_iter().map(|(what, kind)| (id, what, kind)));
                answers.listening.push((id, found));
            }
            for place in later {
                let name = self.hold(place).and_then(|p| visitor.hostname(&p)).ok().flatten();
                answers.hostnames.insert(place, name);
            }
            (answers, troubles)
        };
        let (answers, troubles): (Answers, Vec<Trouble>) = match netns::visit(work) {
            Ok(done) => done,
            Err(error) => {
                let silent: Vec<_> = places.iter().map(|(id, _)| id).filter(|id| which.has(*id)).collect();
                let first = silent.first().copied().unwrap_or(NamespaceId::new(0));
                (Answers { silent, ..Answers::default() }, vec![(first, "visit", error.kind())])
            }
        };
        for (id, what, kind) in troubles {
            faults.of_netns(what, id.inode(), kind);
        }
        answers
    }

    /// Asks a namespace again, for listeners of Multipath TCP. A kernel without it has none.
    pub(crate) fn mptcp(&self, places: &Places, id: NamespaceId) -> Vec<Listening> {
        let Some(place) = places.get(id) else { return Vec::new() };
        let work = |visitor: &mut Visitor| {
            let mut found = Vec::new();
            let (socket, ..) = self.enter(visitor, (id, place), None)?;
            Dumper::new().ask(socket.as_fd(), Wanted::Mptcp, self.deadline(), &mut found)?;
            Ok::<_, Error>(found)
        };
        netns::visit(work).ok().and_then(Result::ok).unwrap_or_default()
    }

    fn deadline(&self) -> Instant {
        let now = Instant::now();
        now.checked_add(self.timeout).unwrap_or(now)
    }

    fn hold(&self, place: usize) -> Result<Process> {
        match self.processes.get(place) {
            Some(seen) => seen.trace.follow(),
            None => Err(Error::gone(0)),
        }
    }

    /// Asks one namespace. What it said before it failed is kept.
    fn one(
        &self,
        visitor: &mut Visitor,
        lookup: &mut Lookup,
        (id, place): (NamespaceId, &Place),
        named: Option<usize>,
        into: &mut Vec<Listening>,
        hostnames: &mut HashMap<usize, Option<Vec<u8>>>,
    ) -> Told {
        let deadline = self.deadline();
        let (socket, name, counts) = match self.enter(visitor, (id, place), named) {
            Ok(entered) => entered,
            Err(error) => {
                let whole = self.by_text((id, place), deadline, into).is_some();
                let what = if whole { "enter, where the text of /proc told instead," } else { "enter" };
                return Told { whole, troubles: vec![(what, error.kind())] };
            }
        };
        if let Some(named) = named {
            hostnames.insert(named, name);
        }
        let mut told = Told { whole: true, troubles: Vec::new() };
        for (wanted, operation) in [
            (Wanted::Tcp, "list the TCP listeners"),
            (Wanted::Udp4, "list the UDP sockets"),
            (Wanted::Udp6, "list the UDP sockets"),
            (Wanted::Unix, "list the Unix listeners"),
        ] {
            if !counts.is_none_or(|counts| worth_asking(wanted, &counts)) {
                continue;
            }
            if wanted == Wanted::Tcp
                && let Some(counts) = counts
                && let Some(all) = lookup.without_dump(&socket, self.before.get(&id), counts, deadline)
            {
                into.extend(all);
                continue;
            }
            match lookup.dumper.ask(socket.as_fd(), wanted, deadline, into) {
                Ok(()) if wanted == Wanted::Tcp => lookup.learn(into),
                Ok(()) => {}
                // A kernel without this dump: the text has all of them.
                Err(error) if matches!(error.kind(), ErrorKind::Unsupported(_)) => {
                    told.troubles.push((operation, error.kind()));
                    if self.by_text((id, place), deadline, into).is_some() {
                        break;
                    }
                    told.whole = false;
                }
                Err(error) => {
                    told.troubles.push((operation, error.kind()));
                    told.whole = false;
                }
            }
        }
        // A socket without a port waits for nobody.
        into.retain(|l| !matches!(l.local, Local::Inet(_, 0)));
        told
    }

    /// What the text files of `/proc` tell of a namespace, instead of what is in `into`; `None` when they cannot be
    /// had either.
    fn by_text(
        &self,
        (id, place): (NamespaceId, &Place),
        deadline: Instant,
        into: &mut Vec<Listening>,
    ) -> Option<()> {
        let mains = place.members.iter().filter(|member| member.thread.is_none());
        let text = |member: &Member| {
            let process = self.hold(member.place).ok()?;
            let found = text::listeners(&process, deadline).ok()?;
            // It may have gone to another namespace, which is why it could not be entered by it.
            (process.namespace(NamespaceKind::Net).ok()? == id).then_some(found)
        };
        *into = mains.filter_map(text).next()?;
        Some(())
    }

    /// Enters by the first of its members that is still there, or the other way that is known.
    fn enter(
        &self,
        visitor: &mut Visitor,
        (id, place): (NamespaceId, &Place),
        named: Option<usize>,
    ) -> Result<(OwnedFd, Option<Vec<u8>>, Option<SocketCounts>)> {
        let mut last = None;
        let mains = place.members.iter().filter(|member| member.thread.is_none()).map(|member| member.place);
        for member in named.into_iter().chain(mains) {
            let entered = self.hold(member).and_then(|process| {
                let counts = process.socket_counts().ok().flatten();
                if named == Some(member) {
                    let (socket, name) = visitor.sock_diag_and_hostname(&process, id)?;
                    return Ok((socket, name.ok().flatten(), counts));
                }
                Ok((visitor.sock_diag(&process, id)?, None, counts))
            });
            match entered {
                Ok(entered) => return Ok(entered),
                Err(error) => {
                    let final_word =
                        !matches!(error.kind(), ErrorKind::TargetGone | ErrorKind::TargetChanged);
                    last = Some(error);
                    if final_word {
                        break;
                    }
                }
            }
        }
        for way in &place.ways {
            match held::enter(way, id, visitor) {
                Ok(socket) => return Ok((socket, None, None)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::gone(0)))
    }
}

/// Whether there can be any, by the number of sockets.
fn worth_asking(wanted: Wanted, counts: &SocketCounts) -> bool {
    match wanted {
        Wanted::Tcp => counts.tcp4 > 0 || counts.tcp6 > 0,
        Wanted::Udp4 => counts.udp4 > 0,
        Wanted::Udp6 => counts.udp6 > 0,
        // Not what the others leave of all: sockets of the kernel count as UDP (tunnels) or TCP, and not among all.
        Wanted::Unix => counts.all > 0,
        _ => true,
    }
}
