//! One socket asked once.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;

use portolan_linux::error::NetError;
use portolan_linux::{ErrorKind, NamespaceId};
use tokio::task::JoinSet;

use crate::cache::{Cache, Entry};
use crate::client::Client;
use crate::described::described;
use crate::fault::{Fault, Trouble};
use crate::sockets::{Place, take};
use crate::speaker::Target;
use crate::transport::Line;

/// So many containers of one socket are asked about at a time.
pub(crate) const AT_ONCE: usize = 8;
/// Digests of one image that are kept.
const DIGESTS: usize = 64;

/// What a socket's thread reports, as it comes.
#[derive(Debug)]
pub(crate) enum Said {
    /// About a container.
    Of(Box<Entry>),
    /// What it did not say.
    Not(Fault),
    /// That is all, of the socket at this path.
    Done(PathBuf),
}

/// What all sockets' threads share in one round.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    pub(crate) targets: Arc<[Target]>,
    pub(crate) cache: Arc<Cache>,
    pub(crate) own_pids: NamespaceId,
    pub(crate) until: Instant,
    /// Which sockets were met under another path.
    pub(crate) met: Arc<std::sync::Mutex<std::collections::HashSet<(u64, u64)>>>,
}

impl Round {
    /// Asks one socket about the containers that it may speak of, until the deadline.
    pub(crate) fn run(&self, place: &Place, said: &Sender<Said>) {
        if let Err(trouble) = self.ask(place, said)
            && !self.is_leftover(place, &trouble)
        {
            let _ = said.send(Said::Not(Fault::of_socket(&place.path, trouble)));
        }
    }

    /// Whether the socket is a file that a runtime left when it ended, and none of its containers run: no news.
    fn is_leftover(&self, place: &Place, trouble: &Trouble) -> bool {
        let refused = matches!(trouble, Trouble::Io { kind: ErrorKind::Net(NetError::Refused), .. });
        refused && !place.given && !self.targets.iter().any(|target| target.is_of(place.engine()))
    }

    fn ask(&self, place: &Place, said: &Sender<Said>) -> Result<(), Trouble> {
        let Some(socket) = take(place)? else { return Ok(()) };
        let first = self.met.lock().is_ok_and(|mut met| met.insert(socket.identity));
        if !first {
            return Ok(());
        }
        let line = Arc::new(Line::new(place.path.clone(), socket, place.user, self.own_pids));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Trouble::of_io(&e))?;
        let talked = runtime.block_on(async {
            let until = tokio::time::Instant::from_std(self.until);
            tokio::time::timeout_at(until, self.talk(line, said)).await
        });
        // Nothing that still runs there is waited for.
        runtime.shutdown_background();
        talked.unwrap_or(Err(Trouble::Deadline))
    }

    async fn talk(&self, line: Arc<Line>, said: &Sender<Said>) -> Result<(), Trouble> {
        let client = Arc::new(Client::meet(line).await?);
        let Some(speaker) = client.line.speaker() else { return Ok(()) };
        let mine =
            |target: &&Target| target.may_be_spoken_of_by(speaker.user) && target.may_be_of(client.engine);
        let mut waiting: VecDeque<Target> = VecDeque::new();
        for target in self.targets.iter().filter(mine) {
            match self.cache.get(&client.line.path, &target.id) {
                Some((entry, true)) if target.compare(entry.pid, entry.speaker).is_ok() => {
                    let _ = said.send(Said::Of(Box::new(entry)));
                }
                _ => waiting.push_back(target.clone()),
            }
        }
        let mut asked = JoinSet::new();
        loop {
            while asked.len() < AT_ONCE
                && let Some(target) = waiting.pop_front()
            {
                let (client, cache) = (Arc::clone(&client), Arc::clone(&self.cache));
                asked.spawn(async move {
                    let answer = about(&client, &cache, &target.id).await;
                    (target, answer)
                });
            }
            let Some(done) = asked.join_next().await else { return Ok(()) };
            let Ok((target, answer)) = done else { continue };
            self.report(&client.line.path, &target, answer, said);
        }
    }

    fn report(&self, socket: &Path, target: &Target, answer: Asked, said: &Sender<Said>) {
        let fault =
            |trouble| Fault { container: Some(target.id.clone()), ..Fault::of_socket(socket, trouble) };
        let result = match answer {
            // It is not this runtime's, or no longer.
            Ok(None) => {
                self.cache.remove(socket, &target.id);
                return;
            }
            Ok(Some((entry, missing))) => {
                for trouble in missing {
                    let _ = said.send(Said::Not(fault(trouble)));
                }
                target.compare(entry.pid, entry.speaker).map(|()| entry)
            }
            Err(trouble) => Err(trouble),
        };
        let report = match result {
            Ok(entry) => {
                self.cache.put(socket, (*entry).clone());
                Said::Of(entry)
            }
            Err(trouble) => Said::Not(fault(trouble)),
        };
        let _ = said.send(report);
    }
}

/// An answer about a container and what of it is missing; nothing when the runtime does not know it.
pub(crate) type Asked = Result<Option<(Box<Entry>, Vec<Trouble>)>, Trouble>;

/// Asks a runtime all about a container.
pub(crate) async fn about(client: &Client, cache: &Cache, id: &str) -> Asked {
    let Some((answer, weight)) = client.container(id).await? else { return Ok(None) };
    let Some(speaker) = client.line.speaker() else { return Ok(None) };
    let socket = &client.line.path;
    let (mut metadata, pid) = described(id, answer, client.engine, socket, speaker.user);
    let mut missing = Vec::new();
    if let Some(image) = metadata.image.id.clone() {
        match cache.digests(socket, &image) {
            Some(known) => metadata.image.digests = known,
            None => match client.digests(&image).await {
                Ok(mut digests) => {
                    digests.truncate(DIGESTS);
                    cache.put_digests(socket, image, digests.clone());
                    metadata.image.digests = digests;
                }
                // An image can be deleted under its container.
                Err(Trouble::Refused { status: 404, .. }) => {}
                Err(trouble) => missing.push(trouble),
            },
        }
    }
    match client.podmans_own(id).await {
        Ok(None) => {}
        Ok(Some(own)) => {
            metadata.pod = metadata.pod.or(own.pod);
            metadata.log_driver = own.log_driver.or(metadata.log_driver);
            metadata.log_path = own.log_path.or(metadata.log_path);
        }
        Err(trouble) => missing.push(trouble),
    }
    Ok(Some((Box::new(Entry { metadata, pid, speaker, weight }), missing)))
}
