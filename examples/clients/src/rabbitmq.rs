//! `lapin`: calls us for each connection, also for those by which it recovers. `amqprs` takes neither a stream nor a
//! Unix socket, and lives in a runtime inside.

use std::net::SocketAddr;
use std::time::Duration;

use amqprs::channel::{BasicGetArguments, BasicPublishArguments, QueueDeclareArguments};
use amqprs::connection::OpenConnectionArguments;
use async_compat::Compat;
use lapin::options::{BasicGetOptions, BasicPublishOptions, QueueDeclareOptions};
use lapin::tcp::AsyncTcpStream;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use portolan_dial::Dialer;

use crate::{Answer, Error};

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

/// The same with `amqprs`.
///
/// # Errors
/// As [`ask`].
pub async fn ask_inside(dialer: &Dialer, address: SocketAddr) -> Answer {
    let inside = dialer.runtime()?;
    let exchange = async move || {
        let login = OpenConnectionArguments::new(&address.ip().to_string(), address.port(), "guest", "guest");
        let rabbit = amqprs::connection::Connection::open(&login).await?;
        let channel = rabbit.open_channel(None).await?;
        let queue = channel.queue_declare(QueueDeclareArguments::transient_autodelete("portolan")).await?;
        let (name, _, _) = queue.ok_or("no queue")?;
        let to = BasicPublishArguments::new("", &name);
        channel.basic_publish(amqprs::BasicProperties::default(), b"queued".to_vec(), to).await?;
        let got = channel.basic_get(BasicGetArguments::new(&name)).await?;
        rabbit.close().await?;
        let (_, _, text) = got.ok_or("the queue is empty")?;
        Ok::<_, Error>(String::from_utf8(text)?)
    };
    inside.run(exchange).await?
}
