//! `rumqttc`: takes no stream, but a Unix socket. Its event loop connects again by itself, and lands inside each time.

use std::net::SocketAddr;
use std::time::Duration;

use portolan_dial::Dialer;
use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, QoS, Transport};
use tokio::time::timeout;

use crate::Answer;

/// A message that went through a topic.
///
/// # Errors
/// When it cannot be dialed, or does not answer as an MQTT broker.
pub async fn ask(dialer: &Dialer, address: SocketAddr) -> Answer {
    let tunnel = dialer.tunnel(address).start()?;
    // With this transport the host is a path, and the port plays no part.
    let mut options = MqttOptions::new("portolan", tunnel.address().to_string(), 1);
    options.set_transport(Transport::unix());
    let (client, mut events) = AsyncClient::new(options, 8);
    client.subscribe("portolan/example", QoS::AtLeastOnce).await?;
    client.publish("portolan/example", QoS::AtLeastOnce, false, "published").await?;
    loop {
        if let Event::Incoming(Incoming::Publish(message)) =
            timeout(Duration::from_secs(5), events.poll()).await??
        {
            return Ok(String::from_utf8(message.payload.into())?);
        }
    }
}
