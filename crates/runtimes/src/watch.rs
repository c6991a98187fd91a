//! Told by the runtimes what happens.
//!
//! Each socket has a thread that first subscribes, then lists, so that nothing falls between; then it looks again at each
//! container that an event names. A connection that ends is made anew, after a wait that grows, and everything is listed
//! again: a daemon that died forgets its events.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use portolan_linux::{NamespaceId, NamespaceKind, Process};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::cache::{self, Cache};
use crate::client::Client;
use crate::fault::{Fault, Trouble};
use crate::round::{AT_ONCE, about};
use crate::runtimes::Shared;
use crate::sockets::{self, Place, take};
use crate::speaker::is_id;
use crate::transport::{Line, of_hyper};

/// New sockets are looked for so often.
const LOOK: Duration = Duration::from_secs(5);
/// A runtime that says nothing for so long is asked whether it is there: silence and a hung daemon look alike.
const SILENCE: Duration = Duration::from_secs(10);
/// So long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two connections: from, and up to.
const WAITS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// Events of one container within this time are looked at together.
const GATHER: Duration = Duration::from_millis(50);
/// Whoever is to stop notices within this time.
const NAP: Duration = Duration::from_millis(50);
/// One event.
const LINE: usize = 256 * 1024;
/// What happened and nobody has taken yet.
const WAITING: usize = 1024;

/// What a runtime told, or how it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Happened {
    /// A socket's events are listened to, and its containers are known.
    Connected(PathBuf),
    /// A container came or changed: what is kept of it is new.
    Changed(String),
    /// A container ended.
    Gone(String),
    /// A socket no longer answers, or something that it said could not be used. It is tried again.
    Lost(Fault),
}

/// Listens to the runtimes' events until it is dropped.
#[derive(Debug)]
pub struct Watching {
    happened: Receiver<Happened>,
    stop: Arc<AtomicBool>,
}

impl Watching {
    pub(crate) fn new(shared: &Arc<Shared>) -> std::io::Result<Self> {
        let (sender, happened) = mpsc::sync_channel(WAITING);
        let stop = Arc::new(AtomicBool::new(false));
        let teller = Teller { shared: Arc::downgrade(shared), stop: Arc::clone(&stop), sender };
        thread::Builder::new().name("portolan-runtimes".to_owned()).spawn(move || teller.look())?;
        Ok(Self { happened, stop })
    }

    /// The next thing that happened; none when nothing does in this time. What nobody takes is forgotten after a thousand,
    /// but what is kept for [`ask`](crate::Runtimes::ask) stays current.
    #[must_use]
    pub fn next(&self, timeout: Duration) -> Option<Happened> {
        self.happened.recv_timeout(timeout).ok()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The identity of a socket that was found, and the thread that listens to it.
type Listened = (Option<(u64, u64)>, thread::JoinHandle<()>);

#[derive(Debug, Clone)]
struct Teller {
    shared: Weak<Shared>,
    stop: Arc<AtomicBool>,
    sender: SyncSender<Happened>,
}

impl Teller {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.shared.strong_count() == 0
    }

    fn tell(&self, what: Happened) {
        let _ = self.sender.try_send(what);
    }

    /// Looks for sockets, and starts a thread for each.
    fn look(&self) {
        let mut listened: HashMap<PathBuf, Listened> = HashMap::new();
        while !self.is_over() {
            listened.retain(|_, (_, thread)| !thread.is_finished());
            let places = self.shared.upgrade().map(|shared| shared.places()).unwrap_or_default();
            for place in places {
                if listened.len() >= sockets::MOST || listened.contains_key(&place.path) {
                    continue;
                }
                let mut identity = None;
                // One that was named is waited for, and whatever it lies on.
                if !place.given {
                    let Ok(Some(socket)) = take(&place) else { continue };
                    identity = Some(socket.identity);
                    if listened.values().any(|(other, _)| *other == identity) {
                        continue;
                    }
                }
                let (teller, path) = (self.clone(), place.path.clone());
                let thread = thread::Builder::new().name("portolan-events".to_owned());
                if let Ok(thread) = thread.spawn(move || teller.listen(&place)) {
                    listened.insert(path, (identity, thread));
                }
            }
            self.rest(LOOK);
        }
    }

    fn rest(&self, time: Duration) {
        let until = Instant::now().checked_add(time);
        while !self.is_over() && until.is_some_and(|until| Instant::now() < until) {
            thread::sleep(NAP.min(time));
        }
    }

    /// Listens to one socket, again and again; one that was found ends with its file.
    fn listen(&self, place: &Place) {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        let (mut wait, mut last) = (WAITS.0, None);
        while let Some(shared) = self.shared.upgrade().filter(|_| !self.is_over()) {
            let start = Instant::now();
            let session = Session { teller: self, cache: Arc::clone(&shared.cache), place };
            drop(shared);
            let ended = runtime.block_on(session.run(&mut last));
            session.cache.set_live(&place.path, false);
            match ended {
                Ok(()) => return,
                Err(trouble) => self.tell(Happened::Lost(Fault::of_socket(&place.path, trouble))),
            }
            wait = if start.elapsed() > WAITS.1 { WAITS.0 } else { wait.saturating_mul(2).min(WAITS.1) };
            self.rest(wait);
        }
    }
}

/// One connection to a socket's events, from the first list to its end.
struct Session<'a> {
    teller: &'a Teller,
    cache: Arc<Cache>,
    place: &'a Place,
}

