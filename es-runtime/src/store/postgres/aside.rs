//! Commits that somebody else's open transaction keeps waiting. They wait aside, so that nobody waits behind them.
//!
//! A transaction that stays open may hold a version of a stream, a unique key, or a projection. Whoever needs it waits for the server's lock, and
//! a group of commits waits for the slowest of them. So a group does not wait for long: it is halved until the commits that wait are found, and
//! those are handed to this task, which has a connection of its own. Further commits that may need the same come here too, in their order, until it
//! is free.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::Instant;

use super::open::LOCK_TIMEOUT;
use super::writer::Writer;
use crate::event::StreamId;
use crate::projection::ProjectionDescriptor;
use crate::store::group::answer::{Failed, Pending, refuse};
use crate::store::group::sync::is_connected;
use crate::store::{NewCommit, StoreError};

/// How long a part of a group, and a commit that waits aside beside many others, waits for a lock at a time.
pub(super) const TRY: Duration = Duration::from_millis(20);

/// For how long commits come here after one of them has waited in vain.
const REMEMBERED: Duration = Duration::from_secs(10);

/// How many commits are tried together at most.
const GROUP: usize = 256;

/// How many keys are remembered before those are forgotten for which nobody waits.
const KEYS: usize = 1_024;

/// What somebody else's transaction may hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Stream(StreamId),
    /// A synchronous projection, by its name.
    Projection(&'static str),
}

/// Names what a commit may wait for.
fn keys_of(commit: &NewCommit) -> Vec<Key> {
    let mut keys = vec![Key::Stream(commit.stream.clone())];
    let takes = |projection: &&'static ProjectionDescriptor| {
        commit.events.iter().any(|event| projection.takes_in_append(commit.stream.category(), &event.name))
    };
    let projections = commit.projections.iter().flat_map(|projections| projections.descriptors());
    keys.extend(projections.filter(takes).map(|projection| Key::Projection(projection.name)));
    keys
}

/// What commits wait for here.
#[derive(Clone, Debug, Default)]
struct Held(Arc<Mutex<FxHashMap<Key, Waiting>>>);

#[derive(Debug)]
struct Waiting {
    commits: usize,
    until: Instant,
}

impl Waiting {
    fn goes_on(&self, now: Instant) -> bool {
        self.commits > 0 || self.until > now
    }
}

impl Held {
    /// Takes note that a commit waits for these.
    fn add(&self, keys: impl Iterator<Item = Key>) {
        let until = Instant::now() + REMEMBERED;
        let mut held = self.0.lock();
        for key in keys {
            held.entry(key).or_insert(Waiting { commits: 0, until }).commits += 1;
        }
    }

    /// Takes note that a commit was answered: what it waited for is free, or still held.
    fn answered(&self, keys: &[Key], is_free: bool) {
        let mut held = self.0.lock();
        for key in keys {
            let Some(waiting) = held.get_mut(key) else { continue };
            waiting.commits = waiting.commits.saturating_sub(1);
            waiting.until = Instant::now() + if is_free { Duration::ZERO } else { REMEMBERED };
            if waiting.commits == 0 && is_free {
                held.remove(key);
            }
        }
    }
}

/// The writer's end.
#[derive(Debug)]
pub(super) struct Aside {
    queue: mpsc::Sender<Pending>,
    held: Held,
}

/// The task's end.
pub(super) struct Task {
    writer: Writer,
    queue: mpsc::Receiver<Pending>,
    held: Held,
}

impl Aside {
    /// Makes the two ends. The writer has a connection of its own.
    pub(super) fn new(writer: Writer, queue: usize) -> (Self, Task) {
        let ((queue, waiting), held) = (mpsc::channel(queue), Held::default());
        (Self { queue, held: held.clone() }, Task { writer, queue: waiting, held })
    }

    /// Hands the commits over that may wait for the same as others here. Returns the rest.
    pub(super) fn take(&self, group: Vec<Pending>) -> Vec<Pending> {
        let mut held = self.held.0.lock();
        if held.is_empty() {
            return group;
        }
        let now = Instant::now();
        if held.len() > KEYS {
            held.retain(|_, waiting| waiting.goes_on(now));
        }
        let waits = |pending: &Pending| {
            keys_of(&pending.commit).iter().any(|key| held.get(key).is_some_and(|waiting| waiting.goes_on(now)))
        };
        let (waiting, others): (Vec<_>, Vec<_>) = group.into_iter().partition(waits);
        drop(held);
        for pending in waiting {
            self.hand_over(pending);
        }
        others
    }

