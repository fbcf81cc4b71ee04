//! Events: what happened, in the past tense, never changed.
//!
//! An event is declared with [`#[domain_event]`](crate::domain_event); this module holds what the attribute generates
//! against, and events as they are stored.

mod ids;
mod metadata;
mod recorded;
mod shape;

use std::any::Any;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::encoding;
use crate::private::panic_message;

pub use crate::encoding::{Fidelity, Form, HasFidelity};
pub use ids::{CausationId, CommandId, CorrelationId, EventId, GlobalPosition, StreamId, Version};
pub use metadata::{Metadata, TraceContext};
pub use recorded::{AnyEvent, Claim, ClaimKind, ClaimRule, EventName, Recorded, StreamIdError};
pub use shape::{FieldShape, HasShape, Shape};

/// A fact that a domain records. Implemented by [`#[domain_event]`](crate::domain_event).
///
/// Its name and version fix how it is stored, apart from the Rust type's name and path.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a domain event",
    label = "not a domain event",
    note = "put `#[domain_event]` on `{Self}`"
)]
pub trait DomainEvent:
    Serialize + DeserializeOwned + Clone + Debug + PartialEq + HasShape + Send + Sync + 'static
{
    /// The stored name.
    const NAME: &'static str;
    /// The version of the schema, from 1.
    const VERSION: u32;
    /// How faithfully the event is read back, as far as it is known while compiling. [`Fidelity::UNKNOWN`] is always right:
    /// each event is then read back before it is stored.
    const FIDELITY: Fidelity = Fidelity::UNKNOWN;

    /// Decodes an older version. Called only where `version` is not [`VERSION`](Self::VERSION).
    ///
    /// # Errors
    ///
    /// [`DecodeError::UnknownVersion`] where there is no such version; else what decoding or upcasting said.
    fn upcast(version: u32, body: &[u8]) -> Result<Self, DecodeError> {
        let _ = body;
        Err(DecodeError::UnknownVersion { name: Self::NAME.to_owned(), version, known: Self::VERSION })
    }

    /// The rules by which this event claims or frees keys, in the order in which [`claims`](Self::claims) applies them.
    const CLAIMS: &'static [ClaimRule] = &[];

    /// Adds the unique keys that this event claims or frees.
    ///
    /// # Errors
    ///
    /// Returns the error from `serde_json` if a key cannot be written as JSON.
    fn claims(&self, claims: &mut Vec<Claim>) -> Result<(), serde_json::Error> {
        let _ = claims;
        Ok(())
    }
}

/// Turns the raw JSON of version `V` into that of version `V + 1`. Implemented by [`#[upcast]`](crate::upcast).
#[diagnostic::on_unimplemented(
    message = "event `{Self}` has no upcaster from version {V}",
    label = "stored events of version {V} could not be read",
    note = "add `#[upcast(event = {Self}, from = {V})] fn …(old: serde_json::Value) -> Result<serde_json::Value, UpcastError>`",
    note = "or declare the old version as a type and name it here: `upcast = OldType`"
)]
pub trait UpcastFrom<const V: u32>: DomainEvent {
    /// Turns the JSON of version `V` into that of version `V + 1`.
    ///
    /// # Errors
    ///
    /// [`UpcastError`] where the old JSON cannot be turned.
    fn upcast_json(old: serde_json::Value) -> Result<serde_json::Value, UpcastError>;
}

/// Says why an old event could not be turned into a newer one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct UpcastError {
    reason: String,
}

impl UpcastError {
    /// Makes an error from what went wrong.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

impl From<serde_json::Error> for UpcastError {
    fn from(error: serde_json::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Says why a stored event could not be decoded. Nothing is skipped: whoever reads stops here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The program does not know the event's name.
    #[error("event `{name}` is unknown to this program")]
    UnknownEvent {
        /// The stored name.
        name: String,
    },
    /// The program does not know this version of the event.
    #[error("version {version} of event `{name}` is unknown to this program, which knows versions up to {known}")]
    UnknownVersion {
        /// The stored name.
        name: String,
        /// The stored version.
        version: u32,
        /// The newest version the program knows.
        known: u32,
    },
    /// The stored JSON does not fit the event's fields.
    #[error("the stored form of event `{name}` version {version} does not fit: {reason}")]
    Malformed {
        /// The stored name.
        name: String,
        /// The stored version.
        version: u32,
        /// What the decoder said.
        reason: String,
    },
    /// An upcaster refused the old form.
    #[error("event `{name}` could not be upcast from version {version}: {reason}")]
    NotUpcast {
        /// The stored name.
        name: String,
        /// The stored version.
        version: u32,
        /// What the upcaster said.
        reason: String,
    },
    /// An upcaster, or a `Deserialize` of the event's fields, panicked: a bug of the program.
    #[error("decoding event `{name}` from version {version} panicked: {message}")]
    Panicked {
        /// The stored name.
        name: String,
        /// The stored version.
        version: u32,
        /// The panic's message.
        message: String,
    },
    /// Any of the others, with its place in the log.
    #[error("stream `{stream}`, version {version}{}: {cause}", .position.map(|p| format!(", position {p}")).unwrap_or_default())]
    At {
        /// The stream.
        stream: StreamId,
        /// The place in the stream.
        version: Version,
        /// The place in the log, where it is known.
        position: Option<GlobalPosition>,
        /// What is wrong there.
        cause: Box<DecodeError>,
    },
}

impl DecodeError {
    /// Adds the place in the log, once.
    #[must_use]
    pub fn at(self, stream: &StreamId, version: Version, position: Option<GlobalPosition>) -> Self {
        match self {
            Self::At { .. } => self,
            cause => Self::At { stream: stream.clone(), version, position, cause: Box::new(cause) },
        }
    }

    /// Gives the error without its place.
    #[must_use]
    pub fn cause(&self) -> &Self {
        match self {
            Self::At { cause, .. } => cause,
            other => other,
        }
    }
}

/// Decodes a stored event of any version this program knows.
///
/// # Errors
///
/// [`DecodeError`] where the version is unknown or the JSON does not fit.
pub fn decode<E: DomainEvent>(version: u32, body: &[u8]) -> Result<E, DecodeError> {
    // The body is only read, so a panic leaves nothing half changed.
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        if version == E::VERSION {
            encoding::read(body).map_err(|error| malformed(E::NAME, version, &error))
        } else {
            E::upcast(version, body)
        }
    }));
    decoded.unwrap_or_else(|panic| Err(panicked(E::NAME, version, &*panic)))
}

/// Builds the error of an upcaster that panicked. Not generic, so that it is compiled once.
#[cold]
fn panicked(name: &str, version: u32, panic: &(dyn Any + Send)) -> DecodeError {
    DecodeError::Panicked { name: name.to_owned(), version, message: panic_message(panic) }
}

/// Returns the keys that a stored event claims or frees by the rules of this program, in their order.
///
/// # Errors
///
/// Returns [`DecodeError`] if the event cannot be decoded, or if a key cannot be written as JSON.
pub(crate) fn claims_of<E: DomainEvent>(version: u32, body: &[u8]) -> Result<Vec<Claim>, DecodeError> {
    let mut claims = Vec::new();
    let added = decode::<E>(version, body)?.claims(&mut claims);
    added.map_err(|error| malformed(E::NAME, version, &error))?;
    Ok(claims)
}

/// Builds the error of a body that does not fit. Not generic, so that it is compiled once.
#[cold]
pub(crate) fn malformed(name: &str, version: u32, error: &serde_json::Error) -> DecodeError {
    DecodeError::Malformed { name: name.to_owned(), version, reason: error.to_string() }
}
