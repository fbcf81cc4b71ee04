//! What generated code calls. Not part of the public interface: it may change in any release.
#![allow(
    missing_docs,
    clippy::must_use_candidate,
    clippy::type_complexity,
    clippy::needless_pass_by_value,
    reason = "for generated code only"
)]

use std::any::Any;
use std::fmt::Debug;

pub use {garde, serde, serde_json};

pub use std::convert::{From, Infallible};
pub use std::future::Future;
pub use std::marker::Send;
pub use std::option::Option;
pub use std::result::Result;
pub use std::vec::Vec;

pub use crate::aggregate::{
    Aggregate, AggregateDescriptor, AggregateEvent, Apply, CannotApply, EventDescriptor, EventOf, IntoEvents, Root,
    RootArg, SnapshotPolicy,
};
pub use crate::app::dispatch::{DispatchContext, Outcome, run_enum};
pub use crate::app::domain::{Has, Here, InDomain, Part};
pub use crate::app::route::Routes;
pub use crate::app::{CommandOf, Domain, DomainOn, DomainTable};
pub use crate::command::{Command, CommandDescriptor, ValidationErrors};
pub use crate::error::AnyDomainError;
pub(crate) use crate::event::malformed;
pub use crate::event::{
    AnyEvent, Claim, DecodeError, DomainEvent, HasShape, Recorded, Shape, UpcastError, UpcastFrom, decode,
};
pub use crate::handler::{
    Context, Decides, DependencyDescriptor, Handled, HandlerArg, HandlerDescriptor, HandlerShape, Handles, QueryingArg,
    Rejection, Scope,
};
pub use crate::store::Store;

use crate::event::{ClaimKind, FieldShape};

/// Gives the text of a panic.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&'static str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

// ---- events ---------------------------------------------------------------------------------------------------------

/// Stands where a declaration is broken, so that it gives no other errors than its own. Never runs: it does not compile.
#[cold]
#[allow(clippy::panic, reason = "what calls this does not compile")]
pub fn broken<T>() -> T {
    panic!("a broken declaration")
}

/// What an event needs beside its own traits.
pub trait Stored: Clone + Debug + PartialEq + Send + Sync + 'static {}
impl<T: Clone + Debug + PartialEq + Send + Sync + 'static> Stored for T {}

/// What a command needs beside its own traits.
pub trait Sendable: Clone + Send + Sync + 'static {}
impl<T: Clone + Send + Sync + 'static> Sendable for T {}

/// Describes one field.
#[must_use]
pub const fn field(name: &'static str, ty: &'static str, nested: Option<fn() -> &'static Shape>) -> FieldShape {
    FieldShape { name, ty, nested }
}

/// Writes an event without fields: `{}`, so that fields can be added in a later version.
///
/// # Errors
///
/// What the serializer says.
pub fn serialize_unit<S: serde::Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    serde::ser::SerializeMap::end(serializer.serialize_map(Some(0))?)
}

/// Reads an event without fields: an object, whose fields are ignored, or null.
///
/// # Errors
///
/// What the deserializer says.
pub fn deserialize_unit<'de, D: serde::Deserializer<'de>, T>(deserializer: D, unit: T) -> Result<T, D::Error> {
    struct Nothing;
    impl<'de> serde::de::Visitor<'de> for Nothing {
        type Value = ();
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object or null")
        }
        fn visit_unit<E>(self) -> Result<(), E> {
            Ok(())
        }
        fn visit_map<M: serde::de::MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
            while map.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
            Ok(())
        }
    }
    deserializer.deserialize_any(Nothing).map(|()| unit)
}

/// Describes an event of an aggregate.
#[must_use]
pub const fn event(parts: EventParts, type_name: &'static str, creates: bool) -> EventDescriptor {
    EventDescriptor { name: parts.0, version: parts.1, type_name, shape: parts.2, creates }
}

/// An old version of an event that turns into the next one.
#[diagnostic::on_unimplemented(
    message = "event `{Self}` cannot be upcast to `{New}`",
    label = "stored events of this version could not be read",
    note = "add `impl From<{Self}> for {New}`"
)]
pub trait UpcastsTo<New> {
    fn upcast_to(self) -> New;
}
#[diagnostic::do_not_recommend]
impl<Old, New: From<Old>> UpcastsTo<New> for Old {
    fn upcast_to(self) -> New {
        self.into()
    }
}