    /// Hands a commit over that waits for somebody else's transaction. From here on, commits that may wait for the same follow it.
    pub(super) fn hand_over(&self, pending: Pending) {
        let keys = keys_of(&pending.commit);
        self.held.add(keys.iter().cloned());
        let Err(TrySendError::Full(pending) | TrySendError::Closed(pending)) = self.queue.try_send(pending) else {
            return;
        };
        // As many wait here as may wait at all.
        self.held.answered(&keys, false);
        refuse(vec![pending], &Failed::store(StoreError::Locked { waited: LOCK_TIMEOUT }));
    }
}

impl Task {
    /// Works until the writer is gone, and everything that was handed over is answered.
    pub(super) async fn run(mut self) {
        let mut waiting: Vec<(Pending, Instant)> = Vec::new();
        loop {
            if waiting.is_empty() {
                match self.queue.recv().await {
                    Some(pending) => waiting.push((pending, Instant::now())),
                    None => break,
                }
            }
            while let Ok(pending) = self.queue.try_recv() {
                waiting.push((pending, Instant::now()));
            }
            let before = waiting.len();
            waiting = self.round(waiting).await;
            if waiting.len() == before {
                tokio::time::sleep(TRY).await;
            }
        }
        self.writer.disconnect().await;
    }

    /// Tries those that wait: first together, in case that they are free by now, then stream by stream. Returns those that still wait.
    async fn round(&mut self, waiting: Vec<(Pending, Instant)>) -> Vec<(Pending, Instant)> {
        let waiting = self.together(waiting).await;
        let streams: FxHashSet<&StreamId> = waiting.iter().map(|(pending, _)| &pending.commit.stream).collect();
        let share = LOCK_TIMEOUT / 2 / u32::try_from(streams.len().max(1)).unwrap_or(u32::MAX);
        self.writer.wait_for_locks(share.max(TRY)).await;
        let mut rest = Vec::new();
        let mut blocked: FxHashSet<StreamId> = FxHashSet::default();
        for (pending, since) in waiting {
            let stream = pending.commit.stream.clone();
            if blocked.contains(&stream) && since.elapsed() < LOCK_TIMEOUT {
                rest.push((pending, since));
                continue;
            }
            let keys = keys_of(&pending.commit);
            let Some((pending, error)) = self.writer.try_one(pending).await else {
                self.held.answered(&keys, true);
                continue;
            };
            blocked.insert(stream);
            if since.elapsed() < LOCK_TIMEOUT {
                rest.push((pending, since));
                continue;
            }
            self.held.answered(&keys, false);
            refuse(vec![pending], &Failed::store(error));
        }
        rest
    }

    /// Tries those that may share a transaction as groups. Returns the others, and those that wait, in their order.
    async fn together(&mut self, waiting: Vec<(Pending, Instant)>) -> Vec<(Pending, Instant)> {
        let alone = waiting.iter().any(|(pending, _)| is_connected(&pending.commit));
        if waiting.len() < 2 || alone {
            return waiting;
        }
        self.writer.wait_for_locks(TRY).await;
        let mut waiting = waiting.into_iter();
        loop {
            let (group, since): (Vec<_>, Vec<_>) = waiting.by_ref().take(GROUP).unzip();
            if group.is_empty() {
                return Vec::new();
            }
            let keys: Vec<_> = group.iter().map(|pending| keys_of(&pending.commit)).collect();
            let left = self.writer.try_group(group).await.map_or(Vec::new(), |(left, _)| left);
            if left.len() < since.len() {
                self.held.add(left.iter().flat_map(|pending| keys_of(&pending.commit)));
                for keys in &keys {
                    self.held.answered(keys, true);
                }
            }
            if left.is_empty() {
                continue;
            }
            // Behind those that wait come others of their streams: all of them are tried stream by stream.
            let oldest = since.iter().min().copied().unwrap_or_else(Instant::now);
            let is_whole = left.len() == since.len();
            let since = since.into_iter().map(|since| if is_whole { since } else { oldest });
            return left.into_iter().zip(since).chain(waiting).collect();
        }
    }
}
