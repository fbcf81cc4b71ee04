//! A store with switches: what is submitted can be held, and what is answered can be held or replaced.
//!
//! It stands on the store in memory; what it holds and replaces are moments that no real store reaches on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use es_runtime::event::{AnyEvent, GlobalPosition, StreamId, Version};
use es_runtime::prelude::*;
use es_runtime::projection::{ConnectedProjector, ProjectionDescriptor};
use es_runtime::read_model::{RowKey, Selection, TableRef, Value};
use es_runtime::store::{
    AppendError, Batch, BatchDone, BatchError, Checkpoint, CheckpointStore, CommitTicket, EventStore, ExternalId,
    IdentityMap, Lease, LeaseRequest, LeaseStore, Ledger, LedgerRecord, Letter, NewCommit, PartitionId, ProcessId,
    ProjectionRegistry, ProjectionVersion, RegisterError, RowStore, SnapshotStore, StoredEvent, SubscriptionStatus,
};
use tokio::sync::watch;

/// What happens to commits.
#[derive(Clone, Debug)]
pub enum Switch {
    /// They go through.
    Open,
    /// `submit` waits.
    HoldSubmit,
    /// The commit is in line, and is stored and answered later.
    HoldCommit,
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
    /// Lets held commits through one after the other, in the order of their arrival.
    line: Arc<tokio::sync::Mutex<()>>,
}

impl FaultyStore {
    pub fn new() -> Self {
        Self {
            inner: MemoryStore::new(),
            switch: Arc::new(watch::channel(Switch::Open).0),
            submitted: Arc::default(),
            line: Arc::default(),
        }
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
            Switch::HoldCommit => {
                let (sender, ticket) = CommitTicket::pair();
                let this = self.clone();
                let mut place = Box::pin(Arc::clone(&self.line).lock_owned());
                // Polled here: a place in a fair line is taken by the first poll.
                let mine = futures_util::poll!(&mut place);
                tokio::spawn(async move {
                    let _turn = match mine {
                        std::task::Poll::Ready(turn) => turn,
                        std::task::Poll::Pending => place.await,
                    };
                    this.until(|switch| !matches!(switch, Switch::HoldCommit)).await;
                    sender.answer(this.inner.submit(commit).await.await);
                });
                ticket
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

impl RowStore for FaultyStore {
    async fn rows(&self, table: TableRef, keys: &[RowKey]) -> Result<Vec<Option<Vec<Value>>>, StoreError> {
        self.inner.rows(table, keys).await
    }

    async fn select(&self, table: TableRef, selection: &Selection) -> Result<Vec<Vec<Value>>, StoreError> {
        self.inner.select(table, selection).await
    }

    async fn count(&self, table: TableRef, selection: &Selection) -> Result<u64, StoreError> {
        self.inner.count(table, selection).await
    }
}

impl ProjectionRegistry for FaultyStore {
    async fn register(
        &self,
        projection: &'static ProjectionDescriptor,
        reset: Option<Arc<dyn ConnectedProjector>>,
    ) -> Result<(), RegisterError> {
        self.inner.register(projection, reset).await
    }

    async fn projections(&self) -> Result<Vec<ProjectionVersion>, StoreError> {
        self.inner.projections().await
    }

    async fn reset(
        &self,
        projection: &'static ProjectionDescriptor,
        connected: Option<Arc<dyn ConnectedProjector>>,
    ) -> Result<(), StoreError> {
        self.inner.reset(projection, connected).await
    }

    async fn drop_retired(&self, name: &str) -> Result<u64, StoreError> {
        self.inner.drop_retired(name).await
    }
}

impl CheckpointStore for FaultyStore {
    async fn project(&self, batch: Batch) -> Result<BatchDone, BatchError> {
        self.inner.project(batch).await
    }

    async fn checkpoints(&self, name: &str, version: u32) -> Result<Vec<Checkpoint>, StoreError> {
        self.inner.checkpoints(name, version).await
    }

    async fn set_status(
        &self,
        name: &str,
        version: u32,
        partition: Option<u32>,
        status: SubscriptionStatus,
    ) -> Result<(), StoreError> {
        self.inner.set_status(name, version, partition, status).await
    }

    async fn rewind(&self, name: &str, version: u32, to: GlobalPosition) -> Result<(), StoreError> {
        self.inner.rewind(name, version, to).await
    }

    async fn letters(
        &self,
        name: &str,
        version: u32,
        key: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Letter>, StoreError> {
        self.inner.letters(name, version, key, limit).await
    }

    async fn parked_keys(&self, id: &PartitionId) -> Result<Vec<String>, StoreError> {
        self.inner.parked_keys(id).await
    }

    async fn touch_letter(&self, id: &PartitionId, position: GlobalPosition, cause: &str) -> Result<(), StoreError> {
        self.inner.touch_letter(id, position, cause).await
    }

    async fn skip_letter(&self, id: &PartitionId, position: GlobalPosition) -> Result<bool, StoreError> {
        self.inner.skip_letter(id, position).await
    }

    async fn versions_at(&self, streams: &[StreamId], position: GlobalPosition) -> Result<Vec<Version>, StoreError> {
        self.inner.versions_at(streams, position).await
    }

    async fn events_at(&self, positions: &[GlobalPosition]) -> Result<Vec<Recorded<AnyEvent>>, StoreError> {
        self.inner.events_at(positions).await
    }
}

impl LeaseStore for FaultyStore {
    async fn lease(&self, request: &LeaseRequest) -> Result<Vec<Lease>, StoreError> {
        self.inner.lease(request).await
    }

    async fn leave(&self, process: ProcessId) -> Result<(), StoreError> {
        self.inner.leave(process).await
    }
}
