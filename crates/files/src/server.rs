//! The helper as a server: started once, from a thread that never ends, and started anew when it dies.
//!
//! The kernel ends the server with the thread that started it (`PR_SET_PDEATHSIG` is a thread's affair), so that
//! thread does nothing else: it starts the server, hears from it which requests died, and waits for its end.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portolan_linux::wait::{Ready, until};
use portolan_linux::{SealedExe, pass};
use portolan_wire::frame::MAGIC;
use portolan_wire::{VERSION, WireError};

/// A server that has not said that it is ready after so long never will be.
const START: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(20);
/// So many requests in a row may be left lying.
const PATIENCE: u32 = 3;
/// How many deaths are remembered that nobody has asked for.
const DEATHS: usize = 256;

/// Why there is no server.
#[derive(Debug, Clone)]
pub(crate) enum NoServer {
    /// It could not be started.
    Start(Arc<portolan_linux::Error>),
    /// There was no room for what starting it takes: an errno.
    Os(i32),
    /// It ended before it was ready.
    Ended(Option<ExitStatus>),
    Broken(WireError),
    TimedOut,
}

/// A server that runs, or did.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) socket: OwnedFd,
    down: AtomicBool,
    /// Requests since the last answer that were not even taken.
    ignored: AtomicU32,
    /// Requests whose processes were ended by a signal, and how.
    deaths: Mutex<VecDeque<(u64, ExitStatus)>>,
    heard: Condvar,
}

#[derive(Debug)]
enum State {
    /// Nobody has asked for it, or it has ended.
    Down,
    Wanted,
    Up(Arc<Link>),
    Failed(NoServer),
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// `Files` is gone.
    closing: AtomicBool,
}

/// The server of one `Files`.
#[derive(Debug)]
pub(crate) struct Server {
    exe: Arc<SealedExe>,
    mine: Mutex<Mine>,
    next: AtomicU64,
}

