//! The runtimes' sockets, asked all at once.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portolan_scan::Inventory;

use crate::answer::Answer;
use crate::cache::{Cache, Entry};
use crate::fault::{Fault, Faults, Trouble};
use crate::metadata::Metadata;
use crate::round::{Round, Said};
use crate::sockets::{self, Place};
use crate::speaker::{Target, targets};
use crate::watch::Watching;

/// The runtimes of a host that have an API. Make one and keep it: it remembers what was said.
///
/// Sockets are looked for whenever they are asked: `$DOCKER_HOST` where it is a `unix://` path, Docker's and Podman's below
/// `/run`, below `$XDG_RUNTIME_DIR` and below every user's directory in `/run/user`.
///
/// # Limits
/// A socket may send 64 MiB in one round (16 where it is a user's), and 4 MiB or 20,000 values about one container; 64
/// sockets are asked.
#[derive(Debug, Clone, Default)]
pub struct Runtimes(Arc<Shared>);

#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The only ones to ask; none for those that are found.
    sockets: Option<Vec<PathBuf>>,
    pub(crate) cache: Arc<Cache>,
    /// How many threads of each socket have not come back.
    busy: Mutex<HashMap<PathBuf, usize>>,
}

impl Runtimes {
    /// Those whose sockets are where they usually are.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Those that listen on these sockets, and no others. Links are followed, and whoever serves a socket is believed as far
    /// as that user may speak.
    #[must_use]
    pub fn with_sockets(sockets: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        let sockets = Some(sockets.into_iter().map(Into::into).collect());
        Self(Arc::new(Shared { sockets, ..Shared::default() }))
    }

    /// Asks about the containers of a chart; what has been answered when the deadline passes is the answer.
    ///
    /// It needs no async runtime, and may be called on a thread of one. Each socket has a thread; one that still hangs
    /// after the deadline is left behind, and a socket on which eight hang is not asked again before one comes back.
    #[must_use]
    pub fn ask(&self, chart: &Inventory, deadline: Duration) -> Answer {
        let until = Instant::now().checked_add(deadline).unwrap_or_else(Instant::now);
        self.0.ask(&Question { targets: targets(chart), own_pids: chart.host.pid, until })
    }

    /// As [`ask`](Self::ask), for a task. Any async runtime will do.
    ///
    /// The question goes on until its deadline when the future is dropped.
    pub async fn ask_async(&self, chart: &Inventory, deadline: Duration) -> Answer {
        let until = Instant::now().checked_add(deadline).unwrap_or_else(Instant::now);
        let shared = Arc::clone(&self.0);
        let (sender, answer) = tokio::sync::oneshot::channel();
        // Which containers are a user's is read from /proc, which does not wait.
        let question = Question { targets: targets(chart), own_pids: chart.host.pid, until };
        let thread = std::thread::Builder::new().name("portolan-ask".to_owned());
        let started = thread.spawn(move || {
            let _ = sender.send(shared.ask(&question));
        });
        if let Err(error) = started {
            return alone(Trouble::of_io(&error));
        }
        answer.await.unwrap_or_else(|_| alone(Trouble::Deadline))
    }

    /// Listens to the runtimes' events from now on, so that [`ask`](Self::ask) answers at once what has not changed. It ends
    /// when what is given is dropped.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn watch(&self) -> std::io::Result<Watching> {
        Watching::new(&self.0)
    }
}

#[derive(Debug)]
struct Question {
    targets: Arc<[Target]>,
    own_pids: portolan_linux::NamespaceId,
    until: Instant,
}

fn alone(trouble: Trouble) -> Answer {
    Answer { containers: HashMap::new(), faults: vec![Fault::of_socket(&PathBuf::new(), trouble)] }
}

impl Shared {
    /// The places to ask: those that were named, whether anything is there or not; else those where something is.
    pub(crate) fn places(&self) -> Vec<Place> {
        match &self.sockets {
            Some(given) => given.iter().cloned().map(Place::given).collect(),
            None => {
                let mut found = sockets::found();
                found.retain(|place| place.given || !matches!(sockets::take(place), Ok(None)));
                found
            }
        }
    }

    fn busy(&self) -> MutexGuard<'_, HashMap<PathBuf, usize>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one more thread may ask a socket.
    fn begin(&self, path: &Path) -> bool {
        let mut busy = self.busy();
        let threads = busy.entry(path.to_owned()).or_default();
        let may = *threads < AT_ONCE;
        *threads = threads.saturating_add(usize::from(may));
        may
    }

