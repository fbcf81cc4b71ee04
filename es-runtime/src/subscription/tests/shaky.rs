//! A store that fails at random, or loses an event: everything else is the store in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::watch;

use crate::event::{AnyEvent, GlobalPosition, Recorded, StreamId, Version};
use crate::read_model::{RowKey, TableRef, Value};
use crate::store::{
    Batch, BatchDone, BatchError, Checkpoint, CheckpointStore, ClaimRegistry, EventStore, IdentityMap, Lease,
    LeaseRequest, LeaseStore, Ledger, MemoryStore, PartitionId, ProjectionRegistry, RowStore, SnapshotStore,
    StoreError,
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
    fn watch(&self) -> watch::Receiver<GlobalPosition> {
        if self.faults.silent.load(Ordering::SeqCst) { self.faults.nobody.subscribe() } else { self.inner.watch() }
    }

    crate::forward_to_store!(inner: submit read_stream read_history head event_count close history);
}

impl Ledger for Shaky {
    crate::forward_to_store!(inner: find forget_before);
}

impl ClaimRegistry for Shaky {
    crate::forward_to_store!(inner: register_claims begin_claims store_claims finish_claims);
}

impl SnapshotStore for Shaky {
    crate::forward_to_store!(inner: snapshot);
}

impl IdentityMap for Shaky {
    crate::forward_to_store!(inner: identity identify);
}

impl RowStore for Shaky {
    async fn rows(&self, table: TableRef, keys: &[RowKey]) -> Result<Vec<Option<Vec<Value>>>, StoreError> {
        self.check()?;
        self.inner.rows(table, keys).await
    }

    crate::forward_to_store!(inner: select count);
}

impl ProjectionRegistry for Shaky {
    crate::forward_to_store!(inner: register projections reset drop_retired);
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
    async fn first_letter(
        &self,
        name: &str,
        version: u32,
        streams: &[StreamId],
        to: GlobalPosition,
    ) -> Result<Option<GlobalPosition>, StoreError> {
        self.inner.first_letter(name, version, streams, to).await
    }

    async fn parked_keys(&self, id: &PartitionId) -> Result<Vec<String>, StoreError> {
        self.check()?;
        self.inner.parked_keys(id).await
    }
    async fn versions_at(&self, streams: &[StreamId], position: GlobalPosition) -> Result<Vec<Version>, StoreError> {
        self.check()?;
        self.inner.versions_at(streams, position).await
    }

    crate::forward_to_store!(inner: set_status rewind letters touch_letter skip_letter events_at);
}

impl LeaseStore for Shaky {
    async fn lease(&self, request: &LeaseRequest) -> Result<Vec<Lease>, StoreError> {
        if self.faults.leases_fail.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable { reason: "no leases".to_owned(), source: None });
        }
        self.inner.lease(request).await
    }

    crate::forward_to_store!(inner: leave);
}
