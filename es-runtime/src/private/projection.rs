//! Read models, projections and queries.

use std::fmt::Display;

use crate::aggregate::Aggregate;
use crate::encoding::{self, Fidelity};
use crate::event::{AnyEvent, Recorded};
use crate::handler::DependencyDescriptor;
use crate::projection::{HandlerMode, HandlerOptions, ProjectionFailure, ProjectionHandler, Step};
use crate::read_model::{ColumnCodec, ColumnDescriptor, ColumnError, ColumnType, ReadModel, Value};

use super::EventOfSome;

/// Describes a column.
#[must_use]
pub const fn column<T>(name: &'static str, codec: &ColumnCodec<T>, key: bool, index: bool) -> ColumnDescriptor {
    ColumnDescriptor { name, ty: codec.ty, nullable: codec.nullable, key, index }
}

/// Gives the stored form of a field.
///
/// # Errors
///
/// [`ColumnError`] with the column's name.
pub fn write_column<T>(name: &'static str, codec: &ColumnCodec<T>, field: &T) -> Result<Value, ColumnError> {
    (codec.to_value)(field).map_err(|error| error.of(name))
}

/// Reads the next field from a row's values.
///
/// # Errors
///
/// [`ColumnError`] with the column's name.
pub fn read_column<T>(
    name: &'static str,
    codec: &ColumnCodec<T>,
    values: &mut std::vec::IntoIter<Value>,
) -> Result<T, ColumnError> {
    let value = values.next().ok_or_else(|| ColumnError::new("it is missing in the stored row").of(name))?;
    (codec.from_value)(value).map_err(|error| error.of(name))
}

/// Stores a field as JSON. `FIDELITY` are the bits of the field's [`Fidelity`].
#[must_use]
pub const fn json_codec<T: serde::Serialize + serde::de::DeserializeOwned, const FIDELITY: u8>() -> ColumnCodec<T> {
    ColumnCodec {
        ty: ColumnType::Json,
        nullable: false,
        to_value: |field| {
            let mut json = Vec::new();
            encoding::write(field, Fidelity::of_bits(FIDELITY), &mut json).map_err(ColumnError::new)?;
            String::from_utf8(json).map(Value::Json).map_err(ColumnError::new)
        },
        from_value: |value| match value {
            Value::Json(text) => encoding::read(text.as_bytes()).map_err(ColumnError::new),
            other => Err(ColumnError::new(format_args!("{other:?} is stored where JSON is expected"))),
        },
    }
}

/// Picks the first way to store a field.
#[must_use]
pub const fn pick_codec<T>(
    column: Option<ColumnCodec<T>>,
    id: Option<ColumnCodec<T>>,
    optional_id: Option<ColumnCodec<T>>,
) -> Option<ColumnCodec<T>> {
    match (column, id, optional_id) {
        (Some(codec), _, _) | (None, Some(codec), _) => Some(codec),
        (None, None, optional_id) => optional_id,
    }
}

/// Gives the codec, or one that stands in where the declaration is broken.
#[must_use]
pub const fn codec_or_broken<T>(codec: Option<ColumnCodec<T>>) -> ColumnCodec<T> {
    match codec {
        Some(codec) => codec,
        None => ColumnCodec {
            ty: ColumnType::Text,
            nullable: false,
            to_value: |_| super::broken(),
            from_value: |_| super::broken(),
        },
    }
}

/// A read model whose key is the id of aggregate `A`.
#[diagnostic::on_unimplemented(
    message = "the key of read model `{Self}` is not the id of aggregate `{A}`",
    label = "the row to change is not known",
    note = "say which row the event changes: `#[async_projection(key = |event| event.…)]`"
)]
pub trait KeyedBy<A: Aggregate>: ReadModel {
    fn key_of_id(id: A::Id) -> Self::Key;
}
#[diagnostic::do_not_recommend]
impl<A: Aggregate, R: ReadModel<Key = A::Id>> KeyedBy<A> for R {
    fn key_of_id(id: A::Id) -> A::Id {
        id
    }
}

/// Describes a function of a projection that takes event `E` of aggregate `A`.
#[must_use]
pub const fn projection_handler<E: EventOfSome<A>, A: Aggregate>(
    name: &'static str,
    mode: HandlerMode,
    by_stream: bool,
    options: HandlerOptions,
    dependencies: &'static [Option<DependencyDescriptor>],
) -> ProjectionHandler {
    ProjectionHandler { name, category: A::NAME, event: E::NAME, mode, by_stream, options, dependencies }
}

/// The key of the row that belongs to an event's stream.
pub fn by_stream<R: KeyedBy<A>, E: EventOfSome<A>, A: Aggregate>(event: &Recorded<E>) -> R::Key {
    R::key_of_id(event.id_of::<A>())
}

