//! `portolan dial`

use std::io::{ErrorKind as IoKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use portolan::{Dialer, Host};

use crate::arguments::Dial;
use crate::failure::Failure;

/// How long after the end of the input answers to the last datagram are waited for.
const LAST_ANSWER: Duration = Duration::from_secs(1);
const PIECE: usize = 64 * 1024;

pub(crate) fn run(options: &Dial) -> Result<(), Failure> {
    let host = Host::new();
    let target = host.target(&options.target)?;
    let dialer = if options.allow_host_network {
        Dialer::allowing_host_network(target.process)?
    } else {
        Dialer::new(target.process)?
    };
    let timeout = Duration::from_millis(options.timeout_ms);
    match (&options.unix, options.address) {
        (Some(path), _) => join(dialer.unix(path, timeout)?),
        (None, Some(address)) if options.udp => datagrams(&dialer, address),
        (None, Some(address)) => join(dialer.connect(address, timeout)?),
        (None, None) => Err(Failure::Unsupported("dial: an address is missing")),
    }
}

/// A connection of which one half can be closed.
trait Stream: Read + Write + Send + Sized + 'static {
    fn another(&self) -> std::io::Result<Self>;
    fn finish(&self) -> std::io::Result<()>;
}

impl Stream for TcpStream {
    fn another(&self) -> std::io::Result<Self> {
        self.try_clone()
    }
    fn finish(&self) -> std::io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Stream for UnixStream {
    fn another(&self) -> std::io::Result<Self> {
        self.try_clone()
    }
    fn finish(&self) -> std::io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// Passes the input on in a thread, the answer here; done when the other side closes.
fn join(mut stream: impl Stream) -> Result<(), Failure> {
    let mut sending = stream.another().map_err(|e| Failure::Io("dial", e))?;
    std::thread::spawn(move || {
        // If the other side does not want more, its answer still counts.
        let _ = pass(&mut std::io::stdin(), &mut sending);
        let _ = sending.finish();
    });
    pass(&mut stream, &mut std::io::stdout())
}

/// Copies piece by piece, each sent on at once.
fn pass(from: &mut impl Read, to: &mut impl Write) -> Result<(), Failure> {
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(got) => {
                to.write_all(piece.get(..got).unwrap_or(&[]))
                    .and_then(|()| to.flush())
                    .map_err(Failure::output)?;
            }
            Err(e) if e.kind() == IoKind::Interrupted => {}
            Err(e) => return Err(Failure::Io("receive", e)),
        }
    }
}

fn datagrams(dialer: &Dialer, address: SocketAddr) -> Result<(), Failure> {
    let socket = dialer.udp(address)?;
    let failed = |e| Failure::Io("dial", e);
    let sending = socket.try_clone().map_err(failed)?;
    let (ended, end) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        let mut piece = vec![0; PIECE];
        while let Ok(got) = std::io::stdin().read(&mut piece) {
            if got == 0 || sending.send(piece.get(..got).unwrap_or(&[])).is_err() {
                break;
            }
        }
        drop(ended);
    });
    receive(&socket, &end)
}

/// Prints datagrams until none has come for a while after the input ended.
fn receive(socket: &UdpSocket, end: &std::sync::mpsc::Receiver<()>) -> Result<(), Failure> {
    let mut piece = vec![0; PIECE];
    let mut output = std::io::stdout();
    socket.set_read_timeout(Some(LAST_ANSWER)).map_err(|e| Failure::Io("dial", e))?;
    let mut last_round = false;
    loop {
        match socket.recv(&mut piece) {
            Ok(got) => {
                let bytes = piece.get(..got).unwrap_or(&[]);
                output.write_all(bytes).and_then(|()| output.flush()).map_err(Failure::output)?;
            }
            Err(e) if e.kind() == IoKind::Interrupted => {}
            Err(e) if e.kind() == IoKind::WouldBlock => {
                if last_round {
                    return Ok(());
                }
                last_round = end.try_recv() == Err(std::sync::mpsc::TryRecvError::Disconnected);
            }
            Err(e) => return Err(Failure::Io("receive", e)),
        }
    }
}