/// Decodes version `version` of an event whose previous version is type `Old`.
///
/// # Errors
///
/// [`DecodeError`] where the version is unknown or the JSON does not fit.
pub fn upcast_typed<Old: UpcastsTo<New>, New: DomainEvent>(
    version: u32,
    body: &[u8],
    decode: fn(u32, &[u8]) -> Result<Old, DecodeError>,
) -> Result<New, DecodeError> {
    if version > New::VERSION {
        return Err(unknown_version::<New>(version));
    }
    decode(version, body).map(Old::upcast_to)
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

/// Asks that a field of an event can be stored and holds no local time.
#[track_caller]
pub const fn event_field<T: EventField>(is_local_time: bool, ty: &str) {
    if is_local_time {
        stop(["events store time in UTC only, and `", ty, "` is not UTC\nhelp: use `DateTime<Utc>`", "", "", "", ""]);
    }
}

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

// ---- questions about concrete types ---------------------------------------------------------------------------------
//
// `Probe::<T>::SHAPE` is the inherent answer where its bound holds, else that of `Fallback`. So one place demands a trait
// and says what is missing, and all other places stay silent.

/// Asks about any type.
pub struct Probe<T: ?Sized>(std::marker::PhantomData<T>);
impl<T: LocalTime> Probe<T> {
    pub const IS_LOCAL_TIME: bool = true;
}
impl<T: HasShape> Probe<T> {
    pub const SHAPE: Option<fn() -> &'static Shape> = Some(<T as HasShape>::shape);
}

/// Asks about an event.
pub struct Event<E>(std::marker::PhantomData<E>);
impl<E: DomainEvent> Event<E> {
    pub const NAME: &'static str = E::NAME;
    pub const VERSION: u32 = E::VERSION;
    pub const PARTS: EventParts = (E::NAME, E::VERSION, E::shape);
    pub const fn erase(event: &E) -> &dyn ErasedEvent {
        event
    }
    pub fn decode(version: u32, body: &[u8]) -> Result<E, DecodeError> {
        decode(version, body)
    }
}

/// Asks what an event does to an aggregate.
pub struct Fits<A, E>(std::marker::PhantomData<(A, E)>);
impl<A: Apply<E>, E> Fits<A, E> {
    pub const CREATES: bool = A::CREATES;
    pub const CHANGES: bool = !A::CREATES;
}

/// Asks about a command in a domain's list.
pub struct Route<C>(std::marker::PhantomData<C>);
impl<C: Command> Route<C>
where
    C::Aggregate: Handles<C>,
{
    pub fn route<S: Store>(routes: &mut Routes<S>) {
        routes.command::<C>();
    }
    pub fn run<S: Store>(
        command: C,
        context: DispatchContext<S>,
    ) -> impl Future<Output = Outcome<serde_json::Value, AnyDomainError>> + Send {
        run_enum(command, context)
    }
}

/// Asks about a parameter of a handler.
pub struct Taken<T>(std::marker::PhantomData<T>);
impl<T: HandlerArg<'static>> Taken<T> {
    pub const DEPENDENCY: Option<DependencyDescriptor> = T::DEPENDENCY;
}

/// An event's name, version and shape.
pub type EventParts = (&'static str, u32, fn() -> &'static Shape);

/// The answers where a bound does not hold.
pub trait Fallback: Sized {
    const IS_LOCAL_TIME: bool = false;
    const SHAPE: Option<fn() -> &'static Shape> = None;
    const NAME: &'static str = "";
    const VERSION: u32 = u32::MAX;
    const PARTS: EventParts = ("", 0, broken);
    const CREATES: bool = true;
    const CHANGES: bool = true;
    const DEPENDENCY: Option<DependencyDescriptor> = None;
    fn erase<E>(_: &E) -> &dyn ErasedEvent {
        broken()
    }
    fn decode<E>(_: u32, _: &[u8]) -> Result<E, DecodeError> {
        broken()
    }
    fn route<S: Store>(_: &mut Routes<S>) {}
    fn run<C, S: Store>(_: C, _: DispatchContext<S>) -> std::future::Ready<Outcome<serde_json::Value, AnyDomainError>> {
        broken()
    }
}
impl<T> Fallback for Probe<T> {}
impl<E> Fallback for Event<E> {}
impl<A, E> Fallback for Fits<A, E> {}
impl<C> Fallback for Route<C> {}
impl<T> Fallback for Taken<T> {}

// ---- aggregates -----------------------------------------------------------------------------------------------------

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

/// Asks that an applied event is in the aggregate's list.
pub const fn require_listed<E: EventOf<A>, A: Aggregate>() {}

