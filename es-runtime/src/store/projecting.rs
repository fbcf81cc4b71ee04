//! What a store does for read models and for those who follow the log: rows, checkpoints, leases, letters.
//!
//! Everything that follows the log is a *subscription*: a name, a version, partitions. Its checkpoint moves in one transaction
//! with what it writes, by compare-and-set on position and epoch, so two workers can never both move it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::StoreError;
use crate::event::{AnyEvent, EventId, GlobalPosition, Recorded, StreamId, Version};
use crate::projection::{ConnectedProjector, ProjectionDescriptor, ProjectionFailure, Projector};
use crate::read_model::{RowKey, Selection, TableRef, Value, WriteSet};

/// Reads the rows of read models.
pub trait RowStore: Send + Sync + 'static {
    /// Reads rows by their keys: one answer a key, in their order; the values of the table's columns, or `None`.
    ///
    /// # Errors
    ///
    /// Here and below: [`StoreError::Gone`] where the table is not there.
    fn rows(
        &self,
        table: TableRef,
        keys: &[RowKey],
    ) -> impl Future<Output = Result<Vec<Option<Vec<Value>>>, StoreError>> + Send;

    /// Reads the rows that are selected, in the selection's order and then that of the key.
    fn select(
        &self,
        table: TableRef,
        selection: &Selection,
    ) -> impl Future<Output = Result<Vec<Vec<Value>>, StoreError>> + Send;

    /// Counts the rows that are selected; order, page and limit do not matter.
    fn count(&self, table: TableRef, selection: &Selection) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// Keeps track of projections and their versions.
pub trait ProjectionRegistry: Send + Sync + 'static {
    /// Makes a projection's version known, and its tables where they are not there. On an empty log it is active
    /// from its start; else it is built first, beside the active one if there is one, until a batch that
    /// [switches](Batch::switch) makes it the active one.
    ///
    /// Several processes may call it at once.
    ///
    /// # Errors
    ///
    /// [`RegisterError`] where the version is known with another table, other partitions; or is older than the active one and
    /// its table is gone.
    fn register(
        &self,
        projection: &'static ProjectionDescriptor,
        reset: Option<Arc<dyn ConnectedProjector>>,
    ) -> impl Future<Output = Result<(), RegisterError>> + Send;

    /// Gives every known version of every projection.
    fn projections(&self) -> impl Future<Output = Result<Vec<ProjectionVersion>, StoreError>> + Send;

    /// Empties what a version wrote and sets its checkpoints back to the start; its letters are gone, and it is in building until it has caught up. Only for a version that runs folded or connected with
    /// a `#[reset]`. The subscription's epochs grow, so that a worker that is under way is fenced off.
    fn reset(
        &self,
        projection: &'static ProjectionDescriptor,
        connected: Option<Arc<dyn ConnectedProjector>>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Drops the tables, checkpoints and letters of the versions that are older than the active one and of which no living process
    /// runs a partition: its program still reads them. Says how many versions.
    fn drop_retired(&self, name: &str) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// One version of a projection, as a store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectionVersion {
    /// The projection's name.
    pub name: String,
    /// The version.
    pub version: u32,
    /// What the version's table looks like ([`TableDescriptor::describe`](crate::read_model::TableDescriptor::describe));
    /// empty where it has none of ours.
    pub table: String,
    /// In how many partitions it runs.
    pub partitions: u32,
    /// Where it stands.
    pub state: VersionState,
}

/// Where a version of a projection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionState {
    /// It is being built; an older one serves.
    Building,
    /// It serves.
    Active,
    /// A newer one serves; it may still be read until it is dropped.
    Retired,
}

