//! `lapin`: calls us for each connection, also for those by which it recovers.

use std::net::SocketAddr;
use std::time::Duration;

use async_compat::Compat;
use lapin::options::{BasicGetOptions, BasicPublishOptions, QueueDeclareOptions};
use lapin::tcp::AsyncTcpStream;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use portolan_dial::Dialer;

use crate::Answer;

/// A message that went through a queue.
///
/// # Errors
/// When it cannot be dialed, or does not answer as an AMQP broker.
pub async fn ask(dialer: &Dialer, address: SocketAddr) -> Answer {
    let dialer = dialer.clone();
    let connect = async move |_, _| {
        let stream =
            dialer.connect_async(address, Duration::from_secs(2)).await.map_err(std::io::Error::other)?;
        Ok(AsyncTcpStream::Plain(Compat::new(stream)))
    };
    // Of the URI only the user, the password and the virtual host count.
    let uri = "amqp://guest:guest@inside/%2f".parse()?;
    let runtime = lapin::runtime::default_runtime()?;
    let rabbit = Connection::connector(uri, runtime, connect, ConnectionProperties::default()).await?;
    let channel = rabbit.create_channel().await?;
    let queue =
        channel.queue_declare("".into(), QueueDeclareOptions::default(), FieldTable::default()).await?;
    let (name, properties) = (queue.name().clone(), BasicProperties::default());
    let sent =
        channel.basic_publish("".into(), name.clone(), BasicPublishOptions::default(), b"queued", properties);
    sent.await?.await?;
    let got = channel.basic_get(name, BasicGetOptions::default()).await?.ok_or("the queue is empty")?;
    let text = String::from_utf8(got.delivery.data.clone())?;
    rabbit.close(200, "done".into()).await?;
    Ok(text)
}