/// An event whose type is not known.
pub trait ErasedEvent {
    fn name(&self) -> &'static str;
    fn schema_version(&self) -> u32;
    fn encode(&self, into: &mut Vec<u8>) -> Result<(), serde_json::Error>;
    fn claims(&self, claims: &mut Vec<Claim>);
}
#[diagnostic::do_not_recommend]
impl<E: DomainEvent> ErasedEvent for E {
    fn name(&self) -> &'static str {
        E::NAME
    }
    fn schema_version(&self) -> u32 {
        E::VERSION
    }
    fn encode(&self, into: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        serde_json::to_writer(into, self)
    }
    fn claims(&self, claims: &mut Vec<Claim>) {
        DomainEvent::claims(self, claims);
    }
}

/// The generated enum of an aggregate's events, seen as the event inside.
pub trait AnyOf {
    fn inner(&self) -> &dyn ErasedEvent;
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

// ---- value objects --------------------------------------------------------------------------------------------------

/// A value object with a check.
#[diagnostic::on_unimplemented(
    message = "value object `{Self}` has no `validate`",
    label = "nothing to check with",
    note = "write `#[value_object] impl {Self} {{ fn validate(&self) -> Result<(), Error> {{ … }} }}`"
)]
pub trait Validated: Sized {
    /// What is wrong with a value.
    type Error;
    /// Checks a value that was put together.
    ///
    /// # Errors
    ///
    /// What the value's own check says.
    fn check(&self) -> Result<(), Self::Error>;

    /// Gives a value on if it is valid.
    ///
    /// # Errors
    ///
    /// What the value's own check says.
    fn checked(self) -> Result<Self, Self::Error> {
        self.check().map(|()| self)
    }

    /// Gives a value that was read on if it is valid.
    ///
    /// # Errors
    ///
    /// What the value's own check says, as text.
    fn deserialized<E: serde::de::Error>(self) -> Result<Self, E>
    where
        Self::Error: std::fmt::Display,
    {
        self.checked().map_err(E::custom)
    }
}

// ---- handlers -------------------------------------------------------------------------------------------------------

/// A command of aggregate `A`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command of `{A}`",
    label = "not a command of `{A}`",
    note = "a command handler takes a command: put `#[command(aggregate = {A})]` on `{Self}`"
)]
pub trait CommandFor<A> {}
#[diagnostic::do_not_recommend]
impl<A: Aggregate, C: Command<Aggregate = A>> CommandFor<A> for C {}

/// Asks for a command of aggregate `A`.
pub const fn require_command<C: CommandFor<A>, A: Aggregate>() {}

/// Asks that there is no state.
///
/// # Errors
///
/// [`Rejection::AlreadyExists`].
pub fn absent<A, E>(state: Option<&A>) -> Result<(), Rejection<E>> {
    if state.is_some() { Err(Rejection::AlreadyExists) } else { Ok(()) }
}

/// Asks that there is a state.
///
/// # Errors
///
/// [`Rejection::NotFound`].
pub fn existing<A, E>(state: Option<&A>) -> Result<&A, Rejection<E>> {
    state.ok_or(Rejection::NotFound)
}

/// Handles a command by its pure decision.
pub fn decided<A: Decides<C>, C>(mut root: Root<A>, command: C) -> std::future::Ready<Handled<A, (), A::Error>> {
    let answer = root.decided(command);
    std::future::ready((root, answer))
}

/// What an orchestrating handler may return.
#[diagnostic::on_unimplemented(
    message = "a command handler cannot return `{Self}`",
    label = "not a `Result`",
    note = "return `Result<Output, Error>`; the events are recorded on the root"
)]
pub trait Answer {
    type Output;
    type Error;
    fn into_result(self) -> Result<Self::Output, Self::Error>;
}
impl<O, E> Answer for Result<O, E> {
    type Output = O;
    type Error = E;
    fn into_result(self) -> Self {
        self
    }
}

/// Turns a handler's answer into the runtime's.
///
/// # Errors
///
/// The domain's own error.
pub fn answered<A: Answer>(answer: A) -> Result<A::Output, Rejection<A::Error>> {
    answer.into_result().map_err(Rejection::Domain)
}

/// Gives what a taken handler parameter failed with back as an answer, with the root.
pub fn missing<A: Aggregate, O, E>(root: Root<A>, error: crate::handler::MissingDependency) -> Handled<A, O, E> {
    (root, Err(Rejection::MissingDependency(error)))
}

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

