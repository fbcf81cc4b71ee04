//! Tries letters again, in their order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tokio::time::Instant;

use super::assign::partition_of;
use super::control::{Control, ControlError};
use super::subscriber::Subscriber;
use super::work::run_external;
use crate::event::{AnyEvent, EventId, GlobalPosition, Recorded};
use crate::projection::Registered;
use crate::store::{Batch, BatchError, BatchWork, Checkpoint, History, Letter, PartitionId, Store, StoreError};

/// What came of trying letters again. Events are counted, not the keys they stand under.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retried {
    /// How many events were handled.
    pub handled: usize,
    /// Those that failed again.
    pub failed: Vec<FailedLetter>,
    /// How many still wait behind others.
    pub waiting: usize,
}

/// An event that failed again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedLetter {
    /// The partition.
    pub id: PartitionId,
    /// The event's place in the log.
    pub position: GlobalPosition,
    /// The event.
    pub event: EventId,
    /// Why.
    pub cause: String,
}

/// How often a checkpoint is read anew because it moved meanwhile.
const TRIES: u32 = 200;
/// How many letters are looked at.
const LETTERS: usize = 1_000_000;

/// What came of one letter.
enum Tried {
    Handled,
    Failed(String),
    /// It is not there any more.
    Gone,
    /// Now that its keys are known: others of them come first.
    Waits,
}

/// One event that is put aside in one partition.
struct Entry {
    event: EventId,
    keys: BTreeSet<String>,
    touched: DateTime<Utc>,
}

/// The letters of one partition.
struct Queue {
    id: PartitionId,
    entries: BTreeMap<GlobalPosition, Entry>,
    /// The line behind each key.
    lines: BTreeMap<String, BTreeSet<GlobalPosition>>,
    /// Those that are the first of each of their keys and were not tried yet, the one that was touched longest ago first.
    ready: BTreeSet<(DateTime<Utc>, GlobalPosition)>,
}

pub(crate) async fn run<S: Store>(
    control: &Control<S>,
    subscriber: &Subscriber,
    key: Option<&str>,
) -> Result<Retried, ControlError> {
    let (name, version) = (&*subscriber.name, subscriber.projection.version);
    let mut retried = Retried::default();
    for mut queue in queues(control.store.letters(name, version, None, LETTERS).await?) {
        while let Some(position) = queue.pop(key) {
            match try_one(control, subscriber, &queue, position).await? {
                Tried::Handled => {
                    retried.handled += 1;
                    queue.settle(position);
                }
                Tried::Gone => queue.settle(position),
                // It stays the first of its keys, so nothing behind it gets ready.
                Tried::Waits => {}
                Tried::Failed(cause) => {
                    control.store.touch_letter(&queue.id, position, &cause).await?;
                    let event = queue.entries.get(&position).map(|entry| entry.event);
                    let id = queue.id.clone();
                    retried.failed.extend(event.map(|event| FailedLetter { id, position, event, cause }));
                }
            }
        }
        retried.waiting += queue.entries.values().filter(|entry| concerns(entry, key)).count();
    }
    retried.waiting = retried.waiting.saturating_sub(retried.failed.len());
    Ok(retried)
}

fn concerns(entry: &Entry, key: Option<&str>) -> bool {
    key.is_none_or(|key| entry.keys.contains(key))
}

fn queues(letters: Vec<Letter>) -> impl Iterator<Item = Queue> {
    let mut queues: BTreeMap<PartitionId, Queue> = BTreeMap::new();
    for Letter { id, letter, touched } in letters {
        let queue = queues.entry(id).or_insert_with_key(|id| Queue::new(id.clone()));
        let new = || Entry { event: letter.event, keys: BTreeSet::new(), touched };
        queue.lines.entry(letter.key.clone()).or_default().insert(letter.position);
        queue.entries.entry(letter.position).or_insert_with(new).keys.insert(letter.key);
    }
    queues.into_values().map(|mut queue| {
        queue.ready = queue.entries.iter().filter_map(|(position, entry)| queue.place(*position, entry)).collect();
        queue
    })
}

impl Queue {
    const fn new(id: PartitionId) -> Self {
        Self { id, entries: BTreeMap::new(), lines: BTreeMap::new(), ready: BTreeSet::new() }
    }

    /// Gives the place in the order of tries of an event that is the first of each of its keys.
    fn place(&self, position: GlobalPosition, entry: &Entry) -> Option<(DateTime<Utc>, GlobalPosition)> {
        let first = |key: &String| self.lines.get(key).and_then(BTreeSet::first) == Some(&position);
        entry.keys.iter().all(first).then_some((entry.touched, position))
    }

    /// Takes the next one to be tried.
    fn pop(&mut self, key: Option<&str>) -> Option<GlobalPosition> {
        let asked = |position: &GlobalPosition| self.entries.get(position).is_some_and(|entry| concerns(entry, key));
        let place = self.ready.iter().find(|(_, position)| asked(position)).copied()?;
        self.ready.remove(&place);
        Some(place.1)
    }