/// Says why a projection cannot run.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The table's columns differ from those that are stored for this version.
    #[error(
        "the table of projection `{projection}` version {version} is stored with other columns; raise the version:\n{difference}"
    )]
    TableChanged {
        /// The projection.
        projection: String,
        /// The version.
        version: u32,
        /// What differs: lines with `-` are stored, lines with `+` are the program's.
        difference: String,
    },
    /// The number of partitions differs from the one that is stored for this version.
    #[error(
        "projection `{projection}` version {version} is stored with {stored} partitions, not with {declared}; raise the version"
    )]
    PartitionsChanged {
        /// The projection.
        projection: String,
        /// The version.
        version: u32,
        /// What is stored.
        stored: u32,
        /// What is declared.
        declared: u32,
    },
    /// Another table of the database has the name that the projection's is to have.
    #[error("there is a table `{table}` that is none of projection `{projection}`")]
    TableExists {
        /// The projection.
        projection: String,
        /// The table.
        table: String,
    },
    /// A newer version serves and this one is dropped: the program is too old.
    #[error("projection `{projection}` is at version {active}, version {version} was dropped; use a newer program")]
    Dropped {
        /// The projection.
        projection: String,
        /// This program's version.
        version: u32,
        /// The version that serves.
        active: u32,
    },
    /// A projection that takes a connection runs on a store that has none.
    #[error("projection `{projection}` takes a connection, which this store does not have")]
    NoConnections {
        /// The projection.
        projection: String,
    },
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Names one partition of one version of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId {
    /// The subscription's name.
    pub name: Arc<str>,
    /// Its version.
    pub version: u32,
    /// The partition, from 0.
    pub partition: u32,
}

/// A position up to which a reader has seen every event that there is and will be. Only a read that respects the store's
/// horizon makes one, so a checkpoint can never stand ahead of an event that was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SafePosition(pub(crate) GlobalPosition);

impl SafePosition {
    /// Gives the position.
    #[must_use]
    pub const fn get(self) -> GlobalPosition {
        self.0
    }
}

/// Where a partition stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The partition.
    pub id: PartitionId,
    /// The last position that is done.
    pub position: GlobalPosition,
    /// The lease under which it moves: it grows with each new owner.
    pub epoch: u64,
    /// Who owns the partition.
    pub owner: Option<ProcessId>,
    /// Whether it may run.
    pub status: SubscriptionStatus,
    /// How many letters the partition has.
    pub letters: u64,
}

/// Whether a partition may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionStatus {
    /// It runs.
    Running,
    /// Somebody paused it.
    Paused,
    /// It stopped by itself, and says why.
    Stopped {
        /// Why.
        reason: String,
        /// When.
        at: DateTime<Utc>,
    },
}

/// What one transaction of a subscription does. All of it is stored, or none.
#[derive(Clone)]
pub struct Batch {
    /// The partition.
    pub id: PartitionId,
    /// The epoch of the lease under which it was made.
    pub epoch: u64,
    /// Where the checkpoint stands.
    pub from: GlobalPosition,
    /// Where it moves to; `None` for work that leaves it: the retry of a letter.
    pub to: Option<SafePosition>,
    /// What is written.
    pub work: BatchWork,
    /// Events that are put aside.
    pub letters: Vec<NewLetter>,
    /// Sequence keys that the worker takes for parked, because letters are queued behind theirs. The batch is refused with
    /// [`BatchError::LettersChanged`] where one of them has no letter any more.
    pub parked: Vec<String>,
    /// The position of a letter that this batch deals with: it goes. Refused with [`BatchError::LettersChanged`] where it is gone.
    pub settles: Option<GlobalPosition>,
    /// Whether the version becomes the active one in this transaction: only if nothing is left in the log behind `to` and every other
    /// partition is at the head too; the transaction holds every append off while it looks. Else the batch is stored without the switch.
    pub switch: bool,
}

/// What a batch writes.
#[derive(Clone)]
pub enum BatchWork {
    /// Nothing in this store.
    Nothing,
    /// Rows that were folded outside of the transaction. Only for projections without synchronous functions, whose rows nobody
    /// else writes.
    Rows(WriteSet),
    /// Events to fold inside the transaction: for projections with synchronous functions. The store leaves those out that a commit has
    /// folded already.
    Fold {
        /// The projection.
        projector: Arc<dyn Projector>,
        /// The events, in their order.
        events: Vec<Recorded<AnyEvent>>,
    },
    /// Events for functions that take the connection.
    Connected {
        /// The projection.
        projector: Arc<dyn ConnectedProjector>,
        /// The events, in their order.
        events: Vec<Recorded<AnyEvent>>,
        /// How long all of them together may take.
        timeout: Duration,
    },
}

