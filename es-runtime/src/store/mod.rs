//! Stores: where commits become durable, and from where the log is read.
//!
//! [`EventStore`], [`Ledger`], [`ClaimRegistry`], [`SnapshotStore`] and [`IdentityMap`] are what a store implements; [`Store`] is all of
//! them. `es_runtime::testing::contract` holds the suite that every store passes.

mod claims;
mod commit;
mod error;
#[cfg(any(test, feature = "testing"))]
mod forward;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod group;
mod history;
pub mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
mod projecting;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
#[cfg(feature = "sqlite")]
pub mod sqlite;

use std::future::Future;

use bytes::Bytes;
use tokio::sync::watch;

use crate::event::{AnyEvent, EventName, GlobalPosition, Recorded, StreamId, Version};

pub use claims::{
    BuildClaimsError, ClaimBuild, ClaimHolder, ClaimPage, ClaimRegistry, ClaimsDiffer, ClaimsStep, DuplicateClaim,
    DuplicateClaims, EventClaims,
};
pub(crate) use commit::longest;
pub use commit::{
    CommitTicket, Committed, DecisionChain, LedgerEntry, LedgerRecord, NewCommit, NewEvent, NewSnapshot, TicketSender,
};
pub use error::{AppendError, InvalidCommit, StoreError};
pub use history::History;
pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use postgres::PostgresStore;
use projecting::FOLLOWS_FOR;
pub use projecting::{
    Batch, BatchDone, BatchError, BatchWork, Checkpoint, CheckpointStore, Lease, LeaseRequest, LeaseStore, Letter,
    NewLetter, PartitionId, ProcessId, ProjectionRegistry, ProjectionVersion, RegisterError, RowStore, SafePosition,
    SubscriptionStatus, SyncProjections, VersionState,
};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;

/// Everything an application needs of its store. Implemented for whatever implements the parts.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a store",
    label = "not a store",
    note = "use `SqliteStore`, `PostgresStore`, `MemoryStore`, or implement `EventStore`, `Ledger`, `ClaimRegistry`, `SnapshotStore`, `IdentityMap` and the parts of `ReadSide`"
)]
pub trait Store: EventStore + Ledger + ClaimRegistry + SnapshotStore + IdentityMap + ReadSide + Clone {}
impl<S: EventStore + Ledger + ClaimRegistry + SnapshotStore + IdentityMap + ReadSide + Clone> Store for S {}

/// A connection that projections and queries may take: it names its store. Implemented for the connections of this crate's stores.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a connection of a store",
    label = "neither a connection nor a `Dep<T>`",
    note = "a projection takes `&mut SqliteConnection` or `&mut PgConnection`, or `Dep<T>` for a view that lives elsewhere"
)]
pub trait StoreConnection: Send + 'static {
    /// The store.
    type Store: Store;
}

#[cfg(feature = "sqlite")]
impl StoreConnection for sqlx::SqliteConnection {
    type Store = SqliteStore;
}

/// What a store does for read models and subscriptions. Implemented for whatever implements the parts.
#[diagnostic::on_unimplemented(
    message = "`{Self}` keeps no read models",
    label = "not a store of read models",
    note = "implement `RowStore`, `ProjectionRegistry`, `CheckpointStore` and `LeaseStore`"
)]
pub trait ReadSide: RowStore + ProjectionRegistry + CheckpointStore + LeaseStore {}
impl<S: RowStore + ProjectionRegistry + CheckpointStore + LeaseStore> ReadSide for S {}

