//! Reading for tasks: nothing blocks but the first request, whose server is started on a thread of its own.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portolan_linux::Process;
use portolan_wire::request::Request;
use tokio::net::unix::pipe::Receiver;

use crate::answer::{Listener, Silence};
use crate::error::About;
use crate::exchange::{Received, listener};
use crate::server::{Link, NoServer};
use crate::tail::Poll;
use crate::{Batch, Content, Error, Event, Files, GlobOptions, Matches, Outcome, ReadOptions, Result, Tail};

impl Files {
    /// [`read`](Self::read), for tasks. A task that is dropped gives its request up: the helper ends by itself.
    ///
    /// # Errors
    /// As for [`read`](Self::read), and [`Unsupported`](crate::ErrorKind::Unsupported) for
    /// [`ReadOptions::pid_namespace`], which only the blocking call has.
    ///
    /// # Example
    /// ```no_run
    /// # async fn example() -> portolan_files::Result<()> {
    /// use portolan_files::{Files, ReadOptions};
    ///
    /// let files = Files::new()?;
    /// let process = portolan_linux::Process::open(4242).expect("it runs");
    /// let hosts = files.read_async(&process, "/etc/hosts", &ReadOptions::default()).await?;
    /// println!("{} bytes", hosts.bytes.len());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read_async(
        &self,
        process: &Process,
        path: impl AsRef<Path>,
        options: &ReadOptions,
    ) -> Result<Content> {
        let path = path.as_ref().as_os_str().as_bytes();
        let about = About { operation: "read", pid: process.pid(), path };
        not_in_pid_namespace(options.pid_namespace, about)?;
        let request = options.request(about)?;
        Content::of(about, self.exchange_async(process, about, request, options.timeout).await?)
    }

    /// [`glob`](Self::glob), for tasks.
    ///
    /// # Errors
    /// As for [`glob`](Self::glob), and [`Unsupported`](crate::ErrorKind::Unsupported) for
    /// [`GlobOptions::pid_namespace`].
    pub async fn glob_async(
        &self,
        process: &Process,
        pattern: impl AsRef<OsStr>,
        options: &GlobOptions,
    ) -> Result<Matches> {
        let pattern = pattern.as_ref().as_bytes();
        let about = About { operation: "expand", pid: process.pid(), path: pattern };
        not_in_pid_namespace(options.pid_namespace, about)?;
        let request = options.request(about)?;
        let received = self.exchange_async(process, about, request, options.timeout).await?;
        let (hello, part, broken) = received.single(about)?;
        Matches::of_part(about, hello, part, broken)
    }

    /// [`batch`](Self::batch), for tasks.
    ///
    /// # Errors
    /// As for [`batch`](Self::batch).
    pub async fn batch_async(&self, process: &Process, batch: &Batch) -> Result<Vec<Result<Outcome>>> {
        let (wrong, request) = batch.request(process.pid())?;
        let about = batch.about(process.pid());
        if request.operations.is_empty() {
            return Ok(batch.outcomes(process.pid(), wrong, Received::default()));
        }
        let received = self.exchange_async(process, about, request, batch.time()).await?;
        batch.received(process.pid(), wrong, received)
    }

    async fn exchange_async(
        &self,
        process: &Process,
        about: About<'_>,
        mut request: Request,
        timeout: Duration,
    ) -> Result<Received> {
        let deadline = Instant::now().checked_add(timeout);
        let (door, _risk) = self.admit(process, about, request.any_file_system)?;
        let link = self.link_async(about, deadline).await?;
        let (output, sent) = self.send(link, door, about, &mut request, deadline)?;
        let mut listener = listener(&request);
        let io = |error| Error::io(about, error);
        let output = Receiver::from_owned_fd(output).map_err(io)?;
        let outcome = match deadline {
            Some(deadline) => {
                let heard = tokio::time::timeout_at(deadline.into(), listen(&output, &mut listener)).await;
                heard.unwrap_or(Err(Silence::TimedOut))
            }
            None => listen(&output, &mut listener).await,
        };
        self.conclude(about, &sent, output.into_nonblocking_fd().map_err(io)?, listener, &outcome)
    }

    /// The server, started on another thread if there is none.
    async fn link_async(&self, about: About<'_>, deadline: Option<Instant>) -> Result<Arc<Link>> {
        if let Some(link) = self.server.running() {
            return Ok(link);
        }
        let server = Arc::clone(&self.server);
        let started = tokio::task::spawn_blocking(move || server.link(deadline)).await;
        started.unwrap_or(Err(NoServer::TimedOut)).map_err(|why| Error::no_server(about, why))
    }
}

impl Tail {
    /// [`poll`](Self::poll), for tasks.
    ///
    /// # Errors
    /// As for [`poll`](Self::poll).
    pub async fn poll_async(&mut self, files: &Files, process: &Process) -> Result<Vec<Event>> {
        let mut poll = Poll::new(self);
        while let Some(batch) = poll.question() {
            let Some(outcome) = files.batch_async(process, &batch).await?.pop() else {
                break;
            };
            poll.answer(outcome)?;
        }
        Ok(poll.events())
    }
}

fn not_in_pid_namespace(asked: bool, about: About<'_>) -> Result<()> {
    if asked { Err(Error::invalid(about, "only the blocking call joins a pid namespace")) } else { Ok(()) }
}

/// Takes frames in until the last one, or the end of the pipe.
async fn listen(output: &Receiver, listener: &mut Listener) -> std::result::Result<(), Silence> {
    let mut piece = vec![0_u8; 64 * 1024];
    loop {
        output.readable().await.map_err(|_| Silence::Ended)?;
        match output.try_read(&mut piece) {
            Ok(0) => return Err(Silence::Ended),
            Ok(got) => {
                if listener.take(piece.get(..got).unwrap_or(&[])).map_err(Silence::Broken)? {
                    return Ok(());
                }
            }
            // Not ready after all.
            Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(_) => return Err(Silence::Ended),
        }
    }
}
