//! What changed between two scans.
//!
//! A container is the same as long as its id is, a listener as long as its socket is; one that was closed and opened
//! again at the same address, for the same container, is told as changed. What the later scan could not look at is
//! taken to be as it was: it is never told as removed.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::Hash;

use portolan_linux::NamespaceId;

use crate::container::Container;
use crate::inventory::Inventory;
use crate::listener::{Listener, Local, Protocol};

/// What changed between two scans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diff {
    /// Of the containers. How many processes a container has is not compared.
    pub containers: Changes<Container>,
    /// Of the listeners.
    pub listeners: Changes<Listener>,
}

/// What came, changed and went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes<T> {
    /// Not there before.
    pub added: Vec<T>,
    /// There before and after, but not alike: as it was, and as it is.
    pub changed: Vec<(T, T)>,
    /// Not there any more.
    pub removed: Vec<T>,
}

impl<T> Default for Changes<T> {
    fn default() -> Self {
        Self { added: Vec::new(), changed: Vec::new(), removed: Vec::new() }
    }
}

impl<T> Changes<T> {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

impl Diff {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.containers.is_empty() && self.listeners.is_empty()
    }

    /// `after` has [kept](Inventory::keeping) what it could not look at.
    pub(crate) fn between(before: &Inventory, after: &Inventory) -> Self {
        Self::of_parts((&before.containers, &before.listeners), (&after.containers, &after.listeners))
    }

    /// Between what a part of a chart was, and what it is.
    pub(crate) fn of_parts(
        (was_containers, was_listeners): (&[Container], &[Listener]),
        (containers, listeners): (&[Container], &[Listener]),
    ) -> Self {
        let alike =
            |a: &Container, b: &Container| a == b || Container { processes: b.processes, ..a.clone() } == *b;
        let (was, is) = unlike(was_containers, containers, alike, Container::order);
        let containers = changes(was, is, |c| c.id.clone(), alike);
        let same_socket = |l: &Listener| (l.netns, l.protocol, l.local.clone(), l.inode);
        let (was, is) = unlike(was_listeners, listeners, Listener::eq, Listener::order);
        let mut listeners = changes(was, is, same_socket, Listener::eq);
        // What is left of both may be one service that opened its socket anew.
        let anew = changes(
            listeners.removed.iter().collect(),
            listeners.added.iter().collect(),
            same_address,
            |_, _| false,
        );
        listeners.changed.extend(anew.changed);
        (listeners.added, listeners.removed) = (anew.added, anew.removed);
        Self { containers, listeners }
    }
}

type Address = (NamespaceId, Protocol, Local, Option<String>);

fn same_address(l: &Listener) -> Address {
    (l.netns, l.protocol, l.local.clone(), l.container.clone())
}

/// What has nothing like it in the other list. Most have, and both lists are mostly in order.
fn unlike<'a, T>(
    before: &'a [T],
    after: &'a [T],
    alike: impl Fn(&T, &T) -> bool,
    order: impl Fn(&T, &T) -> Ordering,
) -> (Vec<&'a T>, Vec<&'a T>) {
    let (mut was, mut is) = (Vec::new(), Vec::new());
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    while let (Some(one), Some(other)) = (before.peek(), after.peek()) {
        let (first, second) = if alike(one, other) {
            let _ = (before.next(), after.next());
            continue;
        } else {
            let order = order(one, other);
            (order.is_le(), order.is_ge())
        };
        was.extend(before.next_if(|_| first));
        is.extend(after.next_if(|_| second));
    }
    was.extend(before);
    is.extend(after);
    (was, is)
}

/// Pairs what has the same key, in order; what is left over came or went.
fn changes<T: Clone, K: Hash + Eq>(
    before: Vec<&T>,
    after: Vec<&T>,
    key: impl Fn(&T) -> K,
    alike: impl Fn(&T, &T) -> bool,
) -> Changes<T> {
    let mut old: HashMap<K, Vec<&T>> = HashMap::new();
    for item in before.iter().rev() {
        old.entry(key(item)).or_default().push(item);
    }
    let mut changes = Changes::default();
    for item in after {
        match old.get_mut(&key(item)).and_then(Vec::pop) {
            None => changes.added.push(item.clone()),
            Some(was) if alike(was, item) => {}
            Some(was) => changes.changed.push((was.clone(), item.clone())),
        }
    }
    // In the order in which they were.
    for item in before {
        if let Some(left) = old.get_mut(&key(item))
            && let Some(at) = left.iter().position(|other| std::ptr::eq(*other, item))
        {
            left.remove(at);
            changes.removed.push(item.clone());
        }
    }
    changes
}

