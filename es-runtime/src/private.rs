//! What generated code calls. Not part of the public interface: it may change in any release.
#![allow(
    missing_docs,
    clippy::must_use_candidate,
    clippy::type_complexity,
    clippy::needless_pass_by_value,
    reason = "for generated code only"
)]

use std::any::Any;

pub use {garde, serde, serde_json};

pub use crate::aggregate::RootArg;
pub use crate::app::dispatch::{DispatchContext, Outcome, run_enum};
pub use crate::app::domain::{Has, Here, InDomain, Part};
pub use crate::app::route::Routes;
pub use crate::command::CommandDescriptor;
pub use crate::event::decode;
pub(crate) use crate::event::malformed;
pub use crate::handler::{Decides, Handled, HandlerArg, HandlerDescriptor, HandlerShape, QueryingArg, Scope};

use crate::aggregate::{Aggregate, CannotApply, IntoEvents, Root};
use crate::command::Command;
use crate::event::{AnyEvent, Claim, ClaimKind, DecodeError, DomainEvent, HasShape, Recorded, Shape, UpcastFrom};
use crate::handler::{Context, Rejection};

/// Gives the text of a panic.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&'static str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

// ---- events ---------------------------------------------------------------------------------------------------------

/// Decodes version `version` of an event whose previous version is type `Old`.
pub fn upcast_typed<Old, New>(version: u32, body: &[u8]) -> Result<New, DecodeError>
where
    Old: DomainEvent,
    New: DomainEvent + From<Old>,
{
    if version > New::VERSION {
        return Err(unknown_version::<New>(version));
    }
    decode::<Old>(version, body).map(New::from)
}

/// Parses the stored form for the raw upcasters of `E`. Generated code applies them in their order.
pub fn upcast_raw<E: DomainEvent>(
    version: u32,
    body: &[u8],
    steps: &[fn(serde_json::Value) -> Result<serde_json::Value, crate::event::UpcastError>],
) -> Result<E, DecodeError> {
    let first = match version.checked_sub(1) {
        Some(first) if version < E::VERSION => first as usize,
        _ => return Err(unknown_version::<E>(version)),
    };
    let refused = |reason: String| DecodeError::NotUpcast { name: E::NAME.to_owned(), version, reason };
    let mut value = serde_json::from_slice(body).map_err(|error| malformed(E::NAME, version, &error))?;
    for step in steps.iter().skip(first) {
        value = step(value).map_err(|error| refused(error.to_string()))?;
    }
    serde_json::from_value(value).map_err(|error| refused(error.to_string()))
}

/// Names the raw upcaster of one step.
pub const fn raw_step<E: UpcastFrom<V>, const V: u32>()
-> fn(serde_json::Value) -> Result<serde_json::Value, crate::event::UpcastError> {
    E::upcast_json
}

fn unknown_version<E: DomainEvent>(version: u32) -> DecodeError {
    DecodeError::UnknownVersion { name: E::NAME.to_owned(), version, known: E::VERSION }
}

/// The error of a name that no event of an aggregate has.
#[cold]
pub fn unknown_event(name: &str) -> DecodeError {
    DecodeError::UnknownEvent { name: name.to_owned() }
}

/// Adds a claim on a field's value; `None` and null claim nothing. The key is the value's JSON, text without quotes.
pub fn claim<T: serde::Serialize>(claims: &mut Vec<Claim>, set: &'static str, value: &T, release: bool) {
    let key = match serde_json::to_value(value) {
        Ok(serde_json::Value::Null) | Err(_) => return,
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
    };
    let kind = if release { ClaimKind::Release } else { ClaimKind::Claim };
    claims.push(Claim { set: set.into(), key, kind });
}

/// A field of an event must be storable.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a domain event",
    label = "this field cannot be stored",
    note = "a field of a domain event needs `Serialize`, `Deserialize`, `Clone`, `Debug` and `PartialEq`; `#[value_object]` on `{Self}` provides them all"
)]
pub trait EventField {}
#[diagnostic::do_not_recommend]
impl<T> EventField for T where T: serde::Serialize + serde::de::DeserializeOwned + Clone + std::fmt::Debug + PartialEq {}

/// Asks for an event field.
pub const fn require_event_field<T: EventField>() {}

/// Times without a zone, seen through aliases and containers.
pub trait LocalTime {}
impl LocalTime for chrono::NaiveDateTime {}
impl LocalTime for chrono::NaiveTime {}
impl LocalTime for chrono::DateTime<chrono::Local> {}
impl LocalTime for std::time::SystemTime {}
impl LocalTime for std::time::Instant {}
impl<T: LocalTime> LocalTime for Option<T> {}
impl<T: LocalTime> LocalTime for Vec<T> {}
impl<T: LocalTime> LocalTime for Box<T> {}
impl<T: LocalTime, const N: usize> LocalTime for [T; N] {}
impl<K, T: LocalTime> LocalTime for std::collections::BTreeMap<K, T> {}
impl<K, T: LocalTime, H> LocalTime for std::collections::HashMap<K, T, H> {}

/// Asks a question about a concrete type: the inherent answer where its bound holds, else the trait's.
///
/// With [`ProbeFallback`] in scope, `Probe::<T>::IS_LOCAL_TIME` and `Probe::<T>::SHAPE` are constants.
pub struct Probe<T: ?Sized>(std::marker::PhantomData<T>);
impl<T: LocalTime> Probe<T> {
    pub const IS_LOCAL_TIME: bool = true;
}
impl<T: HasShape> Probe<T> {
    pub const SHAPE: Option<fn() -> &'static Shape> = Some(<T as HasShape>::shape);
}
/// The answers where a bound does not hold.
pub trait ProbeFallback {
    const IS_LOCAL_TIME: bool = false;
    const SHAPE: Option<fn() -> &'static Shape> = None;
}
impl<T: ?Sized> ProbeFallback for Probe<T> {}

