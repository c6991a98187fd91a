//! `tonic`, here with an etcd: calls us for each connection.
//!
//! `etcd-client` takes the same channel, with its feature `raw-channel`:
//! `Client::from_channel(Channel::Tonic(channel), None)`. Other services are generated from their own definitions; the
//! four messages below stand for that.

use std::net::SocketAddr;
use std::time::Duration;

use http::uri::PathAndQuery;
use portolan_dial::Dialer;
use tonic::Request;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use crate::{Answer, Error};

/// What was stored a moment ago.
///
/// # Errors
/// When it cannot be dialed, or does not answer as an etcd.
pub async fn ask(dialer: &Dialer, address: SocketAddr) -> Answer {
    let endpoint = Endpoint::from_static("http://etcd.inside.test").timeout(Duration::from_secs(5));
    let channel = endpoint.connect_with_connector(dialer.connector().to(address)).await?;
    let mut etcd = Grpc::new(channel);
    let put = Put { key: b"portolan".to_vec(), value: b"stored inside".to_vec() };
    let _: Stored = call(&mut etcd, "/etcdserverpb.KV/Put", put).await?;
    let range = Range { key: b"portolan".to_vec() };
    let found: Found = call(&mut etcd, "/etcdserverpb.KV/Range", range).await?;
    Ok(String::from_utf8(found.pairs.into_iter().next().ok_or("it is not there")?.value)?)
}

async fn call<Q, A>(etcd: &mut Grpc<Channel>, method: &'static str, question: Q) -> Result<A, Error>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    etcd.ready().await?;
    let codec = ProstCodec::<Q, A>::default();
    Ok(etcd.unary(Request::new(question), PathAndQuery::from_static(method), codec).await?.into_inner())
}

#[derive(Clone, PartialEq, prost::Message)]
struct Put {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Stored {}

#[derive(Clone, PartialEq, prost::Message)]
struct Range {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Found {
    #[prost(message, repeated, tag = "2")]
    pairs: Vec<Pair>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Pair {
    #[prost(bytes = "vec", tag = "5")]
    value: Vec<u8>,
}