impl Inventory {
    /// What changed since another scan of the same host.
    ///
    /// What this scan could not look at ([`Inventory::unseen`]) is taken to be as it was.
    ///
    /// # Example
    /// ```
    /// use portolan_scan::{ScanOptions, scan};
    ///
    /// let before = scan(&ScanOptions::default())?;
    /// let after = scan(&ScanOptions::default())?;
    /// for gone in after.diff(&before).listeners.removed {
    ///     println!("nobody listens on {} any more", gone.place());
    /// }
    /// # Ok::<(), portolan_scan::Error>(())
    /// ```
    #[must_use]
    pub fn diff(&self, before: &Self) -> Diff {
        Diff::between(before, &self.clone().keeping(before))
    }

    /// This scan, and from one before it what this one could not look at.
    #[must_use]
    pub fn keeping(mut self, before: &Self) -> Self {
        let hidden: HashSet<i32> = self.unseen.processes.iter().copied().collect();
        let newly = self.unseen.processes.iter().any(|pid| !before.unseen.processes.contains(pid));
        let known: HashSet<&str> = self.containers.iter().map(|c| c.id.as_str()).collect();
        let lost = |c: &&Container| {
            !known.contains(c.id.as_str()) && (hidden.contains(&c.init.pid) || newly && c.processes > 1)
        };
        let lost: Vec<Container> = before.containers.iter().filter(lost).cloned().collect();
        let kept: HashSet<String> = lost.iter().map(|c| c.id.clone()).collect();
        self.containers.extend(lost);

        let silent: HashSet<NamespaceId> = self.unseen.namespaces.iter().copied().collect();
        let was: HashMap<_, _> = before
            .listeners
            .iter()
            .filter(|l| l.owner.is_some_and(|owner| hidden.contains(&owner.pid)))
            .map(|l| (socket(l), l))
            .collect();
        for listener in self.listeners.iter_mut().filter(|l| l.owner.is_none()) {
            let was = was.get(&socket(listener)).copied();
            if let Some(was) = was
                && was.owner.is_some_and(|owner| hidden.contains(&owner.pid))
            {
                listener.owner = was.owner;
                listener.command.clone_from(&was.command);
                listener.container.clone_from(&was.container);
            }
        }
        if silent.is_empty() && kept.is_empty() && hidden.is_empty() {
            return self;
        }
        let there: HashSet<_> = self.listeners.iter().map(socket).collect();
        let charted: HashSet<NamespaceId> = self.network_namespaces.iter().copied().collect();
        let unheard = |l: &&Listener| {
            let of_kept = l.container.as_ref().is_some_and(|id| kept.contains(id));
            let of_hidden = l.owner.is_some_and(|owner| hidden.contains(&owner.pid));
            !there.contains(&socket(l))
                && (silent.contains(&l.netns) || !charted.contains(&l.netns) && (of_kept || of_hidden))
        };
        let unheard: Vec<Listener> = before.listeners.iter().filter(unheard).cloned().collect();
        self.listeners.extend(unheard);
        self
    }
}

fn socket(l: &Listener) -> (NamespaceId, Protocol, u32, &Local) {
    (l.netns, l.protocol, l.inode, &l.local)
}

impl fmt::Display for Diff {
    /// One line for each change: `+` for what came, `~` for what changed, `-` for what went.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let container =
            |c: &Container| format!("container {} {}", c.runtime, c.name.as_deref().unwrap_or(&c.id));
        let listener = |l: &Listener| {
            let of = l.container.as_deref().unwrap_or("the host");
            format!("{} {} of {}, {of}", l.protocol, l.place(), l.command.as_deref().unwrap_or("?"))
        };
        lines(f, &self.containers, container)?;
        lines(f, &self.listeners, listener)
    }
}

fn lines<T>(f: &mut fmt::Formatter<'_>, changes: &Changes<T>, says: impl Fn(&T) -> String) -> fmt::Result {
    for item in &changes.added {
        writeln!(f, "+ {}", says(item))?;
    }
    for (_, item) in &changes.changed {
        writeln!(f, "~ {}", says(item))?;
    }
    for item in &changes.removed {
        writeln!(f, "- {}", says(item))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