// ---- aggregates -----------------------------------------------------------------------------------------------------

/// Applies a creating event.
#[inline]
pub fn apply_create<A: Aggregate, E: DomainEvent>(
    state: Option<&mut A>,
    event: &E,
    create: impl FnOnce(&E) -> A,
) -> Result<Option<A>, CannotApply> {
    if state.is_some() {
        return Err(CannotApply::Exists { event: E::NAME, aggregate: A::NAME });
    }
    Ok(Some(create(event)))
}

/// Applies a changing event.
#[inline]
pub fn apply_change<A: Aggregate, E: DomainEvent>(
    state: Option<&mut A>,
    event: &E,
    change: impl FnOnce(&mut A, &E),
) -> Result<Option<A>, CannotApply> {
    let Some(state) = state else {
        return Err(CannotApply::Absent { event: E::NAME, aggregate: A::NAME });
    };
    change(state, event);
    Ok(None)
}

// ---- handlers -------------------------------------------------------------------------------------------------------

/// Decides a creating handler.
pub fn creates<A: Aggregate, R: IntoEvents<A>>(
    state: Option<&A>,
    events: &mut Vec<A::Event>,
    handler: impl FnOnce() -> R,
) -> Result<(), Rejection<R::Error>> {
    if state.is_some() {
        return Err(Rejection::AlreadyExists);
    }
    handler().into_events(events).map_err(Rejection::Domain)
}

/// Decides a changing handler.
pub fn changes<A: Aggregate, R: IntoEvents<A>>(
    state: Option<&A>,
    events: &mut Vec<A::Event>,
    handler: impl FnOnce(&A) -> R,
) -> Result<(), Rejection<R::Error>> {
    let Some(state) = state else {
        return Err(Rejection::NotFound);
    };
    handler(state).into_events(events).map_err(Rejection::Domain)
}

/// Decides a handler that takes either.
pub fn either<A: Aggregate, R: IntoEvents<A>>(
    state: Option<&A>,
    events: &mut Vec<A::Event>,
    handler: impl FnOnce(Option<&A>) -> R,
) -> Result<(), Rejection<R::Error>> {
    handler(state).into_events(events).map_err(Rejection::Domain)
}

/// Handles a command by its pure decision.
pub fn decided<A, C>(mut root: Root<A>, command: C) -> std::future::Ready<Handled<A, (), <A as Decides<C>>::Error>>
where
    C: Command<Aggregate = A>,
    A: Decides<C>,
{
    let answer = root.handle(command);
    std::future::ready((root, answer))
}

/// Gives what a taken handler parameter failed with back as an answer, with the root.
pub fn missing<A: Aggregate, O, E>(root: Root<A>, error: crate::handler::MissingDependency) -> Handled<A, O, E> {
    (root, Err(Rejection::MissingDependency(error)))
}

/// Takes a parameter of an orchestrating handler.
pub fn arg<'a, T: HandlerArg<'a>>(scope: &'a Scope) -> Result<T, crate::handler::MissingDependency> {
    T::take(scope)
}

/// Takes a parameter of an orchestrating handler with `queries = "…"`.
pub fn querying_arg<'a, T: QueryingArg<'a>>(scope: &'a Scope) -> Result<T, crate::handler::MissingDependency> {
    T::take(scope)
}

/// The context of a pure handler passes through unchanged; names its type for generated code.
pub type PureContext = Context;

// ---- commands -------------------------------------------------------------------------------------------------------

/// Runs the `garde` rules of a command.
pub fn validate<C>(command: &C) -> Result<(), crate::command::ValidationErrors>
where
    C: garde::Validate,
    C::Context: Default,
{
    garde::Validate::validate(command).map_err(Into::into)
}

// ---- domains --------------------------------------------------------------------------------------------------------

/// Decodes a recorded event of aggregate `A`; `None` where it is of another aggregate.
pub fn decode_of<A: Aggregate, E>(
    event: &Recorded<AnyEvent>,
    wrap: fn(A::Event) -> E,
) -> Option<Result<Recorded<E>, DecodeError>> {
    crate::app::domain::decode_as::<A, E>(event, wrap)
}

/// Decodes a recorded event of a part; `None` where it is of no aggregate of the part.
pub fn decode_part<D: crate::app::Domain, E>(
    event: &Recorded<AnyEvent>,
    wrap: fn(D::Event) -> E,
) -> Option<Result<Recorded<E>, DecodeError>> {
    let mut inside = false;
    D::TABLE.walk(&mut |domain| inside |= domain.aggregates.iter().any(|a| a.name == event.stream().category()));
    inside.then(|| D::decode(event).map(|recorded| recorded.map(wrap)))
}

/// The error of an event that belongs to no aggregate of a domain.
#[cold]
pub fn unknown_aggregate(event: &Recorded<AnyEvent>) -> DecodeError {
    event.place(unknown_event(&event.event().name))
}

/// Asks for a handler of `C`.
pub const fn require_handler<C>()
where
    C: Command,
    C::Aggregate: crate::handler::Handles<C>,
{
}

/// Finds the first name that stands twice in a list: the index of the later one.
pub const fn first_repeated(names: &[&str]) -> Option<(usize, usize)> {
    let mut later = 1;
    while later < names.len() {
        let mut earlier = 0;
        while earlier < later {
            if same_text(names[earlier], names[later]) {
                return Some((earlier, later));
            }
            earlier += 1;
        }
        later += 1;
    }
    None
}

/// Compares two texts in constant evaluation.
pub const fn same_text(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}
