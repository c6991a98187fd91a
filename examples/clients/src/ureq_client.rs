//! `ureq`: calls us for each connection, and blocks.

use std::net::SocketAddr;
use std::time::Duration;

use portolan_dial::Dialer;
use ureq::Agent;

use crate::Answer;

/// How much is taken of what the other side says, and for how long.
const MOST: u64 = 64 * 1024;
const LIMIT: Duration = Duration::from_secs(5);

/// A page.
///
/// # Errors
/// When it cannot be dialed, or does not answer as a web server.
pub fn ask(dialer: &Dialer, address: SocketAddr) -> Answer {
    let config = Agent::config_builder().timeout_global(Some(LIMIT)).build();
    let agent = dialer.ureq_connector().to(address).agent(config);
    let mut answer = agent.get("http://web.inside.test/").call()?;
    Ok(answer.body_mut().with_config().limit(MOST).read_to_string()?)
}
