//! Questions about concrete types.
//!
//! `Probe::<T>::SHAPE` is the inherent answer where its bound holds, else that of `Fallback`. So one place demands a trait
//! and says what is missing, and all other places stay silent.

use std::fmt::Formatter;
use std::future::Future;

use crate::aggregate::{Aggregate, AggregateDescriptor, AggregateId, Apply};
use crate::app::dispatch::{DispatchContext, Outcome, run_enum};
use crate::app::route::Routes;
use crate::app::{CommandOf, Domain, DomainTable};
use crate::command::Command;
use crate::encoding::{ExactId, Fidelity, Form, HasFidelity, form};
use crate::error::AnyDomainError;
use crate::event::{AnyEvent, DecodeError, DomainEvent, HasShape, Recorded, Shape, decode};
use crate::handler::{DependencyDescriptor, HandlerArg, Handles};
use crate::read_model::{Column, ColumnCodec, ColumnError, ColumnType, Value};
use crate::store::Store;

use super::aggregate::{ErasedEvent, debug_variant};
use super::broken;
use super::domain::{decode_of, decode_part};
use super::event::LocalTime;

/// Asks about any type.
pub struct Probe<T: ?Sized>(std::marker::PhantomData<T>);
impl<T: LocalTime> Probe<T> {
    pub const IS_LOCAL_TIME: bool = true;
}
impl<T: HasShape> Probe<T> {
    pub const SHAPE: Option<fn() -> &'static Shape> = Some(<T as HasShape>::shape);
}
impl<T: HasFidelity> Probe<T> {
    pub const FIDELITY: Fidelity = T::FIDELITY;
}
impl<T: ExactId> Probe<T> {
    pub const ID_IS_EXACT: bool = true;
}
impl<T: serde::de::DeserializeOwned> Probe<T> {
    pub const FORM: Option<fn() -> Form> = Some(form::<T>);
}

/// Asks about an event.
pub struct Event<E>(std::marker::PhantomData<E>);
impl<E: DomainEvent> Event<E> {
    pub const NAME: &'static str = E::NAME;
    pub const VERSION: u32 = E::VERSION;
    pub const PARTS: EventParts = (E::NAME, E::VERSION, E::shape);
    pub const fn erase<'a>(variant: &'static str, event: &'a E) -> (&'static str, &'a dyn ErasedEvent) {
        (variant, event)
    }
    pub fn cloned(event: &E) -> E {
        event.clone()
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
    pub fn cloned(command: &C) -> C {
        command.clone()
    }
    /// # Errors
    ///
    /// What the formatter says.
    pub fn debug(variant: &str, command: &C, f: &mut Formatter<'_>) -> std::fmt::Result {
        debug_variant(variant, command, f)
    }
    pub fn run<S: Store>(
        command: C,
        context: DispatchContext<S>,
    ) -> impl Future<Output = Outcome<serde_json::Value, AnyDomainError>> + Send {
        run_enum(command, context)
    }
}

/// Asks about an aggregate in a domain's list.
pub struct Listed<A>(std::marker::PhantomData<A>);
impl<A: Aggregate> Listed<A> {
    pub const PARTS: AggregateDescriptor = AggregateDescriptor::of::<A>("");
    /// # Errors
    ///
    /// [`DecodeError`] where the stored event does not decode.
    pub fn decode<E>(event: &Recorded<AnyEvent>, wrap: fn(A::Event) -> E) -> Decoded<E> {
        decode_of::<A, E>(event, wrap)
    }
}

/// Asks about a domain in a domain's list.
pub struct Inner<D>(std::marker::PhantomData<D>);
impl<D: Domain> Inner<D> {
    pub const TABLE: &'static DomainTable = D::TABLE;
    pub fn decode<E>(event: &Recorded<AnyEvent>, wrap: fn(D::Event) -> E) -> Decoded<E> {
        decode_part::<D, E>(event, wrap)
    }
    pub fn run<S: Store>(
        command: D::Command,
        context: DispatchContext<S>,
    ) -> impl Future<Output = Outcome<serde_json::Value, AnyDomainError>> + Send
    where
        D::Command: CommandOf<D, Output = serde_json::Value, Error = AnyDomainError>,
    {
        command.run(context)
    }
}

/// A recorded event that was decoded, if it is of what was asked.
pub type Decoded<E> = Option<Result<Recorded<E>, DecodeError>>;

/// Asks about a parameter of a handler.
pub struct Taken<T>(std::marker::PhantomData<T>);
impl<T: HandlerArg<'static>> Taken<T> {
    pub const DEPENDENCY: Option<DependencyDescriptor> = T::DEPENDENCY;
}

