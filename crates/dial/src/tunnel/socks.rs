//! SOCKS5 (RFC 1928): the client says for each connection where it is to lead.
//!
//! Only connections are made: no port is opened inside for others (BIND), and no datagrams are passed. All lengths of
//! the protocol are a byte, so that a client can make us keep 255 bytes at most, and it has a deadline.

use std::error::Error as StdError;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fast_socks5::server::{AuthMethodSuccessState as _, Socks5ServerProtocol, SocksServerError, states};
use fast_socks5::util::target_addr::TargetAddr;
use fast_socks5::{ReplyError, Socks5Command};
use portolan_linux::ErrorKind;
use portolan_linux::error::NetError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::Trouble;
use super::connection::dial;
use super::password::{Credentials, Password};
use super::serve::Shared;

/// Of the addresses of a name, no more are tried.
const ADDRESSES: usize = 16;
/// What we say of a failure fits into any socket's buffer; this is for clients that filled it.
const REPLY: Duration = Duration::from_secs(1);

type Names = dyn Fn(String) -> Pin<Box<dyn Future<Output = Option<Vec<IpAddr>>> + Send>> + Send + Sync;

/// A SOCKS5 proxy whose connections are made inside.
///
/// Clients are to leave names to the proxy (`socks5h` in URLs, `--socks5-hostname` of curl). A client that resolves
/// names itself gets the host's answers, and asks for the addresses of those inside.
#[derive(Clone, Default)]
pub struct Socks {
    names: Option<Arc<Names>>,
    credentials: Option<Credentials>,
    only: Option<Vec<SocketAddr>>,
}

impl Socks {
    /// For anybody who is let in, to any address inside, and to no name but `localhost` (RFC 6761).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Resolves names by this, which is to answer as the container's own resolver would: the host's answers are
    /// others. Without it, names are refused.
    ///
    /// The name comes from the client as it is: up to 255 bytes of any text. At most 16 addresses are tried, in order.
    ///
    /// # Example
    /// ```
    /// use portolan_dial::tunnel::Socks;
    /// use std::net::IpAddr;
    ///
    /// let socks = Socks::new().resolver(|name: String| async move {
    ///     if name == "broker-1" { Ok(vec![IpAddr::from([10, 0, 0, 7])]) } else { Err("no such name") }
    /// });
    /// ```
    #[must_use]
    pub fn resolver<F, R, E>(mut self, resolve: F) -> Self
    where
        F: Fn(String) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<IpAddr>, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        self.names = Some(Arc::new(move |name| {
            let answer = resolve(name);
            Box::pin(async move { answer.await.ok() })
        }));
        self
    }

    /// Asks for this name and password (RFC 1929), each of 1 to 255 bytes. They pass in the clear, as does all else.
    #[must_use]
    pub fn credentials(mut self, user: &str, password: &str) -> Self {
        self.credentials = Some(Credentials { user: user.into(), password: password.into() });
        self
    }

    /// Leads to this address only, and to those named by further calls; by name too, if it is one of theirs.
    #[must_use]
    pub fn only(mut self, address: SocketAddr) -> Self {
        self.only.get_or_insert_default().push(address);
        self
    }

    fn allows(&self, address: &SocketAddr) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(address))
    }

    /// The addresses that a client means; none when there is nobody to tell.
    async fn addresses(&self, target: TargetAddr) -> Result<Vec<SocketAddr>, ReplyError> {
        let (name, port) = match target {
            TargetAddr::Ip(address) => return Ok(vec![address]),
            TargetAddr::Domain(name, port) => (name, port),
        };
        let ips = match (name.parse(), &self.names) {
            // Some clients send every host as a name.
            (Ok(ip), _) => vec![ip],
            _ if is_localhost(&name) => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            (Err(_), Some(names)) => names(name).await.unwrap_or_default(),
            (Err(_), None) => return Err(ReplyError::AddressTypeNotSupported),
        };
        if ips.is_empty() {
            return Err(ReplyError::HostUnreachable);
        }
        Ok(ips.into_iter().take(ADDRESSES).map(|ip| SocketAddr::new(ip, port)).collect())
    }
}

impl fmt::Debug for Socks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socks")
            .field("names", &self.names.is_some())
            .field("credentials", &self.credentials.is_some())
            .field("only", &self.only)
            .finish()
    }
}

/// A loopback's name, whatever a resolver says.
fn is_localhost(name: &str) -> bool {
    name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case("localhost")
}