/// What became of a batch that was stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchDone {
    /// Whether the version became the active one.
    pub switched: bool,
}

/// Says why a batch was not stored.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The checkpoint is not where the worker thought, or the lease is another's: somebody else runs the partition, or it was rewound.
    #[error("the partition is run by somebody else, or was moved")]
    Fenced,
    /// Letters that the batch stands on changed meanwhile.
    #[error("the letters of the partition changed meanwhile")]
    LettersChanged,
    /// A function failed on one of the events.
    #[error("event {index} of the batch: {failure}")]
    Failed {
        /// The event's place in the batch.
        index: usize,
        /// Why.
        failure: ProjectionFailure,
    },
    /// The store could not be used; nothing is stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Whether it is stored could not be found out: read the checkpoint.
    #[error("whether the batch was stored could not be found out: {reason}")]
    Uncertain {
        /// What happened.
        reason: String,
    },
}

/// An event that is put aside, under one sequence key. An event that changes several rows is put aside under each of their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLetter {
    /// The sequence key: the row's, or the stream's where the row is not known.
    pub key: String,
    /// The event's stream.
    pub stream: StreamId,
    /// The event's place in the log.
    pub position: GlobalPosition,
    /// The event's id.
    pub event: EventId,
    /// Why it was put aside; `None` for one that waits behind another.
    pub cause: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was put aside.
    pub at: DateTime<Utc>,
}

/// A letter as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The partition.
    pub id: PartitionId,
    /// What was put aside.
    pub letter: NewLetter,
    /// When it was last tried.
    pub touched: DateTime<Utc>,
}