/// Asks whether a field is a column by its type.
pub struct StoresColumn<T>(std::marker::PhantomData<T>);
impl<T: Column> StoresColumn<T> {
    pub const CODEC: Option<ColumnCodec<T>> = Some(ColumnCodec {
        ty: T::TYPE,
        nullable: T::NULLABLE,
        to_value: <T as Column>::to_value,
        from_value: <T as Column>::from_value,
    });
}

/// Asks whether a field is an id.
pub struct StoresId<T>(std::marker::PhantomData<T>);
impl<T: AggregateId> StoresId<T> {
    pub const CODEC: Option<ColumnCodec<T>> = Some(ColumnCodec {
        ty: ColumnType::Text,
        nullable: false,
        to_value: |id| Ok(Value::Text(id.to_string())),
        from_value: id_of_value::<T>,
    });
}

/// Asks whether a field is an id that may be absent.
pub struct StoresOptionalId<T>(std::marker::PhantomData<T>);
impl<T: AggregateId> StoresOptionalId<Option<T>> {
    pub const CODEC: Option<ColumnCodec<Option<T>>> = Some(ColumnCodec {
        ty: ColumnType::Text,
        nullable: true,
        to_value: |id| Ok(id.as_ref().map_or(Value::Null, |id| Value::Text(id.to_string()))),
        from_value: |value| match value {
            Value::Null => Ok(None),
            value => id_of_value::<T>(value).map(Some),
        },
    });
}

fn id_of_value<T: AggregateId>(value: Value) -> Result<T, ColumnError> {
    match value {
        Value::Text(text) => {
            text.parse().map_err(|error| ColumnError::new(format_args!("`{text}` is not an id: {error}")))
        }
        other => Err(ColumnError::new(format_args!("{other:?} is stored where the text of an id is expected"))),
    }
}

/// The answer where a field cannot be stored so.
pub trait NoCodec<T> {
    const CODEC: Option<ColumnCodec<T>> = None;
}
impl<T> NoCodec<T> for StoresColumn<T> {}
impl<T> NoCodec<T> for StoresId<T> {}
impl<T> NoCodec<T> for StoresOptionalId<T> {}

/// An event's name, version and shape.
pub type EventParts = (&'static str, u32, fn() -> &'static Shape);

/// The answers where a bound does not hold.
pub trait Fallback: Sized {
    const IS_LOCAL_TIME: bool = false;
    const SHAPE: Option<fn() -> &'static Shape> = None;
    const FIDELITY: Fidelity = Fidelity::UNKNOWN;
    const FORM: Option<fn() -> Form> = None;
    const ID_IS_EXACT: bool = false;
    const NAME: &'static str = "";
    const VERSION: u32 = u32::MAX;
    const PARTS: EventParts = ("", 0, broken);
    const CREATES: bool = true;
    const CHANGES: bool = true;
    const DEPENDENCY: Option<DependencyDescriptor> = None;
    fn erase<'a, E>(_: &'static str, _: &'a E) -> (&'static str, &'a dyn ErasedEvent) {
        broken()
    }
    fn cloned<T>(_: &T) -> T {
        broken()
    }
    fn debug<T>(_: &str, _: &T, _: &mut Formatter<'_>) -> std::fmt::Result {
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

/// The answers where a listed type is no aggregate.
pub trait FallbackOfAggregate {
    const PARTS: AggregateDescriptor =
        AggregateDescriptor { name: "", type_name: "", events: &[], snapshot_every: 0, snapshot_shape: None };
    fn decode<W, E>(_: &Recorded<AnyEvent>, _: W) -> Decoded<E> {
        broken()
    }
}

/// The answers where a listed type is no domain.
pub trait FallbackOfDomain {
    const TABLE: &'static DomainTable =
        &DomainTable { name: "", aggregates: &[], commands: &[], queries: &[], projections: &[], domains: &[] };
    fn decode<W, E>(_: &Recorded<AnyEvent>, _: W) -> Decoded<E> {
        broken()
    }
    fn run<C, S: Store>(_: C, _: DispatchContext<S>) -> std::future::Ready<Outcome<serde_json::Value, AnyDomainError>> {
        broken()
    }
}

impl<T> Fallback for Probe<T> {}
impl<E> Fallback for Event<E> {}
impl<A, E> Fallback for Fits<A, E> {}
impl<C> Fallback for Route<C> {}
impl<A> FallbackOfAggregate for Listed<A> {}
impl<D> FallbackOfDomain for Inner<D> {}
impl<T> Fallback for Taken<T> {}
