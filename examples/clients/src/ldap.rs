//! `ldap3`: takes a stream of the standard library, also its blocking `LdapConn`.
//!
//! The URL's host is not dialed any more; with `ldaps` it is the name that the certificate has to bear.

use std::net::SocketAddr;
use std::time::Duration;

use ldap3::{LdapConnAsync, LdapConnSettings, Scope, SearchEntry, StdStream};
use portolan_dial::Dialer;

use crate::Answer;

/// The naming context of the directory.
///
/// # Errors
/// When it cannot be dialed, or does not answer as an LDAP server.
pub async fn ask(dialer: &Dialer, address: SocketAddr, password: &str) -> Answer {
    let stream = dialer.connect_async(address, Duration::from_secs(2)).await?.into_std()?;
    let settings = LdapConnSettings::new().set_std_stream(StdStream::Tcp(stream));
    let (connection, mut ldap) = LdapConnAsync::with_settings(settings, "ldap://inside").await?;
    ldap3::drive!(connection);
    ldap.with_timeout(Duration::from_secs(2));
    ldap.simple_bind("cn=admin,dc=inside,dc=test", password).await?.success()?;
    let search = ldap.search("", Scope::Base, "(objectClass=*)", vec!["namingContexts"]).await?;
    let (entries, _) = search.success()?;
    let entry = SearchEntry::construct(entries.into_iter().next().ok_or("no root entry")?);
    let contexts = entry.attrs.get("namingContexts").ok_or("no naming contexts")?;
    Ok(contexts.concat())
}