/// Moves checkpoints, and keeps letters.
pub trait CheckpointStore: Send + Sync + 'static {
    /// Stores a batch: what it writes, its letters and the checkpoint, in one transaction.
    ///
    /// # Errors
    ///
    /// [`BatchError`]; nothing of the batch is stored but for [`BatchError::Uncertain`].
    ///
    /// # Cancel safety
    ///
    /// Dropped, the batch is stored whole or not at all.
    fn project(&self, batch: Batch) -> impl Future<Output = Result<BatchDone, BatchError>> + Send;

    /// Gives where the partitions of a version stand, in their order; empty where it is not known.
    fn checkpoints(&self, name: &str, version: u32)
    -> impl Future<Output = Result<Vec<Checkpoint>, StoreError>> + Send;

    /// Sets whether the partitions of a version may run; all of them, or one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Gone`] where the version or the partition is not known.
    fn set_status(
        &self,
        name: &str,
        version: u32,
        partition: Option<u32>,
        status: SubscriptionStatus,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Moves all checkpoints of a version to a position, and raises the epochs so that workers under way are fenced off. Its letters are gone.
    /// A position behind the head stands for the head: no checkpoint is ahead of an event that comes later.
    ///
    /// Where it goes back, what commits have folded is folded again, as everything behind the position is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Gone`] where the version is not known.
    fn rewind(
        &self,
        name: &str,
        version: u32,
        to: GlobalPosition,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Reads up to `limit` letters of a version, the oldest position first; of one sequence key where it is given.
    fn letters(
        &self,
        name: &str,
        version: u32,
        key: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Letter>, StoreError>> + Send;

    /// Gives the sequence keys that have letters in a partition.
    fn parked_keys(&self, id: &PartitionId) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;

    /// Notes that a letter was tried again without success.
    fn touch_letter(
        &self,
        id: &PartitionId,
        position: GlobalPosition,
        cause: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes one letter away unhandled; `false` where it was not there. Later letters of its key stay.
    fn skip_letter(
        &self,
        id: &PartitionId,
        position: GlobalPosition,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Gives, for each stream, the version of its last event at or below a position; [`Version::NONE`] where there is none. For the check
    /// that a reader misses nothing.
    fn versions_at(
        &self,
        streams: &[StreamId],
        position: GlobalPosition,
    ) -> impl Future<Output = Result<Vec<Version>, StoreError>> + Send;

    /// Reads single events by their positions, in ascending order.
    fn events_at(
        &self,
        positions: &[GlobalPosition],
    ) -> impl Future<Output = Result<Vec<Recorded<AnyEvent>>, StoreError>> + Send;
}

/// Names one running program, for the time it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(pub Uuid);

impl ProcessId {
    /// Makes a new one.
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for ProcessId {
    fn default() -> Self {
        Self::new()
    }
}

/// Asks for partitions.
#[derive(Clone, Debug)]
pub struct LeaseRequest {
    /// Who asks.
    pub process: ProcessId,
    /// How long its leases hold without another request.
    pub timeout: Duration,
    /// Every partition it can run.
    pub wanted: Vec<PartitionId>,
}

/// A partition that a process may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The partition.
    pub id: PartitionId,
    /// The epoch under which its checkpoint moves.
    pub epoch: u64,
    /// Where the checkpoint stands.
    pub position: GlobalPosition,
    /// Whether it may run.
    pub status: SubscriptionStatus,
}

/// Shares partitions among processes.
///
/// A process that dies is noticed when its time-out has passed without a request; where the store can find out sooner, sooner.
pub trait LeaseStore: Send + Sync + 'static {
    /// Notes that the process lives, gives up what it has beyond its fair share, takes what nobody has; and gives everything that
    /// it owns then. What was owned before keeps its epoch.
    ///
    /// The fair share is the number of wanted partitions divided by the number of living processes that want any, rounded up.
    fn lease(&self, request: &LeaseRequest) -> impl Future<Output = Result<Vec<Lease>, StoreError>> + Send;

    /// Gives everything up: others may take it at once.
    fn leave(&self, process: ProcessId) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The synchronous projections of an application: what its commits carry to the store.
#[derive(Clone, Default)]
pub struct SyncProjections {
    /// Those that are folded, by their lowest priority, then by name.
    pub folded: Vec<Arc<dyn Projector>>,
    /// Those that take the connection, in the same order. A commit that concerns one of them shares no transaction with others.
    pub connected: Vec<Arc<dyn ConnectedProjector>>,
    /// Up to how many pending events of a stream a commit applies before its own; beyond that it fails with
    /// [`AppendError::ProjectionBehind`](super::AppendError::ProjectionBehind).
    pub backlog: usize,
}

impl SyncProjections {
    /// Tells whether this version of a projection is one of them.
    #[must_use]
    pub fn bring(&self, projection: &ProjectionDescriptor) -> bool {
        let folded = self.folded.iter().map(|projector| projector.descriptor());
        let mut all = folded.chain(self.connected.iter().map(|projector| projector.descriptor()));
        all.any(|own| (own.name, own.version) == (projection.name, projection.version))
    }

    /// Tells whether one of the synchronous functions takes an event.
    #[must_use]
    pub fn concern(&self, category: &str, event: &str) -> bool {
        let folded = self.folded.iter().map(|projector| projector.descriptor());
        let connected = self.connected.iter().map(|projector| projector.descriptor());
        folded.chain(connected).any(|projection| projection.takes_in_append(category, event))
    }
}

impl std::fmt::Debug for SyncProjections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let folded = self.folded.iter().map(|projector| projector.descriptor().name);
        let connected = self.connected.iter().map(|projector| projector.descriptor().name);
        f.debug_set().entries(folded.chain(connected)).finish()
    }
}

impl std::fmt::Debug for BatchWork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Rows(rows) => write!(f, "Rows({})", rows.changes.len()),
            Self::Fold { events, .. } => write!(f, "Fold({})", events.len()),
            Self::Connected { events, .. } => write!(f, "Connected({})", events.len()),
        }
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch")
            .field("id", &self.id)
            .field("epoch", &self.epoch)
            .field("from", &self.from)
            .field("to", &self.to)
            .field("work", &self.work)
            .field("letters", &self.letters.len())
            .finish_non_exhaustive()
    }
}
