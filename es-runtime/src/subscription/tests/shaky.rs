//! A store that fails at random, or loses an event: everything else is the store in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::sync::watch;

use crate::event::{AnyEvent, GlobalPosition, Recorded, StreamId, Version};
use crate::projection::{ConnectedProjector, ProjectionDescriptor};
use crate::read_model::{RowKey, Selection, TableRef, Value};
use crate::store::{
    Batch, BatchDone, BatchError, Checkpoint, CheckpointStore, CommitTicket, EventStore, ExternalId, IdentityMap,
    Lease, LeaseRequest, LeaseStore, Ledger, LedgerRecord, Letter, MemoryStore, NewCommit, PartitionId, ProcessId,
    ProjectionRegistry, ProjectionVersion, RegisterError, RowStore, SnapshotStore, StoreError, StoredEvent,
    SubscriptionStatus,
};

#[derive(Clone)]
pub struct Shaky {
    pub inner: MemoryStore,
    pub faults: Arc<Faults>,
}

pub struct Faults {
    /// How many of a hundred calls fail.
    pub percent: AtomicU64,
    seed: AtomicU64,
    pub failures: AtomicUsize,
    /// The position of an event that reads do not give.
    pub lost: AtomicU64,
    /// The position of an event that reads give twice.
    pub twice: AtomicU64,
    /// Whether nobody is woken.
    pub silent: AtomicBool,
    pub leases_fail: AtomicBool,
    nobody: watch::Sender<GlobalPosition>,
}

impl Shaky {
    pub fn new(percent: u64, seed: u64) -> Self {
        let faults = Faults {
            percent: percent.into(),
            seed: seed.into(),
            failures: 0.into(),
            lost: 0.into(),
            twice: 0.into(),
            silent: false.into(),
            leases_fail: false.into(),
            nobody: watch::Sender::new(GlobalPosition::START),
        };
        Self { inner: MemoryStore::new(), faults: Arc::new(faults) }
    }

    /// Whether this call fails, and another bit to decide how. Xorshift.
    fn fails(&self) -> Option<bool> {
        let next = |mut x: u64| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x
        };
        let x = self.faults.seed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |x| Some(next(x))).unwrap_or(1);
        let fails = (x >> 8) % 100 < self.faults.percent.load(Ordering::SeqCst);
        fails.then(|| {
            self.faults.failures.fetch_add(1, Ordering::SeqCst);
            x >> 40 & 1 == 0
        })
    }

    fn check(&self) -> Result<(), StoreError> {
        match self.fails() {
            Some(_) => Err(StoreError::Unavailable { reason: "shaky".to_owned(), source: None }),
            None => Ok(()),
        }
    }
}

impl EventStore for Shaky {
    async fn submit(&self, commit: NewCommit) -> CommitTicket {
        self.inner.submit(commit).await
    }
    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.inner.read_stream(stream, after, limit).await
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
        self.check()?;
        let mut events = self.inner.read_all(after, limit).await?;
        events.retain(|event| event.position().get() != self.faults.lost.load(Ordering::SeqCst));
        let twice = self.faults.twice.load(Ordering::SeqCst);
        if let Some(event) = events.iter().find(|event| event.position().get() == twice).cloned() {
            events.push(event);
        }
        Ok(events)
    }
    async fn head(&self) -> Result<GlobalPosition, StoreError> {
        self.inner.head().await
    }
    async fn event_count(&self) -> Result<u64, StoreError> {
        self.inner.event_count().await
    }
    fn watch(&self) -> watch::Receiver<GlobalPosition> {
        if self.faults.silent.load(Ordering::SeqCst) { self.faults.nobody.subscribe() } else { self.inner.watch() }
    }
    async fn close(&self) {
        self.inner.close().await;
    }
}

impl Ledger for Shaky {
    async fn find(&self, tenant: &str, key: &str) -> Result<Option<LedgerRecord>, StoreError> {
        self.inner.find(tenant, key).await
    }
    async fn forget_before(&self, time: DateTime<Utc>) -> Result<u64, StoreError> {
        self.inner.forget_before(time).await
    }
}

impl SnapshotStore for Shaky {
    async fn snapshot(&self, stream: &StreamId, fingerprint: u64) -> Result<Option<(Version, Bytes)>, StoreError> {
        self.inner.snapshot(stream, fingerprint).await
    }
}

impl IdentityMap for Shaky {
    async fn identity(&self, external: &ExternalId) -> Result<Option<String>, StoreError> {
        self.inner.identity(external).await
    }
    async fn identify(&self, external: &ExternalId, candidate: &str) -> Result<String, StoreError> {
        self.inner.identify(external, candidate).await
    }
}

impl RowStore for Shaky {
    async fn rows(&self, table: TableRef, keys: &[RowKey]) -> Result<Vec<Option<Vec<Value>>>, StoreError> {
        self.check()?;
        self.inner.rows(table, keys).await
    }
    async fn select(&self, table: TableRef, selection: &Selection) -> Result<Vec<Vec<Value>>, StoreError> {
        self.inner.select(table, selection).await
    }
    async fn count(&self, table: TableRef, selection: &Selection) -> Result<u64, StoreError> {
        self.inner.count(table, selection).await
    }
}

impl ProjectionRegistry for Shaky {
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

impl CheckpointStore for Shaky {
    async fn project(&self, batch: Batch) -> Result<BatchDone, BatchError> {
        let uncertain = || BatchError::Uncertain { reason: "shaky".to_owned() };
        match (self.fails(), self.fails()) {
            (Some(true), _) => Err(StoreError::Unavailable { reason: "shaky".to_owned(), source: None }.into()),
            (Some(false), _) => Err(uncertain()),
            (None, Some(_)) => self.inner.project(batch).await.and_then(|_| Err(uncertain())),
            (None, None) => self.inner.project(batch).await,
        }
    }
    async fn checkpoints(&self, name: &str, version: u32) -> Result<Vec<Checkpoint>, StoreError> {
        self.check()?;
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
        self.check()?;
        self.inner.parked_keys(id).await
    }
    async fn touch_letter(&self, id: &PartitionId, position: GlobalPosition, cause: &str) -> Result<(), StoreError> {
        self.inner.touch_letter(id, position, cause).await
    }
    async fn skip_letter(&self, id: &PartitionId, position: GlobalPosition) -> Result<bool, StoreError> {
        self.inner.skip_letter(id, position).await
    }
    async fn versions_at(&self, streams: &[StreamId], position: GlobalPosition) -> Result<Vec<Version>, StoreError> {
        self.check()?;
        self.inner.versions_at(streams, position).await
    }
    async fn events_at(&self, positions: &[GlobalPosition]) -> Result<Vec<Recorded<AnyEvent>>, StoreError> {
        self.inner.events_at(positions).await
    }
}

impl LeaseStore for Shaky {
    async fn lease(&self, request: &LeaseRequest) -> Result<Vec<Lease>, StoreError> {
        if self.faults.leases_fail.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable { reason: "no leases".to_owned(), source: None });
        }
        self.inner.lease(request).await
    }
    async fn leave(&self, process: ProcessId) -> Result<(), StoreError> {
        self.inner.leave(process).await
    }
}
