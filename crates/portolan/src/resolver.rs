//! Names as a container has them.

use portolan_dial::Resolver;
use portolan_files::ReadOptions;

use crate::{ErrorKind, Host, Result, Target};

/// Longer files are cut.
const BYTES: u64 = 1024 * 1024;

impl Host {
    /// A resolver for the target's names: by its own `/etc/resolv.conf` and `/etc/hosts`, read inside now, and by its
    /// name servers, asked from inside. Needs the feature `dns`.
    ///
    /// A file that is not there is as an empty one. Host names and TLS names stay what the client makes of them.
    ///
    /// # Errors
    /// As [`dialer`](Self::dialer) and [`read`](Self::read).
    ///
    /// # Example
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// let host = portolan::Host::new();
    /// let shop = host.target("shop")?;
    /// let resolver = host.resolver(&shop)?;
    /// for address in resolver.lookup("db", Duration::from_secs(2)).await? {
    ///     println!("{address}");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn resolver(&self, target: &Target) -> Result<Resolver> {
        let dialer = self.dialer(target)?;
        let conf = self.text_inside(target, "/etc/resolv.conf")?;
        let hosts = self.text_inside(target, "/etc/hosts")?;
        Ok(Resolver::new(&dialer, &conf, &hosts)?)
    }

    fn text_inside(&self, target: &Target, path: &str) -> Result<Vec<u8>> {
        match self.read(target, path, &ReadOptions::default().max_bytes(BYTES).prefix()) {
            Ok(content) => Ok(content.bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}
