//! Bytes of ureq over a stream that was born inside.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::unversioned::transport::{Buffers, LazyBuffers, NextTimeout, ShutdownHandle, Transport};

/// A connection of ureq's that was born inside.
///
/// Times are deadlines, also for a peer that takes or gives a byte now and then.
#[derive(Debug)]
pub struct InsideTransport {
    stream: Arc<Inside>,
    buffers: LazyBuffers,
}

/// By which the agent ends what waits, when it is shut down.
#[derive(Debug)]
struct Inside(TcpStream);

impl ShutdownHandle for Inside {
    fn shutdown(&self) {
        // That it is closed already is what is wanted.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

impl InsideTransport {
    pub(super) fn new(stream: TcpStream, buffers: LazyBuffers) -> Self {
        Self { stream: Arc::new(Inside(stream)), buffers }
    }

    pub(super) fn handle(&self) -> Weak<dyn ShutdownHandle> {
        let stream: Arc<dyn ShutdownHandle> = Arc::clone(&self.stream) as _;
        Arc::downgrade(&stream)
    }
}

/// Does something to the stream until it has been done or the time is over.
fn until<T>(
    timeout: NextTimeout,
    set: impl Fn(Option<Duration>) -> io::Result<()>,
    mut work: impl FnMut() -> io::Result<Option<T>>,
) -> Result<T, Error> {
    if timeout.after.is_zero() {
        return Err(Error::Timeout(timeout.reason));
    }
    let deadline = timeout.not_zero().and_then(|timeout| Instant::now().checked_add(*timeout));
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Err(Error::Timeout(timeout.reason));
        }
        set(left)?;
        match work() {
            Ok(Some(done)) => return Ok(done),
            Ok(None) => {}
            Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

impl Transport for InsideTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let stream = &self.stream.0;
        let mut output = self.buffers.output().get(..amount).unwrap_or_default();
        until(
            timeout.for_write(),
            |left| stream.set_write_timeout(left),
            || {
                let mut writer = stream;
                let written = if output.is_empty() { 0 } else { writer.write(output)? };
                output = output.get(written..).unwrap_or_default();
                match (output.is_empty(), written) {
                    (true, _) => Ok(Some(())),
                    (false, 0) => Err(io::ErrorKind::WriteZero.into()),
                    (false, _) => Ok(None),
                }
            },
        )
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let stream = &self.stream.0;
        let input = self.buffers.input_append_buf();
        let amount = until(
            timeout.for_read(),
            |left| stream.set_read_timeout(left),
            || {
                let mut reader = stream;
                reader.read(input).map(Some)
            },
        )?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// Nothing is to be read from a connection that waits for its next request: not even its end.
    fn is_open(&mut self) -> bool {
        let stream = &self.stream.0;
        let silent = || {
            stream.set_nonblocking(true)?;
            let peeked = stream.peek(&mut [0]);
            stream.set_nonblocking(false)?;
            peeked
        };
        silent().is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
    }
}
