//! How subscriptions fare, as data.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::reader::LogGap;
use crate::event::{EventId, GlobalPosition, StreamId};
use crate::store::PartitionId;

/// How the subscriptions of a process fare: one entry a partition, in order.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Health {
    /// The partitions of this program's subscriptions.
    pub subscriptions: Vec<SubscriptionHealth>,
}

impl Health {
    /// Gives the partitions of one subscription.
    pub fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a SubscriptionHealth> + 'a {
        self.subscriptions.iter().filter(move |subscription| &*subscription.id.name == name)
    }

    /// Tells whether nothing stopped, failed or is put aside.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.subscriptions.iter().all(|subscription| {
            let ill =
                matches!(subscription.state, SubscriptionState::Stopped { .. } | SubscriptionState::Retrying { .. });
            !ill && subscription.letters == 0
        })
    }

    pub(crate) fn entry(&mut self, id: &PartitionId) -> &mut SubscriptionHealth {
        let place = match self.subscriptions.binary_search_by(|subscription| subscription.id.cmp(id)) {
            Ok(place) => place,
            Err(place) => {
                self.subscriptions.insert(place, SubscriptionHealth::new(id.clone()));
                place
            }
        };
        &mut self.subscriptions[place]
    }
}

/// How one partition of a subscription fares, as this process sees it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SubscriptionHealth {
    /// The subscription's name, its version and the partition.
    pub id: PartitionId,
    /// What it does.
    pub state: SubscriptionState,
    /// The last position that is durably done. Of a partition that another process runs it is what this process knew last.
    pub position: GlobalPosition,
    /// The newest position of the log that this process knows.
    pub head: GlobalPosition,
    /// How many events the partition is behind the head, at most: events of other partitions count too.
    pub lag_events: u64,
    /// How old the oldest event that is not done was when the partition last looked, in seconds; 0 at the head.
    pub lag_seconds: f64,
    /// How many sequence keys have letters.
    pub parked_keys: usize,
    /// How many letters there are. An event that is put aside under several keys counts several times.
    pub letters: usize,
}

impl SubscriptionHealth {
    fn new(id: PartitionId) -> Self {
        Self {
            id,
            state: SubscriptionState::WaitingForLease,
            position: GlobalPosition::START,
            head: GlobalPosition::START,
            lag_events: 0,
            lag_seconds: 0.0,
            parked_keys: 0,
            letters: 0,
        }
    }

    /// Tells whether this process runs the partition.
    #[must_use]
    pub const fn is_mine(&self) -> bool {
        use SubscriptionState as State;
        matches!(
            self.state,
            State::Running | State::CaughtUp | State::CatchingUp { .. } | State::Retrying { .. } | State::Building
        )
    }
}

/// What a partition of a subscription does.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SubscriptionState {
    /// It begins, or handles what just came.
    Running,
    /// It is at the head of the log.
    CaughtUp,
    /// It works off what is in the log.
    CatchingUp {
        /// The position that is done.
        done: u64,
        /// The head of the log.
        total: u64,
    },
    /// Its version is being built; an older one serves.
    Building,
    /// An event failed, or the store could not be used; it is tried again.
    Retrying {
        /// How often it failed in a row.
        attempt: u32,
        /// Why.
        cause: String,
    },
    /// Somebody paused it.
    Paused,
    /// It stopped.
    Stopped {
        /// Why.
        reason: StopReason,
        /// When.
        at: DateTime<Utc>,
    },
    /// Another process runs it, or nobody yet.
    WaitingForLease,
}

/// Why a subscription stopped. It stays so until somebody resumes it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StopReason {
    /// An event failed whose function declares `on_failure = stop`.
    #[error("event {event} of stream `{stream}`, position {position}: {cause}")]
    Failed {
        /// The event.
        event: EventId,
        /// Its stream.
        stream: StreamId,
        /// Its place in the log.
        position: GlobalPosition,
        /// Why.
        cause: String,
    },
    /// The next event would have to be put aside, and there is no room for it.
    #[error("no more than {letters} letters under {keys} keys can be put aside; retry or skip them, then resume")]
    LettersFull {
        /// How many keys have letters.
        keys: usize,
        /// How many letters there are.
        letters: usize,
    },
    /// The log is not contiguous.
    #[error(transparent)]
    Gap(#[from] LogGap),
    /// The checkpoint stands behind the end of the log: the log lacks events that were handled. Handling them again when others take their
    /// positions would leave those out.
    #[error(
        "the checkpoint stands at position {position}, and the log ends at {head}: it lacks events that were handled; restore the log and the checkpoints from one backup, or rebuild the projection"
    )]
    AheadOfLog {
        /// The position of the checkpoint.
        position: GlobalPosition,
        /// The position of the newest event.
        head: GlobalPosition,
    },
    /// An event changes rows of several partitions.
    #[error(
        "event {event} of stream `{stream}`, position {position}, changes rows of several partitions: {keys:?}; run the projection in one"
    )]
    SpansPartitions {
        /// The event.
        event: EventId,
        /// Its stream.
        stream: StreamId,
        /// Its place in the log.
        position: GlobalPosition,
        /// The rows.
        keys: Vec<String>,
    },
    /// The worker panicked: a bug of the runtime, or of a projector.
    #[error("the worker panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// A newer version serves and this one was dropped.
    #[error("a newer version serves, and this one was dropped; use a newer program")]
    Dropped,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// It was stopped by another process or an earlier run.
    #[error("{0}")]
    Recorded(Arc<str>),
}
