//! What an orchestrating handler with a written reason may look at before it decides.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use super::load::Loaded;
use super::replay;
use crate::aggregate::Aggregate;
use crate::event::{StreamId, Version};
use crate::store::{EventStore, History, SnapshotStore, StoreError, StoredEvent};

/// Looks at other aggregates. Only a handler with `#[command_handler(queries = "why this one must look first")]` gets
/// one.
///
/// What is seen may be changed by others before the command is stored: only the handler's own aggregate is protected.
#[derive(Clone)]
pub struct Queries {
    store: Arc<dyn Look>,
    page: usize,
    tenant: Arc<str>,
}

impl Queries {
    pub(crate) fn new<S: EventStore + SnapshotStore>(store: S, page: usize) -> Self {
        Self { store: Arc::new(store), page, tenant: Arc::default() }
    }

    /// Gives the view of a tenant's handler.
    pub(crate) fn of(&self, tenant: &str) -> Self {
        let mut queries = self.clone();
        if *queries.tenant != *tenant {
            queries.tenant = tenant.into();
        }
        queries
    }

    /// Loads an aggregate of the handler's own tenant as it is stored now.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store cannot be read or a stored event does not decode.
    pub async fn load<A: Aggregate>(&self, id: &A::Id) -> Result<Loaded<A>, StoreError> {
        self.load_stream(&A::stream(id).with_tenant(&*self.tenant)).await
    }

    /// Loads the aggregate of a stream as it is stored now.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub async fn load_stream<A: Aggregate>(&self, stream: &StreamId) -> Result<Loaded<A>, StoreError> {
        Ok(replay::load::<A, _>(&Erased(&*self.store), stream, self.page).await?.into())
    }
}

impl fmt::Debug for Queries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queries")
    }
}

type Looking<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// The part of a store that replay needs, without its type: a handler does not know which store it runs on.
trait Look: Send + Sync {
    fn read<'a>(&'a self, stream: &'a StreamId, after: Version, limit: usize) -> Looking<'a, Vec<StoredEvent>>;
    fn snapshot<'a>(&'a self, stream: &'a StreamId, fingerprint: u64) -> Looking<'a, Option<(Version, Bytes)>>;
}

impl<S: EventStore + SnapshotStore> Look for S {
    fn read<'a>(&'a self, stream: &'a StreamId, after: Version, limit: usize) -> Looking<'a, Vec<StoredEvent>> {
        Box::pin(self.read_stream(stream, after, limit))
    }

    fn snapshot<'a>(&'a self, stream: &'a StreamId, fingerprint: u64) -> Looking<'a, Option<(Version, Bytes)>> {
        Box::pin(SnapshotStore::snapshot(self, stream, fingerprint))
    }
}

struct Erased<'a>(&'a dyn Look);

impl replay::Source for Erased<'_> {
    async fn read(&self, stream: &StreamId, after: Version, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        self.0.read(stream, after, limit).await
    }

    async fn snapshot(&self, stream: &StreamId, fingerprint: u64) -> Result<Option<(Version, Bytes)>, StoreError> {
        self.0.snapshot(stream, fingerprint).await
    }

    fn history(&self) -> History {
        // Nothing is stored on what a query loads.
        History::new()
    }
}
