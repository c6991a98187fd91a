//! `async-nats`: takes neither a stream nor a Unix socket, and follows the addresses that servers give it.
//!
//! So it lives in a runtime inside, where every address is the container's. What it returns are answers; a client that
//! was taken out of there would connect again on the host.

use std::net::SocketAddr;

use futures_util::StreamExt as _;
use portolan_dial::Dialer;

use crate::{Answer, Error};

/// A message that went through a subject, and the server's name.
///
/// # Errors
/// When it cannot be dialed, or does not answer as a NATS.
pub async fn ask(dialer: &Dialer, address: SocketAddr) -> Answer {
    let inside = dialer.runtime()?;
    let exchange = async move || {
        let nats = async_nats::connect(address.to_string()).await?;
        let mut messages = nats.subscribe("portolan.example").await?;
        nats.publish("portolan.example", "published".into()).await?;
        let message = messages.next().await.ok_or("the subscription ended")?;
        Ok::<_, Error>((nats.server_info().server_name, String::from_utf8(message.payload.into())?))
    };
    let (name, text) = inside.run(exchange).await??;
    Ok(format!("{text} at {name}"))
}
