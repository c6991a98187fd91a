//! A connection to a runtime's socket with a limit on what it may send.
//!
//! Every request has a connection of its own, so that the limit counts headers, body and the framing between alike: a
//! daemon that sends headers for ever meets it as one that sends a gigabyte of JSON does.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use portolan_linux::NamespaceId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

use crate::fault::Trouble;
use crate::sockets::Opened;
use crate::speaker::Speaker;

/// All answers of one round together, from one socket.
const ROUND: u64 = 64 * 1024 * 1024;
/// The same of a user's socket: there are many users, and one root.
const USERS_ROUND: u64 = 16 * 1024 * 1024;

/// A way to one socket.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) path: PathBuf,
    socket: Opened,
    /// The user in whose directory it is: nobody else may serve it.
    user: Option<u32>,
    own_pids: NamespaceId,
    speaker: OnceLock<Speaker>,
    /// What may be received in a round.
    round: u64,
    /// What may still be received in this one.
    left: AtomicU64,
}

impl Line {
    pub(crate) fn new(path: PathBuf, socket: Opened, user: Option<u32>, own_pids: NamespaceId) -> Self {
        let round = if user.is_some() { USERS_ROUND } else { ROUND };
        let left = AtomicU64::new(round);
        Self { path, socket, user, own_pids, speaker: OnceLock::new(), round, left }
    }

    /// Begins another round.
    pub(crate) fn refill(&self) {
        self.left.store(self.round, Ordering::Relaxed);
    }

    pub(crate) fn speaker(&self) -> Option<Speaker> {
        self.speaker.get().copied()
    }

    /// Connects, and sees to it that the one who answers is who answered before.
    async fn connect(&self) -> Result<UnixStream, Trouble> {
        let stream = UnixStream::connect(self.socket.path()).await.map_err(|e| Trouble::of_io(&e))?;
        let peer = stream.peer_cred().map_err(|e| Trouble::of_io(&e))?;
        let found = peer.uid();
        if let Some(expected) = self.user.filter(|expected| *expected != found) {
            return Err(Trouble::Foreign { expected, found });
        }
        let speaker = self.speaker.get_or_init(|| Speaker::new(found, peer.pid(), self.own_pids));
        if speaker.user != found {
            return Err(Trouble::Foreign { expected: speaker.user, found });
        }
        Ok(stream)
    }

    /// Sends a request on a connection of its own; what comes back may have so many bytes.
    pub(crate) async fn send<B>(
        self: &Arc<Self>,
        mut request: Request<B>,
        limit: u64,
    ) -> Result<Response<Incoming>, Trouble>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // A server wants the path alone, and a name of the host (RFC 9112, 3.2).
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse::<Uri>().map_err(|e| Trouble::Nonsense(e.to_string()))?;
        request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
        let stream = Limited { stream: self.connect().await?, line: Arc::clone(self), left: limit, limit };
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| of_hyper(&e))?;
        // It ends with the response, or with the runtime that it was started on.
        drop(tokio::spawn(connection));
        sender.send_request(request).await.map_err(|e| of_hyper(&e))
    }

    /// Asks for a path; gives the answer's body.
    pub(crate) async fn get(self: &Arc<Self>, path: &str, limit: u64) -> Result<Bytes, Trouble> {
        let response = self.ask(path, limit).await?;
        let body = response.into_body().collect().await.map_err(|e| of_hyper(&e))?;
        Ok(body.to_bytes())
    }

    /// Asks for a path; gives the answer, which is none of failure.
    pub(crate) async fn ask(self: &Arc<Self>, path: &str, limit: u64) -> Result<Response<Incoming>, Trouble> {
        let request =
            Request::get(path).body(Empty::<Bytes>::new()).map_err(|e| Trouble::Nonsense(e.to_string()))?;
        let response = self.send(request, limit).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.into_body().collect().await.map_err(|e| of_hyper(&e))?;
        Err(refused(status.as_u16(), &String::from_utf8_lossy(&body.to_bytes())))
    }
}

/// A refusal, its words cut to what a person reads.
pub(crate) fn refused(status: u16, text: &str) -> Trouble {
    Trouble::Refused { status, text: text.trim().chars().take(200).collect() }
}

/// What an error of the connection means: behind it is often one of ours.
pub(crate) fn of_hyper(error: &(dyn std::error::Error + 'static)) -> Trouble {
    let mut at = Some(error);
    // A chain of causes has an end, but nobody promises it.
    for _ in 0..16 {
        let Some(error) = at else { break };
        if let Some(io) = error.downcast_ref::<io::Error>() {
            let inner = io.get_ref().and_then(|inner| inner.downcast_ref::<Trouble>());
            return inner.cloned().unwrap_or_else(|| Trouble::of_io(io));
        }
        at = error.source();
    }
    Trouble::Nonsense(error.to_string())
}

/// A stream that fails when more comes than may.
struct Limited {
    stream: UnixStream,
    line: Arc<Line>,
    left: u64,
    limit: u64,
}

impl Limited {
    fn account(&mut self, came: usize) -> io::Result<()> {
        let came = u64::try_from(came).unwrap_or(u64::MAX);
        let over = |limit| io::Error::other(Trouble::TooMuch(limit));
        self.left = self.left.checked_sub(came).ok_or_else(|| over(self.limit))?;
        let round =
            self.line.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(came));
        round.map(drop).map_err(|_| over(self.line.round))
    }
}

impl AsyncRead for Limited {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, into) {
            Poll::Ready(Ok(())) => Poll::Ready(self.account(into.filled().len().saturating_sub(before))),
            other => other,
        }
    }
}

impl AsyncWrite for Limited {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
