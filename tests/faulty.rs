//! A store with switches: what is submitted can be held, and what is answered can be held or replaced.
//!
//! It stands on the store in memory; what it holds and replaces are moments that no real store reaches on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use es_runtime::event::{AnyEvent, GlobalPosition, StreamId, Version};
use es_runtime::prelude::*;
use es_runtime::store::{
    AppendError, CommitTicket, EventStore, ExternalId, IdentityMap, Ledger, LedgerRecord, NewCommit, SnapshotStore,
    StoredEvent,
};
use tokio::sync::watch;

/// What happens to commits.
#[derive(Clone, Debug)]
pub enum Switch {
    /// They go through.
    Open,
    /// `submit` waits.
    HoldSubmit,
    /// The commit is stored, and the answer waits.
    HoldAnswer,
    /// The commit is not stored, and this is the answer.
    Refuse(AppendError),
    /// The commit is stored, and this is the answer.
    Lie(AppendError),
}

#[derive(Clone, Debug)]
pub struct FaultyStore {
    inner: MemoryStore,
    switch: Arc<watch::Sender<Switch>>,
    submitted: Arc<AtomicU32>,
}

impl FaultyStore {
    pub fn new() -> Self {
        Self { inner: MemoryStore::new(), switch: Arc::new(watch::channel(Switch::Open).0), submitted: Arc::default() }
    }

    pub fn set(&self, switch: Switch) {
        self.switch.send_replace(switch);
    }

    /// Counts the commits with events that were submitted since the last call.
    pub fn submitted(&self) -> u32 {
        self.submitted.swap(0, Ordering::SeqCst)
    }

    async fn until(&self, go_on: impl FnMut(&Switch) -> bool) -> Switch {
        self.switch.subscribe().wait_for(go_on).await.unwrap().clone()
    }
}

impl EventStore for FaultyStore {
    async fn submit(&self, commit: NewCommit) -> CommitTicket {
        let changes = !commit.events.is_empty();
        self.submitted.fetch_add(u32::from(changes), Ordering::SeqCst);
        match self.until(|switch| !matches!(switch, Switch::HoldSubmit)).await {
            Switch::Refuse(error) if changes => {
                commit.chain.break_off();
                CommitTicket::ready(Err(error))
            }
            Switch::Lie(error) if changes => {
                let chain = commit.chain.clone();
                self.inner.submit(commit).await.await.unwrap();
                chain.break_off();
                CommitTicket::ready(Err(error))
            }
            Switch::HoldAnswer if changes => {
                let answer = self.inner.submit(commit).await.await;
                let (sender, ticket) = CommitTicket::pair();
                let this = self.clone();
                tokio::spawn(async move {
                    this.until(|switch| !matches!(switch, Switch::HoldAnswer)).await;
                    sender.answer(answer);
                });
                ticket
            }
            _ => self.inner.submit(commit).await,
        }
    }

    async fn read_stream(&self, s: &StreamId, after: Version, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        self.inner.read_stream(s, after, limit).await
    }

    async fn read_history(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Recorded<AnyEvent>>, StoreError> {
        self.inner.read_history(stream, after, limit).await
    }

    async fn read_all(&self, after: GlobalPosition, limit: usize) -> Result<Vec<Recorded<AnyEvent>>, StoreError> {
        self.inner.read_all(after, limit).await
    }

    async fn head(&self) -> Result<GlobalPosition, StoreError> {
        self.inner.head().await
    }

    async fn event_count(&self) -> Result<u64, StoreError> {
        self.inner.event_count().await
    }

    fn watch(&self) -> watch::Receiver<GlobalPosition> {
        self.inner.watch()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

impl Ledger for FaultyStore {
    async fn find(&self, tenant: &str, key: &str) -> Result<Option<LedgerRecord>, StoreError> {
        self.inner.find(tenant, key).await
    }

    async fn forget_before(&self, time: DateTime<Utc>) -> Result<u64, StoreError> {
        self.inner.forget_before(time).await
    }
}

impl SnapshotStore for FaultyStore {
    async fn snapshot(&self, stream: &StreamId, fingerprint: u64) -> Result<Option<(Version, Bytes)>, StoreError> {
        self.inner.snapshot(stream, fingerprint).await
    }
}

impl IdentityMap for FaultyStore {
    async fn identity(&self, external: &ExternalId) -> Result<Option<String>, StoreError> {
        self.inner.identity(external).await
    }

    async fn identify(&self, external: &ExternalId, candidate: &str) -> Result<String, StoreError> {
        self.inner.identify(external, candidate).await
    }
}
