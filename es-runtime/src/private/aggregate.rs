//! Aggregates: applying, and events seen without their types.

use std::any::Any;
use std::convert::Infallible;
use std::fmt::{Debug, Formatter};

use crate::aggregate::{Aggregate, CannotApply, EventOf};
use crate::encoding;
use crate::event::{Claim, ClaimRule, DomainEvent};

use super::text::{same_text, stop};

/// Applies a creating event.
///
/// # Errors
///
/// [`CannotApply::Exists`].
#[inline]
pub fn apply_create<A: Aggregate, E>(
    state: Option<&mut A>,
    event: &E,
    name: &'static str,
    create: impl FnOnce(&E) -> A,
) -> Result<Option<A>, CannotApply> {
    if state.is_some() {
        return Err(CannotApply::Exists { event: name, aggregate: A::NAME });
    }
    Ok(Some(create(event)))
}

/// Applies a changing event.
///
/// # Errors
///
/// [`CannotApply::Absent`].
#[inline]
pub fn apply_change<A: Aggregate, E>(
    state: Option<&mut A>,
    event: &E,
    name: &'static str,
    change: impl FnOnce(&mut A, &E),
) -> Result<Option<A>, CannotApply> {
    let Some(state) = state else {
        return Err(CannotApply::Absent { event: name, aggregate: A::NAME });
    };
    change(state, event);
    Ok(None)
}

/// A field of a state with `snapshot(every = N)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of an aggregate with `snapshot(..)`",
    label = "this field cannot be stored",
    note = "a snapshot stores every field of the state: derive `Serialize` and `Deserialize` for `{Self}`, or leave out `snapshot(..)`"
)]
pub trait SnapshotField {}
#[diagnostic::do_not_recommend]
impl<T: serde::Serialize + serde::de::DeserializeOwned> SnapshotField for T {}

/// The type of an aggregate's ids: [`AggregateId`](crate::aggregate::AggregateId), with a text of its own where it is not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the id of an aggregate",
    label = "not an id",
    note = "an id needs `Display`, `FromStr` with an error that displays, `Debug`, `Clone`, `Eq`, `Hash`, `Send`, `Sync` and `'static`"
)]
pub trait IdType {}
#[diagnostic::do_not_recommend]
impl<T: crate::aggregate::AggregateId> IdType for T {}

/// Asks that a type can be the id of an aggregate.
pub const fn require_id<T: IdType>() {}

/// Asks that a field of a state can be stored.
pub const fn snapshot_field<T: SnapshotField>() {}

/// Asks that an applied event is in the aggregate's list.
pub const fn require_listed<E: EventOf<A>, A: Aggregate>() {}

/// An event whose type is not known.
pub trait ErasedEvent: Any + Debug {
    fn same(&self, other: &dyn ErasedEvent) -> bool;
    fn name(&self) -> &'static str;
    fn schema_version(&self) -> u32;
    fn encode(&self, into: &mut Vec<u8>) -> Result<(), serde_json::Error>;
    fn claims(&self, claims: &mut Vec<Claim>) -> Result<(), serde_json::Error>;
    fn claim_rules(&self) -> &'static [ClaimRule];
}
#[diagnostic::do_not_recommend]
impl<E: DomainEvent> ErasedEvent for E {
    fn same(&self, other: &dyn ErasedEvent) -> bool {
        let other: &dyn Any = other;
        other.downcast_ref::<E>() == Some(self)
    }
    fn name(&self) -> &'static str {
        E::NAME
    }
    fn schema_version(&self) -> u32 {
        E::VERSION
    }
    fn encode(&self, into: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        // Decided while compiling: no code for checks comes from an exact event.
        if const { E::FIDELITY.is_exact() } {
            serde_json::to_writer(into, self)
        } else {
            encoding::write_comparable(self, E::FIDELITY, into)
        }
    }
    fn claims(&self, claims: &mut Vec<Claim>) -> Result<(), serde_json::Error> {
        DomainEvent::claims(self, claims)
    }
    fn claim_rules(&self) -> &'static [ClaimRule] {
        E::CLAIMS
    }
}

/// The generated enum of an aggregate's events, seen as the event inside.
pub trait AnyOf {
    fn inner(&self) -> (&'static str, &dyn ErasedEvent);
}

/// Compares two events of an aggregate.
pub fn same_event<E: AnyOf>(one: &E, other: &E) -> bool {
    one.inner().1.same(other.inner().1)
}

/// Writes an event of an aggregate as a derive would.
///
/// # Errors
///
/// What the formatter says.
pub fn debug_event<E: AnyOf>(event: &E, f: &mut Formatter<'_>) -> std::fmt::Result {
    let (variant, event) = event.inner();
    debug_variant(variant, &event, f)
}

/// Writes a variant of one field as a derive would.
///
/// # Errors
///
/// What the formatter says.
pub fn debug_variant(variant: &str, inside: &dyn Debug, f: &mut Formatter<'_>) -> std::fmt::Result {
    f.debug_tuple(variant).field(inside).finish()
}

/// Adds one event to those a handler decided.
///
/// # Errors
///
/// Never.
#[inline]
pub fn push<E>(events: &mut Vec<E>, event: E) -> Result<(), Infallible> {
    events.push(event);
    Ok(())
}

/// Tells whether some event of `A` creates it.
#[must_use]
pub const fn something_creates<A: Aggregate>() -> bool {
    let mut index = 0;
    while index < A::EVENTS.len() {
        if A::EVENTS[index].creates {
            return true;
        }
        index += 1;
    }
    false
}

/// Refuses an event whose stored name an earlier event of the aggregate has.
#[track_caller]
pub const fn unique_event<A: Aggregate>(index: usize) {
    let event = &A::EVENTS[index];
    let mut earlier = 0;
    while earlier < index {
        let other = &A::EVENTS[earlier];
        if same_text(other.name, event.name) {
            stop(["event name `", event.name, "` is used by both `", other.type_name, "` and `", event.type_name, "`"]);
        }
        earlier += 1;
    }
}
