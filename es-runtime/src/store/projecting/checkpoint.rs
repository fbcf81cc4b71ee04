//! Where partitions stand, and what a batch moves.

use std::future::Future;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Batch, BatchDone, BatchError, Letter, ProcessId};
use crate::event::{AnyEvent, GlobalPosition, Recorded, StreamId, Version};
use crate::store::StoreError;

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

impl PartitionId {
    /// Returns the error for a partition that is not registered.
    pub(crate) fn gone(&self) -> StoreError {
        let Self { name, version, partition } = self;
        StoreError::Gone { what: format!("partition {partition} of version {version} of projection `{name}`") }
    }
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
    ///
    /// Where it goes back, what commits have folded is folded again, as everything behind the position is.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Gone`] if the version is not registered, or [`StoreError::PastHead`] if the position is greater than that of the
    /// newest event: a checkpoint there would skip events that come later. Nothing changes then.
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

    /// Returns the position of the first dead letter of these streams up to a position; `None` if there is none.
    fn first_letter(
        &self,
        name: &str,
        version: u32,
        streams: &[StreamId],
        to: GlobalPosition,
    ) -> impl Future<Output = Result<Option<GlobalPosition>, StoreError>> + Send;

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