type Asked<S> = (Socks5ServerProtocol<S, states::CommandRead>, Socks5Command, TargetAddr);

/// Hears what the client wants, dials it, and tells it what came of that.
pub(super) async fn join<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    socks: &Socks,
    client: S,
) -> Result<(S, TcpStream), Trouble> {
    let asked = timeout(shared.connect_timeout, ask(socks, client)).await;
    let (protocol, command, target) = asked.map_err(|_| Trouble::Late)??;
    let dialed = if matches!(command, Socks5Command::TCPConnect) {
        connect(shared, socks, target).await
    } else {
        Err((ReplyError::CommandNotSupported, Trouble::Socks))
    };
    match dialed {
        Ok(inside) => {
            let local = inside.local_addr().unwrap_or_else(|_| (Ipv4Addr::UNSPECIFIED, 0).into());
            let replied = timeout(REPLY, protocol.reply_success(local)).await;
            let client = replied.map_err(|_| Trouble::Late)?.map_err(broken)?;
            Ok((client, inside))
        }
        Err((reply, trouble)) => {
            // Told already when the client hears of it.
            shared.ledger.note(trouble.clone());
            let _ = timeout(REPLY, protocol.reply_error(&reply)).await;
            Err(trouble)
        }
    }
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(socks: &Socks, client: S) -> Result<Asked<S>, Trouble> {
    let protocol = match &socks.credentials {
        None => Socks5ServerProtocol::accept_no_auth(client).await.map_err(broken)?,
        Some(wanted) => {
            let chosen = Socks5ServerProtocol::start(client).negotiate_auth(&[Password]).await;
            match chosen {
                Ok(unproven) => unproven.prove(wanted).await?.finish_auth(),
                Err(SocksServerError::AuthMethodUnacceptable(_)) => return Err(Trouble::Credentials),
                Err(error) => return Err(broken(error)),
            }
        }
    };
    protocol.read_command().await.map_err(broken)
}

/// The first of the addresses that can be dialed, within one deadline for all.
async fn connect(
    shared: &Shared,
    socks: &Socks,
    target: TargetAddr,
) -> Result<TcpStream, (ReplyError, Trouble)> {
    let late = || (ReplyError::ConnectionTimeout, Trouble::Name);
    let deadline = Instant::now().checked_add(shared.connect_timeout).ok_or_else(late)?;
    let found = timeout_at(deadline, socks.addresses(target)).await.map_err(|_| late())?;
    let mut left = found.map_err(|reply| (reply, Trouble::Name))?;
    left.retain(|address| socks.allows(address));
    let mut last = (ReplyError::ConnectionNotAllowed, Trouble::Address);
    let mut count = u32::try_from(left.len()).unwrap_or(u32::MAX);
    for address in left {
        // One that never answers leaves its share to the others.
        let share = deadline.saturating_duration_since(Instant::now()).checked_div(count).unwrap_or_default();
        count = count.saturating_sub(1);
        match dial(shared, address, share).await {
            Ok(stream) => return Ok(stream),
            Err(trouble) => last = (reply(&trouble), trouble),
        }
    }
    Err(last)
}

/// SOCKS5's code for why a dial failed.
fn reply(trouble: &Trouble) -> ReplyError {
    let Trouble::Dial(error) = trouble else {
        return ReplyError::GeneralFailure;
    };
    match error.kind() {
        ErrorKind::Net(NetError::Refused) => ReplyError::ConnectionRefused,
        ErrorKind::Net(NetError::Unreachable) => ReplyError::NetworkUnreachable,
        ErrorKind::Timeout => ReplyError::ConnectionTimeout,
        ErrorKind::PermissionDenied | ErrorKind::MissingPrivilege(_) => ReplyError::ConnectionNotAllowed,
        _ => ReplyError::GeneralFailure,
    }
}

fn broken(_: SocksServerError) -> Trouble {
    Trouble::Socks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_not_shown() {
        let socks = Socks::new().credentials("agent", "hunter2");
        assert!(!format!("{socks:?}").contains("hunter2"));
    }

    #[test]
    fn localhost() {
        for name in ["localhost", "LocalHost", "localhost."] {
            assert!(is_localhost(name), "{name}");
        }
        for name in ["localhost.example", "xlocalhost", "", ".", "localhost.."] {
            assert!(!is_localhost(name), "{name}");
        }
    }
}
