//! User name and password for SOCKS5 (RFC 1929).
//!
//! The crate that speaks the protocol has this method too, but writes what it reads to the log.

use fast_socks5::server::{AuthMethod, AuthMethodSuccessState};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::Trouble;

const VERSION: u8 = 1;

/// What a client must know. Never shown.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) user: Vec<u8>,
    pub(super) password: Vec<u8>,
}

impl Credentials {
    /// Both are compared whole, whatever differs first: the time tells nothing of the secret but its length.
    fn are(&self, user: &[u8], password: &[u8]) -> bool {
        let same = |a: &[u8], b: &[u8]| {
            let length = a.len() == b.len();
            a.iter().zip(b).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0 && length
        };
        same(&self.user, user) & same(&self.password, password)
    }
}

/// The method, as a client names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Password;

/// A client that chose it, and has not proved itself yet.
#[derive(Debug)]
pub(super) struct Unproven<S>(S);

/// A client that knows.
#[derive(Debug)]
pub(super) struct Proven<S>(S);

impl<S> AuthMethod<S> for Password {
    type StartingState = Unproven<S>;

    fn method_id(self) -> u8 {
        2
    }

    fn new(self, inner: S) -> Unproven<S> {
        Unproven(inner)
    }
}

impl<S> AuthMethodSuccessState<S> for Proven<S> {
    fn into_inner(self) -> S {
        self.0
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Unproven<S> {
    pub(super) async fn prove(self, wanted: &Credentials) -> Result<Proven<S>, Trouble> {
        let broken = |_| Trouble::Socks;
        let mut stream = self.0;
        if stream.read_u8().await.map_err(broken)? != VERSION {
            return Err(Trouble::Socks);
        }
        let user = text(&mut stream).await?;
        let password = text(&mut stream).await?;
        let right = wanted.are(&user, &password);
        stream.write_all(&[VERSION, u8::from(!right)]).await.map_err(broken)?;
        if right { Ok(Proven(stream)) } else { Err(Trouble::Credentials) }
    }
}

/// A text after its length, of a byte.
async fn text(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, Trouble> {
    let length = stream.read_u8().await.map_err(|_| Trouble::Socks)?;
    let mut text = vec![0; length.into()];
    stream.read_exact(&mut text).await.map_err(|_| Trouble::Socks)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_ones_are_right() {
        let wanted = Credentials { user: b"agent".into(), password: b"secret".into() };
        assert!(wanted.are(b"agent", b"secret"));
        for (user, password) in [
            ("", ""),
            ("agent", ""),
            ("agent", "secre"),
            ("agent", "secret1"),
            ("Agent", "secret"),
            ("", "secret"),
        ] {
            assert!(!wanted.are(user.as_bytes(), password.as_bytes()), "{user} {password}");
        }
    }
}
