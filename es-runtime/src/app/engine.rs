//! What every handle of an application shares.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};

use super::cache::AggregateCache;
use super::clock::Clock;
use super::queries::Queries;
use super::read_models::ReadModels;
use super::recent_keys::RecentKeys;
use super::route::Routes;
use crate::error::DispatchError;
use crate::handler::{Dependencies, IdSource};
use crate::store::{Store, StoreError, SyncProjections};
use crate::time::whole_micros;

/// Bounds of an application. Every queue and every input has one.
///
/// ```
/// let limits = es_runtime::app::Limits::default();
/// assert_eq!(limits.in_flight, 16_384);
/// assert_eq!(limits.payload_bytes, 1 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The maximum number of dispatches that decide or wait for the store at the same time; more wait, up to their timeout.
    /// Dispatches of a running handler do not count. Default: 16,384.
    pub in_flight: usize,
    /// How many bytes of JSON a command (that comes as JSON), an event or an output may have. Default: 1 MiB.
    pub payload_bytes: usize,
    /// How many bytes an aggregate's id may have as text. Default: 512.
    pub id_bytes: usize,
    /// How many bytes the metadata of a dispatch (actor, tenant, entries, trace, idempotency key) may have. Default: 16 KiB.
    pub metadata_bytes: usize,
    /// How many aggregates the cache may hold. Default: 100,000.
    pub cached_aggregates: usize,
    /// How many bytes, by estimate, the cache may hold. Default: 128 MiB.
    pub cached_bytes: u64,
    /// How often a conflict is decided again, unless the handler says so itself. Default: 4.
    pub retries: u32,
    /// How many earlier events of its stream a command's commit applies to a synchronous projection before its own; beyond that the
    /// command fails with `ProjectionBehind`. Default: 1,000.
    pub projection_backlog: usize,
    /// How many events a page of the log has when it is read or replayed. Default: 1,000.
    pub page: usize,
    /// The time that an orchestrating handler may run. Then it is dropped, and its command fails with `HandlerTimedOut`.
    /// Default: 60 s.
    pub handler_timeout: Duration,
    /// The time that a dispatch of a running handler may wait for its aggregate's turn. Then it fails with `TurnTimedOut`.
    /// Default: 30 s.
    pub turn_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 16_384,
            payload_bytes: 1 << 20,
            id_bytes: 512,
            metadata_bytes: 16 << 10,
            cached_aggregates: 100_000,
            cached_bytes: 128 << 20,
            retries: 4,
            projection_backlog: 1_000,
            page: 1_000,
            handler_timeout: Duration::from_mins(1),
            turn_timeout: Duration::from_secs(30),
        }
    }
}

pub(crate) struct Engine<S> {
    /// Tells the applications of a process apart.
    pub(crate) number: u64,
    pub(crate) store: S,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) dependencies: Arc<Dependencies>,
    pub(crate) queries: Queries,
    pub(crate) cache: AggregateCache,
    pub(crate) recent_keys: RecentKeys,
    pub(crate) limits: Limits,
    pub(crate) routes: Routes<S>,
    /// What commits carry to the store, if the domain has synchronous projections.
    pub(crate) sync: Option<Arc<SyncProjections>>,
    pub(crate) read_side: ReadModels<S>,
    /// One permit for each dispatch that decides or waits for the store. Taken in the turn and given back with it. A holder
    /// waits for the store alone, or runs a handler, whose own dispatches need no permit.
    pub(crate) places: Semaphore,
    /// One permit for each dispatch that has begun: shutdown waits until all are back.
    pub(crate) begun: Semaphore,
    pub(crate) closed: AtomicBool,
}

/// Returns a number that no other application of this process has.
pub(crate) fn next_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// As many as can be asked back at once.
pub(crate) const BEGUN: u32 = u32::MAX >> 3;

impl<S: Store> Engine<S> {
    /// Returns the clock's time with the precision that logs keep: what a handler sees is what is stored.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        whole_micros(self.clock.now())
    }

    /// Counts a dispatch in. Never waits: a dispatch must reach its aggregate's line in its first poll.
    pub(crate) fn begin<E>(&self) -> Result<SemaphorePermit<'_>, DispatchError<E>> {
        if self.closed.load(Ordering::Acquire) {
            return Err(DispatchError::Unavailable(StoreError::Closed));
        }
        self.begun.try_acquire().map_err(|error| match error {
            TryAcquireError::Closed => DispatchError::Unavailable(StoreError::Closed),
            TryAcquireError::NoPermits => DispatchError::Overloaded,
        })
    }

    /// Takes a permit for one try, waiting while all are taken.
    pub(crate) async fn permit<E>(&self) -> Result<SemaphorePermit<'_>, DispatchError<E>> {
        self.places.acquire().await.map_err(|_| DispatchError::Unavailable(StoreError::Closed))
    }

    /// Lets nothing new in, waits for what has begun, then closes the store.
    pub(crate) async fn shutdown(&self) {
        self.closed.store(true, Ordering::Release);
        // An error means that another handle has finished the same wait already.
        if let Ok(drained) = self.begun.acquire_many(BEGUN).await {
            self.begun.close();
            drop(drained);
        }
        self.read_side.subscriptions.shutdown().await;
        self.store.close().await;
    }
}

impl<S> fmt::Debug for Engine<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("cached_aggregates", &self.cache.len()).finish_non_exhaustive()
    }
}
