//! Events as they are stored.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::ids::{EventId, GlobalPosition, StreamId, Version};
use super::metadata::Metadata;
use super::{DecodeError, DomainEvent};
use crate::aggregate::Aggregate;

/// An event's stored name. Cheap to clone: a pointer.
#[derive(Clone)]
pub enum EventName {
    /// A name of this program.
    Static(&'static str),
    /// A name that was read.
    Shared(Arc<str>),
}

impl Deref for EventName {
    type Target = str;
    fn deref(&self) -> &str {
        match self {
            Self::Static(name) => name,
            Self::Shared(name) => name,
        }
    }
}

impl PartialEq for EventName {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}
impl Eq for EventName {}

impl fmt::Debug for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl From<&'static str> for EventName {
    fn from(name: &'static str) -> Self {
        Self::Static(name)
    }
}

/// An event in its stored form: name, schema version, JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnyEvent {
    /// The stored name.
    pub name: EventName,
    /// The version of the event's schema, from 1.
    pub version: u32,
    /// The event's fields as JSON.
    pub body: Bytes,
}

impl AnyEvent {
    /// Tells whether this is an `E`, of any version.
    #[must_use]
    pub fn is<E: DomainEvent>(&self) -> bool {
        &*self.name == E::NAME
    }

    /// Decodes the event, through its upcasters where it is older.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] where the name is another, the version is unknown or the JSON does not fit.
    pub fn decode<E: DomainEvent>(&self) -> Result<E, DecodeError> {
        if self.is::<E>() {
            super::decode(self.version, &self.body)
        } else {
            Err(DecodeError::UnknownEvent { name: self.name.to_string() })
        }
    }
}

/// An event as it is stored: the event and everything the log knows about it. Derefs to the event.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded<E> {
    pub(crate) event: E,
    pub(crate) header: Header,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) id: EventId,
    pub(crate) stream: StreamId,
    pub(crate) version: Version,
    pub(crate) position: GlobalPosition,
    pub(crate) recorded_at: DateTime<Utc>,
    pub(crate) metadata: Arc<Metadata>,
}

impl<E> Recorded<E> {
    /// Puts an event and its place in the log together. For stores and tests.
    #[must_use]
    pub fn new(
        event: E,
        id: EventId,
        stream: StreamId,
        version: Version,
        position: GlobalPosition,
        recorded_at: DateTime<Utc>,
        metadata: Arc<Metadata>,
    ) -> Self {
        Self { event, header: Header { id, stream, version, position, recorded_at, metadata } }
    }

    /// Gives the event.
    #[must_use]
    pub const fn event(&self) -> &E {
        &self.event
    }

    /// Gives the event's id.
    #[must_use]
    pub const fn id(&self) -> EventId {
        self.header.id
    }

    /// Gives the stream the event is in.
    #[must_use]
    pub const fn stream(&self) -> &StreamId {
        &self.header.stream
    }

    /// Gives the event's place in its stream, from 1.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.header.version
    }

    /// Gives the event's place in the whole log.
    #[must_use]
    pub const fn position(&self) -> GlobalPosition {
        self.header.position
    }

    /// Returns the time at which the event was recorded, in whole microseconds.
    #[must_use]
    pub const fn recorded_at(&self) -> DateTime<Utc> {
        self.header.recorded_at
    }

    /// Gives the metadata of the event's commit.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.header.metadata
    }

    /// Gives the tenant; empty is the default one.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.header.stream.tenant()
    }

    /// Gives the id of the aggregate the event belongs to. For handlers of projections: what reaches them is an event of their
    /// aggregate, so it does not fail there. Elsewhere use [`try_id_of`](Self::try_id_of).
    ///
    /// # Panics
    ///
    /// Where the event's stream is not one of `A`, or its key is not an id of `A`.
    #[must_use]
    #[track_caller]
    #[expect(clippy::panic, reason = "documented; the runtime checks it before it calls a handler")]
    pub fn id_of<A: Aggregate>(&self) -> A::Id {
        match self.try_id_of::<A>() {
            Ok(id) => id,
            Err(error) => panic!("{error}"),
        }
    }

    /// Gives the id of the aggregate the event belongs to.
    ///
    /// # Errors
    ///
    /// [`StreamIdError`] where the event's stream is not one of `A`, or its key is not an id of `A`.
    pub fn try_id_of<A: Aggregate>(&self) -> Result<A::Id, StreamIdError> {
        let stream = &self.header.stream;
        if stream.category() != A::NAME {
            return Err(StreamIdError::OtherAggregate { stream: stream.clone(), aggregate: A::NAME });
        }
        A::Id::from_str(stream.key()).map_err(|error| StreamIdError::NotAnId {
            stream: stream.clone(),
            aggregate: A::NAME,
            reason: error.to_string(),
        })
    }

    /// Changes the event and keeps its place in the log.
    pub fn map<F>(self, change: impl FnOnce(E) -> F) -> Recorded<F> {
        Recorded { event: change(self.event), header: self.header }
    }

    /// Takes the event out.
    #[must_use]
    pub fn into_event(self) -> E {
        self.event
    }
}

impl Recorded<AnyEvent> {
    /// Decodes the event as an `E`.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], with the event's stream, version and position.
    pub fn decode<E: DomainEvent>(&self) -> Result<Recorded<E>, DecodeError> {
        let event = self.event.decode::<E>().map_err(|error| self.place(error))?;
        Ok(Recorded { event, header: self.header.clone() })
    }

    /// Decodes the event as one of the aggregate's.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], with the event's stream, version and position.
    pub fn decode_as<A: Aggregate>(&self) -> Result<Recorded<A::Event>, DecodeError> {
        use crate::aggregate::AggregateEvent as _;
        let AnyEvent { name, version, body } = &self.event;
        let event = A::Event::decode(name, *version, body).map_err(|error| self.place(error))?;
        Ok(Recorded { event, header: self.header.clone() })
    }

    pub(crate) fn place(&self, error: DecodeError) -> DecodeError {
        error.at(&self.header.stream, self.header.version, Some(self.header.position))
    }
}

impl<E> Deref for Recorded<E> {
    type Target = E;
    fn deref(&self) -> &E {
        &self.event
    }
}

/// Says why a stream's key gives no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamIdError {
    /// The stream belongs to another aggregate.
    #[error("stream `{stream}` is not one of aggregate `{aggregate}`")]
    OtherAggregate {
        /// The stream.
        stream: StreamId,
        /// The aggregate that was asked for.
        aggregate: &'static str,
    },
    /// The key does not parse.
    #[error("the key of stream `{stream}` is not an id of aggregate `{aggregate}`: {reason}")]
    NotAnId {
        /// The stream.
        stream: StreamId,
        /// The aggregate that was asked for.
        aggregate: &'static str,
        /// What the id's parser said.
        reason: String,
    },
}

/// A unique key that an event claims or frees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The set in which the key is unique.
    pub set: Cow<'static, str>,
    /// The key.
    pub key: String,
    /// Whether the key is claimed or freed.
    pub kind: ClaimKind,
}

/// Whether a key is claimed or freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimKind {
    /// The event takes the key.
    Claim,
    /// The event frees the key.
    Release,
}

/// A rule by which an event claims or frees a key: `#[claim("set")]` or `#[release("set")]` on a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimRule {
    /// The set in which the key is unique.
    pub set: &'static str,
    /// The field that contains the key.
    pub field: &'static str,
    /// Whether the key is claimed or freed.
    pub kind: ClaimKind,
}
