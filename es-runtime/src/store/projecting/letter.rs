//! Events that are put aside.

use chrono::{DateTime, Utc};

use super::PartitionId;
use crate::event::{EventId, GlobalPosition, StreamId};

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