/// What belongs to one process: a fork has the memory of it, but not the thread, and the server is not its own.
#[derive(Debug)]
struct Mine {
    pid: u32,
    shared: Arc<Shared>,
    /// Set once the thread was started.
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Mine {
    fn new() -> Self {
        let (state, changed) = (Mutex::new(State::Down), Condvar::new());
        let shared = Arc::new(Shared { state, changed, closing: AtomicBool::new(false) });
        Self { pid: std::process::id(), shared, thread: None }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    pub(crate) fn new(exe: Arc<SealedExe>) -> Self {
        Self { exe, mine: Mutex::new(Mine::new()), next: AtomicU64::new(1) }
    }

    /// A number that no other request has.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// What is shared with the thread of this process.
    fn shared(&self) -> Arc<Shared> {
        let mut mine = lock(&self.mine);
        if mine.pid != std::process::id() {
            // Left as it is: to close or to join anything of it would be felt by the process that it belongs to.
            std::mem::forget(std::mem::replace(&mut *mine, Mine::new()));
        }
        Arc::clone(&mine.shared)
    }

    /// The running server, if nothing has to be waited for.
    pub(crate) fn running(&self) -> Option<Arc<Link>> {
        match &*lock(&self.shared().state) {
            State::Up(link) if !link.is_down() => Some(Arc::clone(link)),
            _ => None,
        }
    }

    /// The running server; it is started when there is none, and waited for.
    pub(crate) fn link(&self, deadline: Option<Instant>) -> Result<Arc<Link>, NoServer> {
        if let Some(link) = self.running() {
            return Ok(link);
        }
        self.start_thread()?;
        let shared = self.shared();
        let mut state = lock(&shared.state);
        match &*state {
            // Another caller was quicker.
            State::Up(link) if !link.is_down() => return Ok(Arc::clone(link)),
            State::Wanted => {}
            _ => {
                *state = State::Wanted;
                shared.changed.notify_all();
            }
        }
        loop {
            match &*state {
                State::Up(link) => return Ok(Arc::clone(link)),
                State::Failed(why) => return Err(why.clone()),
                State::Down | State::Wanted => {}
            }
            let left = deadline.map_or(START, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Err(NoServer::TimedOut);
            }
            state = shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn start_thread(&self) -> Result<(), NoServer> {
        let (exe, shared) = (Arc::clone(&self.exe), self.shared());
        let mut mine = lock(&self.mine);
        if mine.thread.is_some() {
            return Ok(());
        }
        // Small: it only waits.
        let builder = std::thread::Builder::new().name("portolan-helper".to_owned()).stack_size(256 * 1024);
        match builder.spawn(move || keep(&exe, &shared)) {
            Ok(handle) => {
                mine.thread = Some(handle);
                Ok(())
            }
            Err(e) => Err(NoServer::Os(e.raw_os_error().unwrap_or(0))),
        }
    }

    /// What it is started from.
    pub(crate) fn exe(&self) -> &SealedExe {
        &self.exe
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let shared = self.shared();
        shared.closing.store(true, Ordering::Release);
        if let State::Up(link) = &*lock(&shared.state) {
            link.close();
        }
        shared.changed.notify_all();
        let thread = lock(&self.mine).thread.take();
        if let Some(thread) = thread {
            // It ends as soon as the server has; that dies at once, whatever its children do.
            let _ = thread.join();
        }
    }
}

impl Link {
    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Ordering::Acquire)
    }

    /// How the process of a request ended, if a signal ended it; waits a moment for the news.
    pub(crate) fn death(&self, id: u64, patience: Duration) -> Option<ExitStatus> {
        let until = Instant::now().checked_add(patience)?;
        let mut deaths = lock(&self.deaths);
        loop {
            if let Some(at) = deaths.iter().position(|(dead, _)| *dead == id) {
                return deaths.remove(at).map(|(_, status)| status);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.is_down() {
                return None;
            }
            deaths = self.heard.wait_timeout(deaths, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A request's time was over before it was taken. A server that takes none (somebody has stopped it) is given up.
    pub(crate) fn ignored(&self) {
        if self.ignored.fetch_add(1, Ordering::Relaxed).saturating_add(1) >= PATIENCE {
            self.close();
        }
    }

    /// A request was answered.
    pub(crate) fn heeded(&self) {
        if self.ignored.load(Ordering::Relaxed) > 0 {
            self.ignored.store(0, Ordering::Relaxed);
        }
    }

    /// The thread that waits for news hears that the socket is closed, and ends the server.
    fn close(&self) {
        use std::net::Shutdown;
        // A copy, because closing ours would not wake whoever waits for it.
        if let Ok(copy) = self.socket.try_clone() {
            let _ = std::os::unix::net::UnixStream::from(copy).shutdown(Shutdown::Both);
        }
    }

    /// It has ended: whoever waits for news is not to wait longer.
    pub(crate) fn set_down(&self) {
        self.down.store(true, Ordering::Release);
        drop(lock(&self.deaths));
        self.heard.notify_all();
    }
}

/// The thread that never ends, but with `Files`.
fn keep(exe: &SealedExe, shared: &Shared) {
    loop {
        let mut state = lock(&shared.state);
        loop {
            if shared.closing.load(Ordering::Acquire) {
                return;
            }
            if matches!(*state, State::Wanted) {
                break;
            }
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        let started = start(exe, &shared.closing);
        let mut state = lock(&shared.state);
        let (link, child) = match started {
            Ok((link, child)) => (Arc::new(link), child),
            Err(why) => {
                *state = State::Failed(why);
                shared.changed.notify_all();
                continue;
            }
        };
        *state = State::Up(Arc::clone(&link));
        shared.changed.notify_all();
        drop(state);
        if shared.closing.load(Ordering::Acquire) {
            link.close();
        }
        hear(&link);
        link.set_down();
        end(child);
        let mut state = lock(&shared.state);
        // Somebody may have asked for the next one already; and somebody may have waited for this one, and not have
        // seen it while it lived.
        if matches!(&*state, State::Up(old) if Arc::ptr_eq(old, &link)) {
            *state = State::Failed(NoServer::Ended(None));
            shared.changed.notify_all();
        }
    }
}

/// Starts a server and waits until it is ready.
fn start(exe: &SealedExe, closing: &AtomicBool) -> Result<(Link, Child), NoServer> {
    let (ours, theirs) = pass::pair().map_err(|e| NoServer::Os(e.raw_os_error().unwrap_or(0)))?;
    let number = theirs.as_raw_fd().to_string();
    let arguments = [OsStr::new("serve"), OsStr::new(&number)];
    let mut child =
        exe.spawn_silent(&arguments, &[theirs.as_fd()]).map_err(|error| NoServer::Start(Arc::new(error)))?;
    drop(theirs);
    let deadline = Instant::now().checked_add(START);
    let mut message = [0_u8; 64];
    let mut ready = false;
    // In small steps: whoever drops `Files` is not to wait for a server that does not start.
    while !ready && !closing.load(Ordering::Acquire) && deadline.is_none_or(|end| Instant::now() < end) {
        ready = until(&ours, Ready::Read, Instant::now().checked_add(STEP)).unwrap_or(true);
    }
    if !ready {
        end(child);
        return Err(NoServer::TimedOut);
    }
    let got = pass::receive(&ours, &mut message).unwrap_or(0);
    let message = message.get(..got).unwrap_or(&[]);
    let (magic, version) = message.split_at_checked(MAGIC.len()).unwrap_or((message, &[]));
    match version {
        [low, high] if magic == MAGIC && u16::from_le_bytes([*low, *high]) == VERSION => {
            let (deaths, heard) = (Mutex::default(), Condvar::new());
            let (down, ignored) = (AtomicBool::new(false), AtomicU32::new(0));
            Ok((Link { socket: ours, down, ignored, deaths, heard }, child))
        }
        [low, high] if magic == MAGIC => {
            end(child);
            Err(NoServer::Broken(WireError::BadVersion(u16::from_le_bytes([*low, *high]))))
        }
        _ if message.is_empty() => {
            // It has closed the socket, so it is about to end, and its status tells why.
            let _ = child.kill();
            Err(NoServer::Ended(child.wait().ok()))
        }
        _ => {
            end(child);
            Err(NoServer::Broken(WireError::BadMagic))
        }
    }
}

/// Takes the server's messages until it closes the socket.
fn hear(link: &Link) {
    let mut message = [0_u8; 64];
    while until(&link.socket, Ready::Read, None).is_ok_and(|ready| ready) {
        let Ok(got @ 1..) = pass::receive(&link.socket, &mut message) else {
            return;
        };
        // Only ever 16 bytes: the request's number, its process's status, zero.
        let Some([id @ .., s0, s1, s2, s3, 0, 0, 0, 0]) = message.get(..got) else {
            return;
        };
        let Some(id) = id.first_chunk().filter(|_| id.len() == 8) else {
            return;
        };
        let status = ExitStatus::from_raw(i32::from_le_bytes([*s0, *s1, *s2, *s3]));
        let mut deaths = lock(&link.deaths);
        if deaths.len() >= DEATHS {
            deaths.pop_front();
        }
        deaths.push_back((u64::from_le_bytes(*id), status));
        drop(deaths);
        link.heard.notify_all();
    }
}

/// The server itself never touches a container's files, so nothing keeps it from ending.
fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}