/// A domain and the enum of its commands.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a domain",
    label = "not a domain",
    note = "declare it with `domain! {{ pub {Self} = \"…\"; … }}`"
)]
pub trait HasCommands: Domain {
    type Command: CommandOf<Self, Here>;
}

/// What the marker constants are where a listed type has none: other errors speak then.
pub trait NoMarker {
    const AGGREGATE_IS_NOT_LISTED_IN_A_DOMAIN: () = ();
    const COMMAND_IS_NOT_LISTED_IN_A_DOMAIN: () = ();
}
impl<T: ?Sized> NoMarker for T {}

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

/// Refuses a command whose name an earlier command of the domain has.
#[track_caller]
pub const fn unique_command<D: Domain>(index: usize) {
    let command = &D::TABLE.commands[index];
    let mut earlier = 0;
    while earlier < index {
        let other = &D::TABLE.commands[earlier];
        if same_text(other.name, command.name) {
            stop([
                "command name `",
                command.name,
                "` is used by both `",
                other.type_name,
                "` and `",
                command.type_name,
                "`",
            ]);
        }
        earlier += 1;
    }
}

/// Refuses an aggregate whose name an earlier aggregate of the domain has.
#[track_caller]
pub const fn unique_aggregate<D: Domain>(index: usize) {
    let aggregate = &D::TABLE.aggregates[index];
    let mut earlier = 0;
    while earlier < index {
        let other = &D::TABLE.aggregates[earlier];
        if same_text(other.name, aggregate.name) {
            stop([
                "aggregate name `",
                aggregate.name,
                "` is used by both `",
                other.type_name,
                "` and `",
                aggregate.type_name,
                "`",
            ]);
        }
        earlier += 1;
    }
}

/// Refuses a part that has something of the domain itself or of an earlier part.
#[track_caller]
pub const fn unique_part<D: Domain>(index: usize) {
    let part = D::TABLE.domains[index];
    if same_text(part.name, D::TABLE.name) {
        stop(["domain name `", part.name, "` is used by both the part", "", " and the whole", "", ""]);
    }
    clash_with(D::TABLE, part);
    let mut earlier = 0;
    while earlier < index {
        clash(D::TABLE.domains[earlier], part);
        earlier += 1;
    }
}

/// Compares everything inside `one` with everything inside `other`.
#[track_caller]
const fn clash(one: &DomainTable, other: &DomainTable) {
    clash_with(one, other);
    let mut index = 0;
    while index < one.domains.len() {
        clash(one.domains[index], other);
        index += 1;
    }
}

#[track_caller]
const fn clash_with(one: &DomainTable, other: &DomainTable) {
    if same_text(one.name, other.name) {
        stop(["domain `", other.name, "` is listed twice", "", "", "", ""]);
    }
    clash_of_lists(one, other);
    let mut index = 0;
    while index < other.domains.len() {
        clash_with(one, other.domains[index]);
        index += 1;
    }
}

/// Compares the lists of two domains themselves.
#[track_caller]
const fn clash_of_lists(one: &DomainTable, other: &DomainTable) {
    let mut index = 0;
    while index < one.aggregates.len() * other.aggregates.len() {
        let a = one.aggregates[index / other.aggregates.len()].name;
        if same_text(a, other.aggregates[index % other.aggregates.len()].name) {
            stop(["aggregate name `", a, "` is used in both domain `", one.name, "` and domain `", other.name, "`"]);
        }
        index += 1;
    }
    index = 0;
    while index < one.commands.len() * other.commands.len() {
        let a = one.commands[index / other.commands.len()].name;
        if same_text(a, other.commands[index % other.commands.len()].name) {
            stop(["command name `", a, "` is used in both domain `", one.name, "` and domain `", other.name, "`"]);
        }
        index += 1;
    }
}

/// Stops constant evaluation with a text put together from its parts.
#[track_caller]
#[allow(clippy::panic, reason = "in constant evaluation a panic is a compile error")]
const fn stop(parts: [&str; 7]) -> ! {
    const ROOM: usize = 512;
    let mut text = [0; ROOM];
    let mut length = 0;
    let mut part = 0;
    while part < parts.len() {
        let bytes = parts[part].as_bytes();
        let mut index = 0;
        while index < bytes.len() && length < ROOM {
            text[length] = bytes[index];
            length += 1;
            index += 1;
        }
        part += 1;
    }
    match std::str::from_utf8(text.split_at(length).0) {
        Ok(text) => panic!("{}", text),
        Err(_) => panic!("a name is used twice"),
    }
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