/// Decodes an event for a function of a projection, and makes sure that its stream has an id of `A`: there `id_of` does not fail.
///
/// # Errors
///
/// [`ProjectionFailure`] where one of both is not so.
pub fn decode_event<E: EventOfSome<A>, A: Aggregate>(
    event: &Recorded<AnyEvent>,
) -> Result<Recorded<E>, ProjectionFailure> {
    event.try_id_of::<A>()?;
    Ok(event.decode::<E>()?)
}

/// As [`decode_event`], for consecutive events.
///
/// # Errors
///
/// As [`decode_event`].
pub fn decode_events<E: EventOfSome<A>, A: Aggregate>(
    events: &[Recorded<AnyEvent>],
) -> Result<Vec<Recorded<E>>, ProjectionFailure> {
    events.iter().map(decode_event::<E, A>).collect()
}

/// The failure of a function that returned an error.
pub fn projection_failed(handler: &'static str, error: &dyn Display) -> ProjectionFailure {
    ProjectionFailure::Failed { handler, cause: error.to_string() }
}

fn table<R: ReadModel>() -> &'static str {
    R::TABLE.name
}

fn key_text<R: ReadModel>(tenant: &str, key: &R::Key) -> String {
    R::row_key(tenant, key).map_or_else(|error| error.to_string(), |key| key.to_string())
}

/// A function that inserts a row: `fn(event) -> Self`.
///
/// # Errors
///
/// [`ProjectionFailure`] where the event does not decode.
pub fn insert_row<R: ReadModel, E: EventOfSome<A>, A: Aggregate>(
    event: &Recorded<AnyEvent>,
    handler: &'static str,
    key: fn(&Recorded<E>) -> R::Key,
    run: fn(&Recorded<E>) -> R,
) -> Result<Step<R>, ProjectionFailure> {
    let event = decode_event::<E, A>(event)?;
    let key = key(&event);
    let name = key.clone();
    let fold = move |row: Option<R>| {
        if row.is_none() {
            return Ok(Some(run(&event)));
        }
        let key = key_text::<R>(event.tenant(), &name);
        Err(ProjectionFailure::RowExists { handler, table: table::<R>(), key })
    };
    Ok(Step { key, fold: Box::new(fold) })
}

/// A function that changes a row: `fn(&mut self, event)`.
///
/// # Errors
///
/// [`ProjectionFailure`] where the event does not decode.
pub fn change_row<R: ReadModel, E: EventOfSome<A>, A: Aggregate>(
    event: &Recorded<AnyEvent>,
    handler: &'static str,
    key: fn(&Recorded<E>) -> R::Key,
    run: fn(&mut R, &Recorded<E>),
) -> Result<Step<R>, ProjectionFailure> {
    let event = decode_event::<E, A>(event)?;
    let key = key(&event);
    let name = key.clone();
    let fold = move |row: Option<R>| {
        let Some(mut row) = row else {
            let key = key_text::<R>(event.tenant(), &name);
            return Err(ProjectionFailure::RowMissing { handler, table: table::<R>(), key });
        };
        run(&mut row, &event);
        Ok(Some(row))
    };
    Ok(Step { key, fold: Box::new(fold) })
}

/// A function that deletes a row when it says so: `fn(&self, event) -> bool`.
///
/// # Errors
///
/// [`ProjectionFailure`] where the event does not decode.
pub fn delete_row<R: ReadModel, E: EventOfSome<A>, A: Aggregate>(
    event: &Recorded<AnyEvent>,
    _handler: &'static str,
    key: fn(&Recorded<E>) -> R::Key,
    run: fn(&R, &Recorded<E>) -> bool,
) -> Result<Step<R>, ProjectionFailure> {
    let event = decode_event::<E, A>(event)?;
    let key = key(&event);
    // A row that is gone already needs no deletion.
    let fold = move |row: Option<R>| Ok(row.filter(|row| !run(row, &event)));
    Ok(Step { key, fold: Box::new(fold) })
}

/// A function from the row before to the row after: `fn(this: Option<Self>, event) -> Option<Self>`.
///
/// # Errors
///
/// [`ProjectionFailure`] where the event does not decode.
pub fn fold_row<R: ReadModel, E: EventOfSome<A>, A: Aggregate>(
    event: &Recorded<AnyEvent>,
    _handler: &'static str,
    key: fn(&Recorded<E>) -> R::Key,
    run: fn(Option<R>, &Recorded<E>) -> Option<R>,
) -> Result<Step<R>, ProjectionFailure> {
    let event = decode_event::<E, A>(event)?;
    let key = key(&event);
    let fold = move |row: Option<R>| Ok(run(row, &event));
    Ok(Step { key, fold: Box::new(fold) })
}