/// When a container is to be looked at, by its id.
type Due = BTreeMap<String, Instant>;

impl Session<'_> {
    /// Goes on until the connection ends, which is an error; or nobody listens any more, or the file is gone.
    async fn run(&self, last: &mut Option<(i64, i64)>) -> Result<(), Trouble> {
        let Some(socket) = take(self.place)? else { return Ok(()) };
        let own = Process::own().and_then(|own| own.namespace(NamespaceKind::Pid));
        let own: NamespaceId = own.map_err(|e| Trouble::Io { kind: e.kind(), text: e.to_string() })?;
        let path = &self.place.path;
        let line = Arc::new(Line::new(path.clone(), socket, self.place.user, own));
        let client = Arc::new(patiently(Client::meet(line)).await?);
        let mut body = patiently(client.events(*last)).await?.into_body();
        let ids = patiently(client.running()).await?;
        let ids: HashSet<&str> = ids.iter().map(String::as_str).take(cache::MOST).collect();
        for gone in self.cache.keep_of(path, &ids) {
            self.teller.tell(Happened::Gone(gone));
        }
        let now = Instant::now();
        let mut due: Due = ids.iter().map(|id| ((*id).to_owned(), now)).collect();
        for id in due.keys() {
            self.cache.doubt(path, id);
        }
        while due.values().any(|when| *when <= now) {
            self.look_again(&client, &mut due).await;
        }
        self.cache.set_live(path, true);
        self.teller.tell(Happened::Connected(path.clone()));
        self.follow(&client, &mut body, due, last).await
    }

    async fn follow(
        &self,
        client: &Arc<Client>,
        body: &mut Incoming,
        mut due: Due,
        last: &mut Option<(i64, i64)>,
    ) -> Result<(), Trouble> {
        let mut events = Events::default();
        let mut heard = Instant::now();
        while !self.teller.is_over() {
            // Whoever stops us is heard once a nap.
            match tokio::time::timeout(NAP, body.frame()).await {
                Ok(None) => return Err(Trouble::Nonsense("its events ended".to_owned())),
                Ok(Some(Err(error))) => return Err(of_hyper(&error)),
                Ok(Some(Ok(frame))) => {
                    heard = Instant::now();
                    for event in events.feed(frame.data_ref().map_or(&[], |data| data.as_ref()))? {
                        self.note(&event, &mut due, last)?;
                    }
                }
                Err(_) => {}
            }
            if due.values().any(|when| *when <= Instant::now()) {
                self.look_again(client, &mut due).await;
            }
            if heard.elapsed() > SILENCE {
                client.line.refill();
                patiently(client.ping()).await?;
                heard = Instant::now();
            }
        }
        Ok(())
    }

    /// Notes whom an event concerns. One that cannot be read concerns nobody.
    fn note(&self, event: &[u8], due: &mut Due, last: &mut Option<(i64, i64)>) -> Result<(), Trouble> {
        let Some(event) = Event::read(event) else { return Ok(()) };
        if event.when > *last {
            *last = event.when;
        }
        if !event.matters {
            return Ok(());
        }
        self.cache.doubt(&self.place.path, &event.id);
        if due.len() >= cache::MOST {
            // More than is kept: a new list says who is left.
            return Err(Trouble::TooMany(cache::MOST));
        }
        let now = Instant::now();
        due.entry(event.id).or_insert(now.checked_add(GATHER).unwrap_or(now));
        Ok(())
    }

    /// Looks at the containers whose time has come, eight at most.
    async fn look_again(&self, client: &Arc<Client>, due: &mut Due) {
        let now = Instant::now();
        let ids: Vec<String> =
            due.iter().filter(|(_, when)| **when <= now).map(|(id, _)| id.clone()).take(AT_ONCE).collect();
        client.line.refill();
        let mut asked = JoinSet::new();
        for id in ids {
            due.remove(&id);
            let (client, cache) = (Arc::clone(client), Arc::clone(&self.cache));
            asked.spawn(async move {
                let answer = patiently(about(&client, &cache, &id)).await;
                (id, answer)
            });
        }
        while let Some(done) = asked.join_next().await {
            let Ok((id, answer)) = done else { continue };
            let path = &self.place.path;
            match answer {
                Ok(Some((entry, missing))) if entry.pid != 0 => {
                    self.cache.put(path, *entry);
                    for trouble in missing {
                        self.lost(&id, trouble);
                    }
                    self.teller.tell(Happened::Changed(id));
                }
                Ok(_) => {
                    self.cache.remove(path, &id);
                    self.teller.tell(Happened::Gone(id));
                }
                Err(trouble) => {
                    self.lost(&id, trouble);
                    let now = Instant::now();
                    due.insert(id, now.checked_add(SILENCE).unwrap_or(now));
                }
            }
        }
    }

    fn lost(&self, id: &str, trouble: Trouble) {
        let fault = Fault::of_socket(&self.place.path, trouble);
        self.teller.tell(Happened::Lost(Fault { container: Some(id.to_owned()), ..fault }));
    }
}

