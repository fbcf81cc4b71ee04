//! Short ways to make commits and to look at what a store did with them.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, Utc};
use futures_util::future::join_all;

use crate::event::{
    AnyEvent, Claim, ClaimKind, EventId, EventName, GlobalPosition, Metadata, Recorded, StreamId, Version,
};
use crate::store::{
    AppendError, CommitTicket, Committed, DecisionChain, EventStore, LedgerEntry, NewCommit, NewEvent, NewSnapshot,
    Store,
};

/// How long a check waits for something that has to happen.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Names a stream.
#[must_use]
pub fn stream(key: &str) -> StreamId {
    StreamId::new("account", key)
}

/// Makes an event with a body.
#[must_use]
pub fn event_of(name: &'static str, body: impl Into<bytes::Bytes>) -> NewEvent {
    NewEvent { id: EventId::new_v7(), name: EventName::Static(name), schema_version: 1, body: body.into(), rules: &[] }
}

/// Makes an event.
#[must_use]
pub fn event() -> NewEvent {
    event_of("deposited", &b"{\"amount\":1}"[..])
}

/// Makes a commit of some events at an expected version.
#[must_use]
pub fn commit(stream: &StreamId, expected: u64, events: usize) -> NewCommit {
    NewCommit {
        stream: stream.clone(),
        expected: Version::new(expected),
        events: (0..events).map(|_| event()).collect(),
        metadata: Arc::new(Metadata::default()),
        recorded_at: now(),
        claims: Vec::new(),
        ledger: None,
        snapshot: None,
        chain: DecisionChain::new(),
        projections: None,
    }
}

/// Gives the time in whole microseconds, as stores keep it.
#[must_use]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// Adds to a commit what a test is about.
pub trait With: Sized {
    /// With a claim of a key in the set `email`.
    #[must_use]
    fn claiming(self, key: &str) -> Self;
    /// With the release of a key in the set `email`.
    #[must_use]
    fn freeing(self, key: &str) -> Self;
    /// With an idempotency key; hash and output are made of the key.
    #[must_use]
    fn keyed(self, key: &str) -> Self;
    /// In a chain.
    #[must_use]
    fn chained(self, chain: &DecisionChain) -> Self;
    /// With a snapshot.
    #[must_use]
    fn with_snapshot(self, fingerprint: u64, state: &str) -> Self;
    /// With other events.
    #[must_use]
    fn with_events(self, events: Vec<NewEvent>) -> Self;
}

impl With for NewCommit {
    fn claiming(mut self, key: &str) -> Self {
        self.claims.push(Claim { set: "email".into(), key: key.to_owned(), kind: ClaimKind::Claim });
        self
    }
    fn freeing(mut self, key: &str) -> Self {
        self.claims.push(Claim { set: "email".into(), key: key.to_owned(), kind: ClaimKind::Release });
        self
    }
    fn keyed(mut self, key: &str) -> Self {
        self.ledger = Some(Box::new(entry(key)));
        self
    }
    fn chained(mut self, chain: &DecisionChain) -> Self {
        self.chain = chain.clone();
        self
    }
    fn with_snapshot(mut self, fingerprint: u64, state: &str) -> Self {
        self.snapshot = Some(Box::new(NewSnapshot { fingerprint, state: state.to_owned().into() }));
        self
    }
    fn with_events(mut self, events: Vec<NewEvent>) -> Self {
        self.events = events;
        self
    }
}

/// Makes a ledger entry for a key.
#[must_use]
pub fn entry(key: &str) -> LedgerEntry {
    let mut hash = [7; 32];
    hash[0] = key.len().to_le_bytes()[0];
    LedgerEntry { key: key.to_owned(), command: "Deposit".to_owned(), hash, output: format!("\"{key}\"").into() }
}

/// Submits a commit and waits for its fate.
///
/// # Errors
///
/// What the store says.
pub async fn store_one(store: &impl EventStore, commit: NewCommit) -> Result<Committed, AppendError> {
    store.submit(commit).await.await
}

/// Submits commits one after the other without waiting, then waits for all: they stand in line together.
pub async fn store_together(store: &impl EventStore, commits: Vec<NewCommit>) -> Vec<Result<Committed, AppendError>> {
    let mut tickets: Vec<CommitTicket> = Vec::with_capacity(commits.len());
    for commit in commits {
        tickets.push(store.submit(commit).await);
    }
    join_all(tickets).await
}

/// Appends events to a stream that must take them.
pub async fn append(store: &impl EventStore, stream: &StreamId, expected: u64, events: usize) -> Committed {
    store_one(store, commit(stream, expected, events)).await.expect("the commit fits the stream")
}

/// Gives a stream's version as the store reads it.
pub async fn version(store: &impl EventStore, stream: &StreamId) -> u64 {
    let events = store.read_stream(stream, Version::NONE, usize::MAX).await.expect("the stream can be read");
    events.last().map_or(0, |event| event.version.get())
}

/// Reads the whole log in pages of a size: up to the head, also where what stands behind a gap in the positions comes a little later.
pub async fn whole_log(store: &impl EventStore, page: usize) -> Vec<Recorded<AnyEvent>> {
    let mut watch = store.watch();
    let head = store.head().await.expect("the log has a head");
    let mut events: Vec<Recorded<AnyEvent>> = Vec::new();
    loop {
        let after = events.last().map_or(GlobalPosition::START, Recorded::position);
        watch.mark_unchanged();
        let page = store.read_all(after, page).await.expect("the log can be read");
        if page.is_empty() {
            if after >= head {
                return events;
            }
            let poll = store.poll_interval().unwrap_or(PATIENCE);
            let _ = tokio::time::timeout(poll, watch.changed()).await;
        }
        events.extend(page);
    }
}

/// Asserts that a commit was refused with a conflict, and at which version the stream is.
#[track_caller]
pub fn assert_conflict(result: Result<Committed, AppendError>, expected: u64, actual: u64) {
    match result {
        Err(AppendError::Conflict { expected: e, actual: a, .. }) => {
            assert_eq!((e.get(), a.get()), (expected, actual), "the conflict names the wrong versions");
        }
        other => panic!("expected a conflict at version {actual}, got {other:?}"),
    }
}

/// Waits, with a limit, for something that has to happen.
pub async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("what had to happen did not")
}

/// Submits the same kind of commit from many tasks at once.
pub async fn at_once<S: Store>(
    store: &S,
    count: usize,
    make: impl Fn(usize) -> NewCommit,
) -> Vec<Result<Committed, AppendError>> {
    let tasks: Vec<_> = (0..count)
        .map(|index| {
            let (store, commit) = (store.clone(), make(index));
            // Each caller is a task of its own, as callers are.
            tokio::spawn(async move { store.submit(commit).await.await })
        })
        .collect();
    join_all(tasks).await.into_iter().map(|result| result.expect("no caller panics")).collect()
}
