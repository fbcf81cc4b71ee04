//! Callers of one process that do everything at once, and remember what they were told.
//!
//! The body of each event names its commit and how many events that has, so that a look into the table shows whether it is there whole.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use es_runtime::event::{EventId, StreamId};
use es_runtime::store::{AppendError, Committed, DecisionChain, EventStore as _, NewCommit, PostgresStore};
use es_runtime::testing::contract::fixture::{With as _, commit, event_of};
use futures_util::future::join_all;

use crate::crash::child::Acknowledged;
use crate::random::Random;

/// How many callers a process has.
const CALLERS: u64 = 8;

/// How often a caller tries a commit anew that others were faster with.
const TRIES: u64 = 4;

/// What became of the commits that were not stored.
#[derive(Debug, Default)]
pub struct Refused {
    pub conflicts: AtomicU64,
    pub claimed: AtomicU64,
    pub recorded: AtomicU64,
}

/// One process's callers.
pub struct Load<T> {
    store: PostgresStore,
    seed: u64,
    /// How many events each caller stores.
    events: u64,
    tell: T,
    refused: Arc<Refused>,
}

impl<T: Fn(Acknowledged) + Clone + Send + Sync + 'static> Load<T> {
    pub fn new(store: PostgresStore, seed: u64, events: u64, tell: T) -> Self {
        Self { store, seed, events: events / CALLERS, tell, refused: Arc::default() }
    }

    /// Works until each caller has stored its events. Every acknowledged commit is told.
    pub async fn run(self) -> Arc<Refused> {
        let refused = Arc::clone(&self.refused);
        let all = Arc::new(self);
        let callers = (0..CALLERS).map(|caller| tokio::spawn(Caller::new(Arc::clone(&all), caller).run()));
        for caller in join_all(callers).await {
            caller.unwrap();
        }
        refused
    }
}

struct Caller<T> {
    load: Arc<Load<T>>,
    random: Random,
    name: String,
    stored: u64,
    /// Versions of the streams that others write, too, as this caller last heard of them.
    heard: HashMap<StreamId, u64>,
}

impl<T: Fn(Acknowledged) + Clone + Send + Sync + 'static> Caller<T> {
    fn new(load: Arc<Load<T>>, caller: u64) -> Self {
        let (random, name) = (Random::new(load.seed * 1_000 + caller), format!("{}-{caller}", load.seed));
        Self { load, random, name, stored: 0, heard: HashMap::new() }
    }

    async fn run(mut self) {
        for index in 0_u64.. {
            if self.stored >= self.load.events {
                return;
            }
            match self.random.below(20) {
                0..4 => {
                    // Hot for a while, then others are.
                    let stream = format!("hot-{}-{}", self.stored / 100, self.random.below(3));
                    self.hot(StreamId::new("account", stream)).await;
                }
                4 | 5 => self.claim(index).await,
                6 => self.repeat(index).await,
                _ => {
                    let stream = format!("own-{}-{}", self.name, index / 60);
                    self.own(StreamId::new("account", stream)).await;
                }
            }
        }
    }

    /// A commit of some events, with a name that no other one has.
    fn make(&mut self, stream: &StreamId, expected: u64) -> (String, NewCommit) {
        let name = EventId::new_v7().to_string();
        let events = 1 + self.random.below(4);
        let bodies = (0..events).map(|_| event_of("made", format!("{name} {events}"))).collect();
        (name, commit(stream, expected, 0).with_events(bodies))
    }

    fn told(&mut self, name: String, stream: &StreamId, events: usize, done: Committed) {
        let (version, position, events) = (done.version.get(), done.position.get(), events as u64);
        self.stored += events;
        (self.load.tell)(Acknowledged { commit: name, stream: stream.key().to_owned(), version, position, events });
    }

    async fn submit(&self, new: NewCommit) -> Result<Committed, AppendError> {
        self.load.store.submit(new).await.await
    }

    fn heard(&self, stream: &StreamId) -> u64 {
        self.heard.get(stream).copied().unwrap_or(0)
    }

    async fn own(&mut self, stream: StreamId) {
        let (name, new) = self.make(&stream, self.heard(&stream));
        let events = new.events.len();
        let done = self.submit(new).await.unwrap();
        self.told(name, &stream, events, done);
        self.heard.insert(stream, done.version.get());
    }

    async fn hot(&mut self, stream: StreamId) {
        let (name, mut new) = self.make(&stream, self.heard(&stream));
        let events = new.events.len();
        for _ in 0..TRIES {
            match self.submit(new.clone()).await {
                Ok(done) => {
                    self.heard.insert(stream.clone(), done.version.get());
                    self.told(name, &stream, events, done);
                    return;
                }
                Err(AppendError::Conflict { actual, .. }) => {
                    self.load.refused.conflicts.fetch_add(1, Ordering::Relaxed);
                    self.heard.insert(stream.clone(), actual.get());
                    new.expected = actual;
                    new.chain = DecisionChain::new();
                }
                Err(other) => panic!("{other}"),
            }
        }
    }

    /// Takes one of few keys, which mostly somebody has already.
    async fn claim(&mut self, index: u64) {
        let stream = StreamId::new("account", format!("claim-{}-{index}", self.name));
        let (name, new) = self.make(&stream, 0);
        let events = new.events.len();
        let key = format!("key-{}", self.random.below(50));
        match self.submit(new.claiming(&key)).await {
            Ok(done) => self.told(name, &stream, events, done),
            Err(AppendError::Claimed { .. }) => drop(self.load.refused.claimed.fetch_add(1, Ordering::Relaxed)),
            Err(other) => panic!("{other}"),
        }
    }

    /// Submits a commit with a key of the ledger, and then another one with the same key.
    async fn repeat(&mut self, index: u64) {
        let stream = StreamId::new("account", format!("keyed-{}-{index}", self.name));
        let (name, first) = self.make(&stream, 0);
        let (_, second) = self.make(&stream, 0);
        let (events, ids): (_, Vec<_>) = (first.events.len(), first.events.iter().map(|event| event.id).collect());
        let (first, second) = tokio::join!(self.submit(first.keyed(&name)), async {
            tokio::task::yield_now().await;
            self.submit(second.keyed(&name)).await
        });
        let (Ok(done), Err(AppendError::KeyRecorded(record))) = (&first, &second) else {
            panic!("{first:?}, then {second:?}");
        };
        assert_eq!((&record.committed, &record.events), (done, &ids));
        self.load.refused.recorded.fetch_add(1, Ordering::Relaxed);
        let done = *done;
        self.told(name, &stream, events, done);
    }
}
