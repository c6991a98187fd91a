//! What was said before.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::metadata::Metadata;
use crate::speaker::Speaker;

/// Containers of one socket that are kept.
pub(crate) const MOST: usize = 4096;
/// Bytes of their answers, which what is kept of them is not more than a few times over.
const BYTES: usize = 64 * 1024 * 1024;

/// What a socket said of a container.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) metadata: Metadata,
    /// The first process, by the daemon's word.
    pub(crate) pid: i64,
    pub(crate) speaker: Speaker,
    /// How many bytes its answer had.
    pub(crate) weight: usize,
}

/// What one socket said.
#[derive(Debug, Default)]
struct Told {
    entries: HashMap<String, Entry>,
    weight: usize,
    /// Whether its events are listened to, so that an entry which is not stale is as good as a new answer.
    live: bool,
    stale: HashSet<String>,
    /// By image id, which stands for one content for ever.
    digests: HashMap<String, Vec<String>>,
}

/// By socket and id, what was said.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<HashMap<PathBuf, Told>>);

impl Cache {
    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Told>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a socket said of a container, and whether that is known to hold still.
    pub(crate) fn get(&self, socket: &Path, id: &str) -> Option<(Entry, bool)> {
        let all = self.lock();
        let told = all.get(socket)?;
        Some((told.entries.get(id)?.clone(), told.live && !told.stale.contains(id)))
    }

    /// Keeps an answer. One that is too much is not kept: it will be asked for again.
    pub(crate) fn put(&self, socket: &Path, entry: Entry) {
        let mut all = self.lock();
        let told = all.entry(socket.to_owned()).or_default();
        told.remove(&entry.metadata.id);
        let weight = told.weight.saturating_add(entry.weight);
        if told.entries.len() < MOST && weight <= BYTES {
            told.weight = weight;
            told.entries.insert(entry.metadata.id.clone(), entry);
        }
    }

    pub(crate) fn remove(&self, socket: &Path, id: &str) {
        if let Some(told) = self.lock().get_mut(socket) {
            told.remove(id);
        }
    }

    /// Something happened to a container: what is known of it may not hold.
    pub(crate) fn doubt(&self, socket: &Path, id: &str) {
        if let Some(told) = self.lock().get_mut(socket)
            && told.entries.contains_key(id)
        {
            told.stale.insert(id.to_owned());
        }
    }

    /// Whether from now on a socket's events are listened to.
    pub(crate) fn set_live(&self, socket: &Path, live: bool) {
        self.lock().entry(socket.to_owned()).or_default().live = live;
    }

    /// Forgets what is not among these, unless its events say what goes.
    pub(crate) fn keep(&self, ids: &HashSet<&str>) {
        for told in self.lock().values_mut().filter(|told| !told.live) {
            told.retain(|id| ids.contains(id));
        }
    }

    /// Forgets what a socket no longer has; gives what was forgotten.
    pub(crate) fn keep_of(&self, socket: &Path, ids: &HashSet<&str>) -> Vec<String> {
        let mut all = self.lock();
        let Some(told) = all.get_mut(socket) else { return Vec::new() };
        let gone: Vec<String> =
            told.entries.keys().filter(|id| !ids.contains(id.as_str())).cloned().collect();
        told.retain(|id| ids.contains(id));
        gone
    }

    pub(crate) fn digests(&self, socket: &Path, image: &str) -> Option<Vec<String>> {
        self.lock().get(socket)?.digests.get(image).cloned()
    }

    pub(crate) fn put_digests(&self, socket: &Path, image: String, digests: Vec<String>) {
        let mut all = self.lock();
        let told = all.entry(socket.to_owned()).or_default();
        if told.digests.len() >= MOST {
            told.digests.clear();
        }
        told.digests.insert(image, digests);
    }
}

impl Told {
    fn remove(&mut self, id: &str) {
        self.stale.remove(id);
        if let Some(entry) = self.entries.remove(id) {
            self.weight = self.weight.saturating_sub(entry.weight);
        }
    }

    fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.entries.retain(|id, _| keep(id));
        self.stale.retain(|id| keep(id));
        self.weight = self.entries.values().fold(0, |sum, entry| sum.saturating_add(entry.weight));
    }
}
