//! A watch as an asynchronous stream (feature `tokio`).

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use portolan_scan::{Stopper, Update, Watch};
use tokio::sync::mpsc;

use crate::Result;

/// What changes on a host, as a stream. Dropping it ends the watch.
///
/// The scans themselves run on a thread of their own, so that no task waits for them.
///
/// # Example
/// ```no_run
/// use portolan::{Host, WatchOptions, WatchStream};
///
/// # async fn watch() -> Result<(), Box<dyn std::error::Error>> {
/// let mut updates = WatchStream::new(Host::new().scanner().watch(WatchOptions::default()))?;
/// while let Some(update) = updates.next().await {
///     print!("{}", update?.diff);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct WatchStream {
    updates: mpsc::Receiver<Result<Update>>,
    stopper: Stopper,
}

impl WatchStream {
    /// Watches from now on. An update that nobody takes holds up the watch, but loses nothing: the next one tells all
    /// that changed meanwhile.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn new(watch: Watch) -> std::io::Result<Self> {
        let stopper = watch.stopper();
        let (sender, updates) = mpsc::channel(1);
        std::thread::Builder::new().name("portolan-watch".to_owned()).spawn(move || {
            for update in watch {
                if sender.blocking_send(update.map_err(Into::into)).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { updates, stopper })
    }

    /// The next update; `None` when the watch has ended.
    pub async fn next(&mut self) -> Option<Result<Update>> {
        self.updates.recv().await
    }
}

impl Stream for WatchStream {
    type Item = Result<Update>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.updates.poll_recv(context)
    }
}

impl Drop for WatchStream {
    fn drop(&mut self) {
        self.stopper.stop();
    }
}
