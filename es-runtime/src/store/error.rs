//! What can go wrong in a store.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use super::LedgerRecord;
use crate::aggregate::CannotApply;
use crate::event::{DecodeError, EventId, GlobalPosition, StreamId, Version};
use crate::projection::ProjectionFailure;

/// Says why a store could not read or begin to write. Nothing was stored.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store could not be reached or gave up for now.
    #[error("the store is unavailable: {reason}")]
    Unavailable {
        /// What was tried and what happened.
        reason: String,
        /// The error underneath.
        #[source]
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// Another process held the database's write lock for too long.
    #[error("the database is locked by another process for more than {waited:?}; nothing was stored, try again")]
    Locked {
        /// How long was waited.
        waited: Duration,
    },
    /// The disk is full.
    #[error("the disk is full; nothing was stored: {reason}")]
    Full {
        /// What the store said.
        reason: String,
    },
    /// The database refuses the values, and would again: one is larger than it takes, or none of its kind, or breaks a constraint. Nothing was stored.
    #[error("the database refuses the values; nothing was stored: {reason}")]
    Refused {
        /// What was tried, and what the database said.
        reason: String,
    },
    /// The database cannot be written.
    #[error("the database is read-only; nothing was stored: {reason}")]
    ReadOnly {
        /// What the store said.
        reason: String,
    },
    /// Something in the store is damaged.
    #[error("damaged data in the store at {place}: {reason}")]
    Damaged {
        /// Where: table, stream, version, position.
        place: String,
        /// What is wrong there.
        reason: String,
    },
    /// The database was written by a newer program.
    #[error("the database has schema version {found}, this program knows versions up to {known}; use a newer program")]
    NewerSchema {
        /// The database's schema version.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// A stored event does not decode.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The program cannot apply a stored event: its apply function panicked, or does not fit the state any longer. A bug of
    /// the program, not of the store.
    #[error("stream `{stream}`, version {version}: {cause}")]
    CannotApply {
        /// The stream.
        stream: StreamId,
        /// The place in the stream.
        version: Version,
        /// Why the event cannot be applied.
        cause: CannotApply,
    },
    /// The database file was replaced or removed while it was open: what would be stored in it, nobody would find. The store is of no use any more;
    /// open it again.
    #[error("the database file `{}` was replaced or removed while it was open; restart the program", .path.display())]
    Replaced {
        /// The path of the file.
        path: std::path::PathBuf,
    },
    /// What is asked for is not there: a table or a projection's version that was dropped, or never registered.
    #[error("{what} is not there: it was dropped, or never registered")]
    Gone {
        /// What is not there.
        what: String,
    },
    /// A checkpoint cannot be moved past the end of the log: events that come later would be skipped.
    #[error("position {to} is past the end of the log, which is at position {head}")]
    PastHead {
        /// The position that was asked for.
        to: GlobalPosition,
        /// The position of the newest event.
        head: GlobalPosition,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Tells whether the same call may succeed later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Locked { .. } | Self::Full { .. })
    }
}

/// Says why a commit was not stored. All but [`Uncertain`](Self::Uncertain) mean: nothing of it is there.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The stream is not at the expected version.
    #[error("stream `{stream}` is at version {actual}, not at the expected version {expected}")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// What the decision was made on.
        expected: Version,
        /// What is stored.
        actual: Version,
    },
    /// An earlier decision that this one stands on was not stored.
    #[error("a decision that this one stands on was not stored")]
    ChainBroken,
    /// A unique key is taken by another stream.
    #[error("the key `{key}` is taken in the set `{set}`")]
    Claimed {
        /// The set.
        set: String,
        /// The key.
        key: String,
    },
    /// The program claims other keys with an event than the store knows.
    #[error("{0}; use the newest program, or build the claims")]
    ClaimsDiffer(Box<super::ClaimsDiffer>),
    /// The idempotency key is in the ledger already.
    #[error("the idempotency key is in the ledger already, by command `{}`", .0.command)]
    KeyRecorded(Box<LedgerRecord>),
    /// A synchronous projection failed on an event of the commit.
    #[error("projection `{projection}` failed: {cause}")]
    ProjectionFailed {
        /// The projection.
        projection: &'static str,
        /// Why.
        cause: ProjectionFailure,
    },
    /// A synchronous projection took longer than it may.
    #[error("projection `{projection}` took longer than {after:?}")]
    ProjectionTimedOut {
        /// The projection.
        projection: &'static str,
        /// Its time-out.
        after: Duration,
    },
    /// A synchronous projection has to wait for earlier events of the stream or of a row that the commit changes: one of them is put aside, or
    /// there are too many.
    #[error("projection `{projection}` cannot take a commit of stream `{stream}` yet: {reason}")]
    ProjectionBehind {
        /// The projection.
        projection: &'static str,
        /// The stream of the commit.
        stream: StreamId,
        /// What it waits for.
        reason: String,
    },
    /// No store can store the commit as it is.
    #[error(transparent)]
    Invalid(#[from] InvalidCommit),
    /// The line to the writer stayed full.
    #[error("the store's line is full; nothing was stored")]
    Overloaded,
    /// The store could not begin or finish the commit, and nothing of it is there.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Whether the commit is stored could not be found out.
    #[error("whether the commit was stored could not be found out: {reason}")]
    Uncertain {
        /// What happened.
        reason: String,
    },
}

/// An error returned when no store can store a commit as it is. The same commit fails again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCommit {
    /// Two of its events have one id.
    #[error("two events of the commit have the id `{id}`")]
    RepeatedEventId {
        /// The id.
        id: EventId,
    },
    /// A key is longer than the stores' indexes take.
    #[error("{what} has {bytes} bytes, and may have {limit}")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its length, in bytes.
        bytes: usize,
        /// The limit: [`NewCommit::LONGEST_KEY`](super::NewCommit::LONGEST_KEY).
        limit: usize,
    },
    /// The time is outside of the years 0 to 9999: not every store and format can write it.
    #[error("the time {at} is outside of the years 0 to 9999")]
    TimeOutOfRange {
        /// The time.
        at: chrono::DateTime<chrono::Utc>,
    },
    /// It has something that only events bring: claims, or a snapshot of the state after them.
    #[error("the commit has {what}, and no events")]
    WithoutEvents {
        /// What it has.
        what: &'static str,
    },
}

impl AppendError {
    /// The error of a ticket whose writer is gone.
    pub(crate) fn lost() -> Self {
        Self::Uncertain { reason: "the writer ended without an answer".to_owned() }
    }

    /// Tells whether the command should be decided again on a fresh state.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::ChainBroken)
    }
}