async fn patiently<T>(asked: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or(Err(Trouble::Deadline))
}

/// The lines of a stream of events.
#[derive(Debug, Default)]
struct Events(Vec<u8>);

impl Events {
    /// Takes bytes as they come; gives the lines that ended.
    fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Trouble> {
        let mut ended = Vec::new();
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            if self.0.len().saturating_add(part.len()) > LINE {
                return Err(Trouble::TooMuch(u64::try_from(LINE).unwrap_or(u64::MAX)));
            }
            self.0.extend_from_slice(part);
            if part.ends_with(b"\n") {
                ended.push(std::mem::take(&mut self.0));
            }
        }
        Ok(ended)
    }
}

/// What is read of an event.
#[derive(Debug, PartialEq, Eq)]
struct Event {
    id: String,
    /// Whether anything about the container can be other than before.
    matters: bool,
    /// Seconds since 1970, and nanoseconds.
    when: Option<(i64, i64)>,
}

impl Event {
    fn read(line: &[u8]) -> Option<Self> {
        let json: Value = serde_json::from_slice(line).ok()?;
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let actor = json.get("Actor").and_then(|actor| actor.get("ID"));
        let id = text(actor.or_else(|| json.get("id"))).filter(|id| is_id(id))?;
        let action = text(json.get("Action").or_else(|| json.get("status")))?;
        // What is done in a container or with its files changes nothing of what is kept.
        let idle = [
            "exec_",
            "top",
            "attach",
            "detach",
            "archive-path",
            "extract-to-dir",
            "copy",
            "export",
            "commit",
            "resize",
        ];
        let matters = !idle.iter().any(|idle| action.starts_with(idle));
        let when =
            json.get("timeNano").and_then(Value::as_i64).filter(|nanos| *nanos > 0).and_then(|nanos| {
                Some((nanos.checked_div(1_000_000_000)?, nanos.checked_rem(1_000_000_000)?))
            });
        Some(Self { id, matters, when })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_lines_however_they_come() {
        let mut events = Events::default();
        assert!(events.feed(b"{\"a\":").unwrap().is_empty());
        assert_eq!(events.feed(b"1}\n\n{}").unwrap(), [b"{\"a\":1}\n".to_vec(), b"\n".to_vec()]);
        assert_eq!(events.feed(b"\n").unwrap(), [b"{}\n".to_vec()]);
        // One that never ends.
        let piece = vec![b'x'; LINE / 4];
        assert!((0..5).any(|_| events.feed(&piece).is_err()));
    }

    #[test]
    fn what_an_event_says() {
        let id = "0a".repeat(32);
        let read = |text: String| Event::read(text.as_bytes());
        let dockers = format!(
            r#"{{"Type":"container","Action":"die","Actor":{{"ID":"{id}"}},"timeNano":1700000000000000005}}"#
        );
        let when = Some((1_700_000_000, 5));
        assert_eq!(read(dockers), Some(Event { id: id.clone(), matters: true, when }));
        let old = format!(r#"{{"status":"exec_start: ls","id":"{id}"}}"#);
        assert_eq!(read(old), Some(Event { id, matters: false, when: None }));
        for bad in ["", "{", "[]", r#"{"Action":"die","Actor":{"ID":"../.."}}"#, "\u{0}"] {
            assert_eq!(read(bad.to_owned()), None, "{bad}");
        }
    }
}