    fn end(&self, path: &Path) {
        let mut busy = self.busy();
        let left = busy.get(path).map_or(0, |threads| threads.saturating_sub(1));
        if left == 0 {
            busy.remove(path);
        } else {
            busy.insert(path.to_owned(), left);
        }
    }

    fn ask(self: &Arc<Self>, question: &Question) -> Answer {
        if question.targets.is_empty() {
            return Answer::default();
        }
        let mut faults = Faults::default();
        let mut places = self.places();
        // Users whose containers are not on the chart are not asked, nor counted.
        let may = |user| question.targets.iter().any(|target| target.may_be_spoken_of_by(user));
        places.retain(|place| place.user.is_none_or(may));
        if let Some(first) = places.get(sockets::MOST).map(|place| place.path.clone()) {
            faults.add(Fault::of_socket(&first, Trouble::TooMany(sockets::MOST)));
            places.truncate(sockets::MOST);
        }
        let round = Round {
            targets: Arc::clone(&question.targets),
            cache: Arc::clone(&self.cache),
            own_pids: question.own_pids,
            until: question.until,
            met: Arc::default(),
        };
        let (sender, said) = mpsc::channel();
        let mut waited: HashSet<PathBuf> = HashSet::new();
        for place in places {
            let path = place.path.clone();
            if !self.begin(&path) {
                faults.add(Fault::of_socket(&path, Trouble::Hanging));
                continue;
            }
            let (shared, round, sender) = (Arc::clone(self), round.clone(), sender.clone());
            let thread = std::thread::Builder::new().name("portolan-runtime".to_owned());
            let started = thread.spawn(move || {
                // Also when it panics.
                let _free = Free { shared: &shared, path: &place.path, said: &sender };
                round.run(&place, &sender);
            });
            match started {
                Ok(_) => drop(waited.insert(path)),
                Err(error) => {
                    self.end(&path);
                    faults.add(Fault::of_socket(&path, Trouble::of_io(&error)));
                }
            }
        }
        drop(sender);
        let mut entries: HashMap<String, Entry> = HashMap::new();
        // A thread keeps the deadline itself; this is for one that the kernel or a long answer holds up.
        let until = question.until.checked_add(GRACE).unwrap_or(question.until);
        while !waited.is_empty() {
            match said.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Said::Of(entry)) => prefer(&mut entries, *entry),
                Ok(Said::Not(fault)) => faults.add(fault),
                Ok(Said::Done(path)) => drop(waited.remove(&path)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        for path in &waited {
            faults.add(Fault::of_socket(path, Trouble::Deadline));
        }
        let ids: HashSet<&str> = question.targets.iter().map(|target| target.id.as_str()).collect();
        self.cache.keep(&ids);
        let containers = entries.into_iter().map(|(id, entry)| (id, entry.metadata)).collect();
        let mut answer = Answer { containers, faults: faults.into_list() };
        self.recall(question, &mut answer);
        answer
    }

    /// Adds what was said before of the same first process, where nobody answered this time though somebody should have.
    fn recall(&self, question: &Question, answer: &mut Answer) {
        let silent: HashSet<&PathBuf> = answer.faults.iter().map(|fault| &fault.socket).collect();
        let mut recalled: Vec<Metadata> = Vec::new();
        for target in question.targets.iter().filter(|target| !answer.containers.contains_key(&target.id)) {
            let before = silent.iter().find_map(|socket| self.cache.get(socket, &target.id));
            let Some((entry, _)) = before else { continue };
            if target.may_be_spoken_of_by(entry.speaker.user) && target.is_still(entry.pid, entry.speaker) {
                recalled.push(Metadata { current: false, ..entry.metadata });
            }
        }
        answer.containers.extend(recalled.into_iter().map(|metadata| (metadata.id.clone(), metadata)));
    }
}

/// So many callers can ask one socket at a time, and so many threads can hang on it.
const AT_ONCE: usize = 8;
/// So long after the deadline a thread may still say what it has.
const GRACE: Duration = Duration::from_millis(100);

/// Of two that speak of one container, root counts.
fn prefer(entries: &mut HashMap<String, Entry>, entry: Entry) {
    match entries.get(&entry.metadata.id) {
        Some(known) if known.speaker.user == 0 || entry.speaker.user != 0 => {}
        _ => drop(entries.insert(entry.metadata.id.clone(), entry)),
    }
}

/// Makes a socket free to be asked again, and says so.
struct Free<'a> {
    shared: &'a Shared,
    path: &'a PathBuf,
    said: &'a mpsc::Sender<Said>,
}

impl Drop for Free<'_> {
    fn drop(&mut self) {
        self.shared.end(self.path);
        let _ = self.said.send(Said::Done(self.path.clone()));
    }
}