    /// Takes an event out: those behind it may be ready now.
    fn settle(&mut self, position: GlobalPosition) {
        let Some(entry) = self.entries.remove(&position) else { return };
        let mut behind = BTreeSet::new();
        for key in &entry.keys {
            if let Some(line) = self.lines.get_mut(key) {
                line.remove(&position);
                behind.extend(line.first().copied());
            }
        }
        let places = behind.into_iter().filter_map(|position| self.place(position, self.entries.get(&position)?));
        let places: Vec<_> = places.collect();
        self.ready.extend(places);
    }

    /// Whether an earlier letter stands under one of these keys.
    fn is_before(&self, position: GlobalPosition, keys: &[String]) -> bool {
        keys.iter().filter_map(|key| self.lines.get(key)?.first()).any(|first| *first < position)
    }
}

async fn try_one<S: Store>(
    control: &Control<S>,
    subscriber: &Subscriber,
    queue: &Queue,
    position: GlobalPosition,
) -> Result<Tried, ControlError> {
    let history = control.store.history();
    let Some(event) = control.store.events_at(&[position]).await?.pop() else {
        return Ok(Tried::Failed(format!("the log has no event at position {position}")));
    };
    // They may not have been known when the event was put aside.
    let keys = subscriber.keys(&event);
    if queue.is_before(position, &keys) {
        return Ok(Tried::Waits);
    }
    let partitions = subscriber.partitions();
    // An event whose keys were not known was put aside in every partition: it is handled in its own.
    let elsewhere = keys.first().is_some_and(|key| partition_of(key, partitions) != queue.id.partition);
    let work = match &subscriber.registered {
        _ if elsewhere || !subscriber.projection.takes(&event) => BatchWork::Nothing,
        // Folded inside of the store, on what is there: the worker goes on meanwhile.
        Registered::Folded(projector) => BatchWork::Fold { projector: projector.clone(), events: vec![event] },
        Registered::Connected(projector) => {
            let timeout = control.options.connected_timeout;
            BatchWork::Connected { projector: projector.clone(), events: vec![event], timeout }
        }
        Registered::External(_) => match call(control, subscriber, &event).await {
            Ok(()) => BatchWork::Nothing,
            Err(cause) => return Ok(Tried::Failed(cause)),
        },
    };
    settle(control, &history, &queue.id, position, work).await
}

async fn call<S>(control: &Control<S>, subscriber: &Subscriber, event: &Recorded<AnyEvent>) -> Result<(), String> {
    let Registered::External(projector) = &subscriber.registered else { return Ok(()) };
    // An operator needs no lease: the worker leaves these keys alone.
    let timeout = control.options.external_timeout;
    let (_sender, lease) = watch::channel(Instant::now() + timeout.saturating_mul(16));
    let done = run_external(&**projector, &control.dependencies, std::slice::from_ref(event), timeout, &lease).await;
    done.map(|_| ()).map_err(|(_, failure)| failure.to_string())
}

/// Does the work and takes the letter away, in one transaction under the partition's epoch.
async fn settle<S: Store>(
    control: &Control<S>,
    history: &History,
    id: &PartitionId,
    position: GlobalPosition,
    work: BatchWork,
) -> Result<Tried, ControlError> {
    for attempt in 0..TRIES {
        let checkpoints = control.store.checkpoints(&id.name, id.version).await?;
        let Some(checkpoint) = checkpoints.into_iter().find(|checkpoint| checkpoint.id == *id) else {
            return Err(StoreError::Gone { what: format!("partition {} of `{}`", id.partition, id.name) }.into());
        };
        match control.store.project(settling(history, checkpoint, position, work.clone())).await {
            Ok(_) => return Ok(Tried::Handled),
            Err(BatchError::LettersChanged) => return Ok(Tried::Gone),
            Err(BatchError::Failed { failure, .. }) => return Ok(Tried::Failed(failure.to_string())),
            Err(BatchError::Unstorable { reason } | BatchError::Store(StoreError::Refused { reason })) => {
                return Ok(Tried::Failed(reason));
            }
            Err(BatchError::Store(error)) => return Err(error.into()),
            // The worker moved on meanwhile; or the letter is gone by now, which the next try finds out.
            Err(BatchError::Fenced | BatchError::Uncertain { .. }) => {
                tokio::time::sleep(Duration::from_micros(u64::from(attempt) * 50)).await;
            }
        }
    }
    Err(ControlError::Busy { name: id.name.to_string() })
}

fn settling(history: &History, checkpoint: Checkpoint, position: GlobalPosition, work: BatchWork) -> Batch {
    Batch {
        id: checkpoint.id,
        epoch: checkpoint.epoch,
        history: history.clone(),
        from: checkpoint.position,
        to: None,
        work,
        letters: Vec::new(),
        parked: Vec::new(),
        settles: Some(position),
        switch: false,
    }
}
