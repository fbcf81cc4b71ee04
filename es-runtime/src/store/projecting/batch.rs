//! What one transaction of a subscription does.

use std::sync::Arc;
use std::time::Duration;

use super::{NewLetter, PartitionId, SafePosition};
use crate::event::{AnyEvent, GlobalPosition, Recorded};
use crate::projection::{ConnectedProjector, ProjectionFailure, Projector};
use crate::read_model::WriteSet;
use crate::store::{History, StoreError};

/// What one transaction of a subscription does. All of it is stored, or none.
#[derive(Clone)]
pub struct Batch {
    /// The partition.
    pub id: PartitionId,
    /// The epoch of the lease under which it was made.
    pub epoch: u64,
    /// The history that the checkpoint and the events were read in. If it is over, the batch is refused with [`BatchError::Fenced`].
    pub history: History,
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
    /// partition is at the head too. One that serves and only [follows](super::ProjectionVersion::follows) becomes one that commits fold again: only
    /// if no event that they fold is left, and nothing is put aside. The transaction holds every append off while it looks; otherwise the batch is
    /// stored without the switch.
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
    /// Whether commits fold what they append to the version from now on, where it only followed before.
    pub folds: bool,
}

/// Says why a batch was not stored.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The checkpoint is not where the worker thought, or the lease is another's: somebody else runs the partition, it was rewound, or the store's
    /// history is another one.
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
    /// The database takes no such row; nothing is stored. It says nothing of which event it is: a batch of one event tells.
    #[error("the database refused a row: {reason}")]
    Unstorable {
        /// What the database says.
        reason: String,
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
