//! What is being done, on a terminal only, and only if it takes a while: one line, which is gone when it is over.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What is done sooner is not worth a word.
const PATIENCE: Duration = Duration::from_millis(300);
/// How often the line is written anew.
const PACE: Duration = Duration::from_millis(100);

/// A line that tells what is being done; dropping it erases it.
#[derive(Debug)]
pub(crate) struct Progress {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    line: String,
    is_over: bool,
}

impl Progress {
    /// Says what is being done from now on, if anybody looks.
    pub(crate) fn new(line: &str) -> Self {
        let shared = Arc::new(Shared::default());
        let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        let writer = (std::io::stderr().is_terminal() && !dumb).then(|| {
            let shared = Arc::clone(&shared);
            // Without a thread it is done in silence.
            std::thread::Builder::new().spawn(move || write(&shared)).ok()
        });
        let progress = Self { shared, writer: writer.flatten() };
        progress.say(line.to_owned());
        progress
    }

    /// Says something else.
    pub(crate) fn say(&self, line: String) {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).line = line;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
        self.shared.ended.notify_all();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// Writes the line until all is over, and erases it then.
fn write(shared: &Shared) {
    let start = Instant::now();
    let mut written = String::new();
    let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
    while !state.is_over {
        if start.elapsed() >= PATIENCE && state.line != written {
            written.clone_from(&state.line);
            show(&written);
        }
        let waited = shared.ended.wait_timeout(state, PACE);
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
    if !written.is_empty() {
        show("");
    }
}

/// Puts a line in the place of the last one. What a terminal does not take is no failure of what is being done.
fn show(line: &str) {
    let mut output = std::io::stderr();
    let _ = write!(output, "\r\x1b[K{line}").and_then(|()| output.flush());
}
