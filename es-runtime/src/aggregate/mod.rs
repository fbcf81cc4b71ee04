//! Aggregates: the state that decides, folded from its own events.
//!
//! An aggregate is declared with [`#[aggregate]`](macro@crate::aggregate) on its struct and on its impl blocks; this module
//! holds what the attributes generate against.

mod events;
mod root;
mod snapshot;

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::str::FromStr;

use crate::event::{Claim, ClaimRule, DecodeError, DomainEvent, HasShape, StreamId, claims_of};

pub use events::IntoEvents;
pub use root::{CannotApply, Existing, New, RecordError, Root, RootArg};
pub use snapshot::SnapshotPolicy;

/// Decides over commands, from a state that is folded from its own events. Implemented by
/// [`#[aggregate]`](macro@crate::aggregate) on a struct.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate",
    label = "not an aggregate",
    note = "put `#[aggregate(name = \"…\", id = …, events(…))]` on the struct `{Self}`"
)]
pub trait Aggregate: Sized + Send + Sync + 'static {
    /// The aggregate's name: the category of its streams.
    const NAME: &'static str;
    /// The type of the aggregate's ids.
    type Id: AggregateId;
    /// Whether the text of every id is known to parse back to it. If not, each id is checked when it is dispatched to.
    const ID_IS_EXACT: bool = false;
    /// The generated enum of the aggregate's events.
    type Event: AggregateEvent;
    /// The aggregate's events, in the order of its list.
    const EVENTS: &'static [EventDescriptor];
    /// How the state is stored to shorten replays; `None` where it is not.
    const SNAPSHOT: Option<SnapshotPolicy<Self>> = None;

    /// Applies one event to the state, or to its absence. A creating event gives the new state back, a changing one
    /// changes it in place and gives `None`.
    ///
    /// # Errors
    ///
    /// [`CannotApply`] where a creating event meets a state, or a changing one meets none.
    fn apply(state: Option<&mut Self>, event: &Self::Event) -> Result<Option<Self>, CannotApply>;

    /// Names the stream of the aggregate with this id.
    fn stream(id: &Self::Id) -> StreamId {
        StreamId::new(Self::NAME, id.to_string())
    }
}

/// Identifies an aggregate: anything that displays, parses back, compares and hashes.
///
/// The displayed text is the stream's key; it must parse back to an equal id.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the id of an aggregate",
    label = "not an id",
    note = "an id needs `Display`, `FromStr`, `Clone`, `Eq`, `Hash`, `Send`, `Sync` and `'static`"
)]
pub trait AggregateId: Display + FromStr<Err: Display> + Clone + Eq + Hash + Debug + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T> AggregateId for T where T: Display + FromStr<Err: Display> + Clone + Eq + Hash + Debug + Send + Sync + 'static {}

/// Applies one kind of event. Implemented by `#[apply]` on a function of an [`#[aggregate]`](macro@crate::aggregate) impl.
#[diagnostic::on_unimplemented(
    message = "aggregate `{Self}` has no apply function for event `{E}`",
    label = "no `#[apply]` function takes `&{E}`",
    note = "add `#[apply] fn …(&mut self, event: &{E})` to an `#[aggregate] impl {Self}` block, or `-> Self` without `&mut self` where the event creates it"
)]
pub trait Apply<E>: Sized {
    /// Whether the event creates the aggregate.
    const CREATES: bool;

    /// Applies the event; as [`Aggregate::apply`].
    ///
    /// # Errors
    ///
    /// [`CannotApply`] where a creating event meets a state, or a changing one meets none.
    fn apply(state: Option<&mut Self>, event: &E) -> Result<Option<Self>, CannotApply>;
}

/// Says that an aggregate lists an event. Implemented by [`#[aggregate]`](macro@crate::aggregate) for each name in `events(..)`.
#[diagnostic::on_unimplemented(
    message = "event `{Self}` is not declared by aggregate `{A}`",
    label = "unknown event of `{A}`",
    note = "add `{Self}` to `events(..)` of `{A}`"
)]
pub trait EventOf<A: Aggregate>: DomainEvent {
    /// Makes the aggregate's enum of the event.
    fn into_event(self) -> A::Event;
}

/// The generated enum of an aggregate's events.
pub trait AggregateEvent: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// Gives the stored name.
    fn name(&self) -> &'static str;
    /// Gives the version of the event's schema.
    fn schema_version(&self) -> u32;
    /// Appends the event's fields as JSON.
    ///
    /// # Errors
    ///
    /// What `serde_json` says where a field cannot be written.
    fn encode(&self, into: &mut Vec<u8>) -> Result<(), serde_json::Error>;
    /// Decodes a stored event by its name and version.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] where the name is none of the aggregate's, the version is unknown or the JSON does not fit.
    fn decode(name: &str, version: u32, body: &[u8]) -> Result<Self, DecodeError>;
    /// Adds the unique keys that the event claims or frees.
    ///
    /// # Errors
    ///
    /// Returns the error from `serde_json` if a key cannot be written as JSON.
    fn claims(&self, claims: &mut Vec<Claim>) -> Result<(), serde_json::Error>;
    /// Returns the rules by which the event claims or frees keys.
    fn claim_rules(&self) -> &'static [ClaimRule];
}

/// One event of an aggregate's list.
#[derive(Clone, Copy, Debug)]
pub struct EventDescriptor {
    /// The stored name.
    pub name: &'static str,
    /// The version of the schema.
    pub version: u32,
    /// The Rust type's name.
    pub type_name: &'static str,
    /// The event's fields.
    pub shape: fn() -> &'static crate::event::Shape,
    /// Whether the event creates the aggregate.
    pub creates: bool,
    /// The rules by which the event claims or frees keys.
    pub claims: &'static [ClaimRule],
    /// Returns the keys that a stored event of a schema version claims or frees by these rules.
    pub claims_of: fn(u32, &[u8]) -> Result<Vec<Claim>, DecodeError>,
}

impl EventDescriptor {
    /// Describes event `E` of aggregate `A`.
    #[must_use]
    pub const fn of<A: Apply<E>, E: DomainEvent>(type_name: &'static str) -> Self {
        Self {
            name: E::NAME,
            version: E::VERSION,
            type_name,
            shape: <E as HasShape>::shape,
            creates: A::CREATES,
            claims: E::CLAIMS,
            claims_of: claims_of::<E>,
        }
    }
}

/// One aggregate of a domain's list.
#[derive(Clone, Copy, Debug)]
pub struct AggregateDescriptor {
    /// The aggregate's name.
    pub name: &'static str,
    /// The Rust type's name.
    pub type_name: &'static str,
    /// Its events.
    pub events: &'static [EventDescriptor],
    /// Every how many events its state is stored; 0 where it is not.
    pub snapshot_every: u64,
    /// The shape of a state that is stored without a `version` of its own: all of it has to be visible.
    pub snapshot_shape: Option<fn() -> &'static crate::event::Shape>,
}

impl AggregateDescriptor {
    /// Describes aggregate `A`.
    #[must_use]
    pub const fn of<A: Aggregate>(type_name: &'static str) -> Self {
        Self {
            name: A::NAME,
            type_name,
            events: A::EVENTS,
            snapshot_every: match &A::SNAPSHOT {
                Some(policy) => policy.every,
                None => 0,
            },
            snapshot_shape: match &A::SNAPSHOT {
                Some(policy) if policy.version.is_none() => Some(policy.shape),
                _ => None,
            },
        }
    }
}
