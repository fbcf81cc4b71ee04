//! A store that counts what is read from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use es_runtime::event::{StreamId, Version};
use es_runtime::store::{
    CheckpointStore, ClaimRegistry, EventStore, IdentityMap, LeaseStore, Ledger, LedgerRecord, ProjectionRegistry,
    RowStore, SnapshotStore, Store, StoreError, StoredEvent,
};

/// Reads since the last question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Pages of streams.
    pub pages: u64,
    /// The events in those pages.
    pub events: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Look-ups of idempotency keys.
    pub keys: u64,
}

#[derive(Debug, Default)]
struct Counts {
    pages: AtomicU64,
    events: AtomicU64,
    snapshots: AtomicU64,
    keys: AtomicU64,
}

#[derive(Clone, Debug)]
pub struct CountingStore<S> {
    inner: S,
    counts: Arc<Counts>,
}

impl<S> CountingStore<S> {
    pub fn new(inner: S) -> Self {
        Self { inner, counts: Arc::default() }
    }

    /// Returns the number of reads since the last call.
    pub fn reads(&self) -> Reads {
        let Counts { pages, events, snapshots, keys } = &*self.counts;
        let taken = |count: &AtomicU64| count.swap(0, Ordering::SeqCst);
        Reads { pages: taken(pages), events: taken(events), snapshots: taken(snapshots), keys: taken(keys) }
    }
}

impl<S: Store> EventStore for CountingStore<S> {
    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let events = self.inner.read_stream(stream, after, limit).await?;
        self.counts.pages.fetch_add(1, Ordering::SeqCst);
        self.counts.events.fetch_add(events.len() as u64, Ordering::SeqCst);
        Ok(events)
    }

    es_runtime::forward_to_store!(inner: submit read_history read_all head event_count watch close history);
}

impl<S: Store> Ledger for CountingStore<S> {
    async fn find(&self, tenant: &str, key: &str) -> Result<Option<LedgerRecord>, StoreError> {
        self.counts.keys.fetch_add(1, Ordering::SeqCst);
        self.inner.find(tenant, key).await
    }

    es_runtime::forward_to_store!(inner: forget_before);
}

impl<S: Store> SnapshotStore for CountingStore<S> {
    async fn snapshot(
        &self,
        stream: &StreamId,
        fingerprint: u64,
    ) -> Result<Option<(Version, bytes::Bytes)>, StoreError> {
        self.counts.snapshots.fetch_add(1, Ordering::SeqCst);
        self.inner.snapshot(stream, fingerprint).await
    }
}

impl<S: Store> IdentityMap for CountingStore<S> {
    es_runtime::forward_to_store!(inner: identity identify);
}

impl<S: Store> ClaimRegistry for CountingStore<S> {
    es_runtime::forward_to_store!(inner: register_claims begin_claims store_claims finish_claims);
}

impl<S: Store> RowStore for CountingStore<S> {
    es_runtime::forward_to_store!(inner: rows select count);
}

impl<S: Store> ProjectionRegistry for CountingStore<S> {
    es_runtime::forward_to_store!(inner: register projections reset drop_retired);
}

impl<S: Store> CheckpointStore for CountingStore<S> {
    es_runtime::forward_to_store!(inner: project checkpoints set_status rewind letters first_letter parked_keys touch_letter skip_letter versions_at events_at);
}

impl<S: Store> LeaseStore for CountingStore<S> {
    es_runtime::forward_to_store!(inner: lease leave);
}