/// Appends commits and reads the log.
///
/// # Guarantees
///
/// - A stream's versions are 1, 2, 3 … without gaps; a version is written once.
/// - A commit is all there or not at all: events, claims, ledger entry, snapshot.
/// - A ticket answers `Ok` only after the commit is durable.
/// - Commits that share a durable write are isolated: each fails alone.
/// - Commits on one stream are decided in the order in which their `submit` returned. Those on several are, too, unless one of them waits for a
///   transaction that somebody else keeps open.
/// - A commit whose [`DecisionChain`] is broken is refused with [`AppendError::ChainBroken`]; one that fails breaks its
///   chain before any later commit of the store is decided.
/// - A reader that follows [`read_all`](Self::read_all) sees every event once, in an order that agrees with every stream's.
pub trait EventStore: Send + Sync + 'static {
    /// Gives a commit its place in line. The ticket resolves when its fate is known.
    ///
    /// A commit without events changes nothing but its ledger entry; it succeeds only if the stream is at the expected
    /// version, so it confirms that a decision to do nothing was made on what is stored.
    ///
    /// The ticket returns [`AppendError::Invalid`] if [`NewCommit::check`] fails.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, nothing was handed over. Dropping the ticket does not take the commit back.
    fn submit(&self, commit: NewCommit) -> impl Future<Output = CommitTicket> + Send;

    /// Reads up to `limit` events of one stream after a version, for replay: without ids, times and metadata.
    fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<StoredEvent>, StoreError>> + Send;

    /// Reads up to `limit` events of one stream after a version, with everything the log knows about them.
    fn read_history(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Recorded<AnyEvent>>, StoreError>> + Send;

    /// Reads up to `limit` events of the whole log after a position. An empty page means that there are none yet, or that others may still
    /// come in front of those there are: up to [`head`](Self::head) it is worth to look again.
    ///
    /// No event below the last one of a page can appear later.
    fn read_all(
        &self,
        after: GlobalPosition,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Recorded<AnyEvent>>, StoreError>> + Send;

    /// Gives the position of the newest event that is stored; [`GlobalPosition::START`] where there is none. Readers get there, if not at once.
    fn head(&self) -> impl Future<Output = Result<GlobalPosition, StoreError>> + Send;

    /// Counts the events of all streams.
    fn event_count(&self) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Watches for new events. A change only says "look again": it may come without a new event, and events of other
    /// processes may come without a change, within [`poll_interval`](Self::poll_interval).
    fn watch(&self) -> watch::Receiver<GlobalPosition>;

    /// Returns the history that the store speaks of now. Ask for it before you read what is decided on, or followed: then it is over whenever what
    /// was read may be missing from the store.
    ///
    /// A store that can be put on other data while it is open ends the history then, and returns another one from then on. Any other store returns
    /// one that never ends.
    fn history(&self) -> History;

    /// Gives how long a follower may rely on [`watch`](Self::watch) alone; `None` where every event wakes it.
    fn poll_interval(&self) -> Option<std::time::Duration> {
        None
    }

    /// Finishes what was submitted, then frees files and connections. Later submits fail with [`StoreError::Closed`].
    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// An event as replay needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// The place in the stream.
    pub version: Version,
    /// The stored name.
    pub name: EventName,
    /// The version of the event's schema.
    pub schema_version: u32,
    /// The event's fields as JSON.
    pub body: Bytes,
}

/// Remembers commands by idempotency key.
pub trait Ledger: Send + Sync + 'static {
    /// Looks a key up.
    fn find(&self, tenant: &str, key: &str) -> impl Future<Output = Result<Option<LedgerRecord>, StoreError>> + Send;

    /// Forgets the entries recorded before a time, and says how many.
    fn forget_before(
        &self,
        time: chrono::DateTime<chrono::Utc>,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// Keeps one snapshot a stream. Snapshots are written by commits.
pub trait SnapshotStore: Send + Sync + 'static {
    /// Gives the stream's snapshot, if it carries this fingerprint.
    fn snapshot(
        &self,
        stream: &StreamId,
        fingerprint: u64,
    ) -> impl Future<Output = Result<Option<(Version, Bytes)>, StoreError>> + Send;
}

/// Maps ids of other systems to ids of aggregates.
pub trait IdentityMap: Send + Sync + 'static {
    /// Gives the aggregate key that `(tenant, source, external)` stands for in a category, if there is one.
    fn identity(&self, external: &ExternalId) -> impl Future<Output = Result<Option<String>, StoreError>> + Send;

    /// Gives the aggregate key, which from now on is `candidate` if there was none. Race-free: all callers get the same.
    fn identify(
        &self,
        external: &ExternalId,
        candidate: &str,
    ) -> impl Future<Output = Result<String, StoreError>> + Send;
}

/// An id of another system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExternalId {
    /// The tenant; empty is the default one.
    pub tenant: String,
    /// The name of the aggregate that is identified.
    pub category: String,
    /// The other system.
    pub source: String,
    /// The id there.
    pub id: String,
}
