//! `portolan tunnel`

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use portolan::tunnel::{Destination, End, Socks, Tunnel as Running};
use portolan::{Dialer, Host, Process, Target};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::note;
use crate::arguments::Tunnel;
use crate::failure::Failure;

pub(crate) fn run(options: &Tunnel) -> Result<(), Failure> {
    let host = Host::new();
    let target = host.target(&options.target)?;
    let process = Process::reopen(target.process.id())?;
    let dialer = if options.allow_host_network {
        Dialer::allowing_host_network(process)?
    } else {
        Dialer::new(process)?
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let destination = destination(&target, &host, options)?;
    runtime.map_err(|e| Failure::Io("tunnel", e))?.block_on(serve(&dialer, destination, options))
}

/// Where connections go. Names are asked of the container's own files and servers; without a helper, which reads the
/// files, there are none.
fn destination(target: &Target, host: &Host, options: &Tunnel) -> Result<Destination, Failure> {
    if !options.socks {
        let missing = Failure::Unsupported("tunnel: an address is missing");
        return options.address.map(Destination::from).ok_or(missing);
    }
    let mut socks = Socks::new();
    if let Some(only) = options.address {
        socks = socks.only(only);
    }
    let timeout = Duration::from_millis(options.timeout_ms);
    match host.resolver(target) {
        Ok(resolver) => {
            let resolver = Arc::new(resolver);
            socks = socks.resolver(move |name: String| {
                let resolver = Arc::clone(&resolver);
                async move { resolver.lookup(&name, timeout).await }
            });
        }
        Err(error) => note(&format!("no names but localhost: {error}")),
    }
    Ok(socks.into())
}

async fn serve(dialer: &Dialer, destination: Destination, options: &Tunnel) -> Result<(), Failure> {
    // Before anything is made that a signal would leave behind.
    let mut signals = Signals::new().map_err(|e| Failure::Io("tunnel", e))?;
    let builder = dialer.tunnel(destination);
    let builder = match (&options.place.unix, options.place.port) {
        (Some(path), _) => builder.unix(path),
        (None, port) => builder.port(port.unwrap_or(0)),
    };
    let limit = usize::try_from(options.limit).unwrap_or(usize::MAX);
    let timeout = Duration::from_millis(options.timeout_ms);
    let tunnel = builder.limit(limit).connect_timeout(timeout).start()?;
    tell(&tunnel)?;
    let end = tokio::select! {
        end = tunnel.ended() => end,
        () = signals.any() => End::Closed,
    };
    note(&tunnel.counters().to_string());
    tunnel.close().await;
    match end {
        End::Gone => Err(Failure::Unsupported("tunnel: the container is gone")),
        _ => Ok(()),
    }
}

/// Where clients find it.
fn tell(tunnel: &Running) -> Result<(), Failure> {
    let mut output = std::io::stdout();
    writeln!(output, "{}", tunnel.address()).and_then(|()| output.flush()).map_err(Failure::output)
}

/// Those by which somebody says that it is enough.
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> std::io::Result<Self> {
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Self([interrupt?, terminate?, hangup?]))
    }

    async fn any(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
