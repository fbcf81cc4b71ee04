//! What a successful dispatch gives back.

use serde::{Deserialize, Serialize};

use crate::event::{EventId, GlobalPosition, StreamId, Version};

/// Proves that a command is durable, and says what it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt<O = ()> {
    pub(crate) output: O,
    pub(crate) stream: StreamId,
    pub(crate) version: Version,
    pub(crate) position: GlobalPosition,
    pub(crate) events: Vec<EventId>,
    pub(crate) replayed: bool,
    #[serde(default)]
    pub(crate) visibility: Visibility,
}

/// Whether what a command did can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Visibility {
    /// Nobody asked: the dispatch did not wait for projections.
    #[default]
    Unknown,
    /// Every projection had passed it.
    Visible,
    /// A projection had not passed it within the limit. The command is committed all the same.
    Pending,
}

impl<O> Receipt<O> {
    /// Tells whether the dispatch that gave the receipt has appended what it speaks of. What it was decided on, or what it repeats, another
    /// program may have appended, and left to the workers.
    pub(crate) fn is_of_an_append(&self) -> bool {
        self.position != GlobalPosition::START && !self.replayed
    }

    /// Gives what an orchestrating handler returned; `()` for the others.
    #[must_use]
    pub const fn output(&self) -> &O {
        &self.output
    }

    /// Takes the output out.
    #[must_use]
    pub fn into_output(self) -> O {
        self.output
    }

    /// Gives the stream that was appended to.
    #[must_use]
    pub const fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// Gives the stream's version after the command.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Gives the position of the command's last event; [`GlobalPosition::START`] where it had nothing to do.
    #[must_use]
    pub const fn position(&self) -> GlobalPosition {
        self.position
    }

    /// Gives the ids of the command's events, in their order.
    #[must_use]
    pub fn events(&self) -> &[EventId] {
        &self.events
    }

    /// Tells whether the command had been done before, under the same idempotency key; this is its first receipt then.
    #[must_use]
    pub const fn replayed(&self) -> bool {
        self.replayed
    }

    /// Tells whether what the command did can be read, where the dispatch asked with
    /// [`wait_for_projections`](crate::app::DispatchOptions::wait_for_projections).
    #[must_use]
    pub const fn visibility(&self) -> Visibility {
        self.visibility
    }

    /// Changes the output and keeps the rest.
    pub fn map<P>(self, change: impl FnOnce(O) -> P) -> Receipt<P> {
        Receipt {
            output: change(self.output),
            stream: self.stream,
            version: self.version,
            position: self.position,
            events: self.events,
            replayed: self.replayed,
            visibility: self.visibility,
        }
    }
}
