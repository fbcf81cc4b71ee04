//! Read models and the functions of projections, as they are declared.

use std::fmt::Display;
use std::future::Future;

use serde::ser::{Error as _, SerializeMap as _};
use serde::{Serialize, Serializer};

use crate::aggregate::{Aggregate, EventOf};
use crate::event::{AnyEvent, Recorded};
use crate::handler::{Dep, Dependencies, Dependency};
use crate::projection::{
    BoxFuture, Fold, FoldHandler, ProjectionDescriptor, ProjectionFailure, ProjectionHandler, Projections, Step,
};
use crate::read_model::{ColumnCodec, ReadModel, TableDescriptor, Value};

use super::text::{same_text, stop};
use super::{change_row, delete_row, fold_row, insert_row, json_codec, projection_failed};

/// Refuses a field that cannot be stored.
#[track_caller]
pub const fn require_column<T>(is_local_time: bool, codec: &Option<ColumnCodec<T>>, text: &'static str) {
    const HELP: &str =
        "help: store it as JSON: put `#[json]` on the field, with `Serialize` and `Deserialize` for its type";
    const NOTE: &str = "note: columns are numbers, `bool`, `String`, `Uuid`, `DateTime<Utc>`, `NaiveDate`, `Option` of these, and ids: \
                        types with `Display`, `FromStr`, `Debug`, `Clone`, `Eq` and `Hash`";
    if is_local_time {
        let help = "` is not UTC\nhelp: use `DateTime<Utc>`";
        stop(["read models store time in UTC only, and `", text, help, "", "", "", ""]);
    }
    if codec.is_none() {
        stop(["`", text, "` cannot be a column\n", HELP, "\n", NOTE, ""]);
    }
}

/// Refuses a field that cannot be part of a key. Where it cannot be stored at all, that is said elsewhere.
#[track_caller]
pub const fn require_key<T>(codec: &Option<ColumnCodec<T>>, text: &'static str) {
    const HELP: &str = "help: use a whole number, a text, an id, a day or a moment\n";
    const NOTE: &str = "note: a key is compared by its stored form, and must always be there";
    if let Some(codec) = codec
        && (!codec.ty.may_be_key() || codec.nullable)
    {
        stop(["`", text, "` cannot be a key\n", HELP, NOTE, "", ""]);
    }
}

/// Gives the place of a column that is there.
#[must_use]
pub const fn place_of(table: &TableDescriptor, name: &str) -> usize {
    let mut place = 0;
    while place < table.columns.len() && !same_text(table.columns[place].name, name) {
        place += 1;
    }
    place
}

/// Writes a row as an object of its columns.
///
/// # Errors
///
/// What the serializer says; and where a field cannot be stored.
pub fn serialize_row<R: ReadModel, S: Serializer>(row: &R, serializer: S) -> Result<S::Ok, S::Error> {
    let values = row.to_values().map_err(S::Error::custom)?;
    let mut map = serializer.serialize_map(Some(values.len()))?;
    for (column, value) in R::TABLE.columns.iter().zip(&values) {
        map.serialize_entry(column.name, &Field(value))?;
    }
    map.end()
}

/// A value on its way out.
struct Field<'a>(&'a Value);

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_none(),
            Value::Boolean(value) => serializer.serialize_bool(*value),
            Value::Integer(value) => serializer.serialize_i64(*value),
            Value::Real(value) => serializer.serialize_f64(*value),
            Value::Text(value) | Value::Decimal(value) => serializer.serialize_str(value),
            Value::Uuid(value) => value.serialize(serializer),
            Value::Timestamp(value) => value.serialize(serializer),
            Value::Date(value) => value.serialize(serializer),
            Value::Json(value) => {
                let value: serde_json::Value = serde_json::from_str(value).map_err(S::Error::custom)?;
                value.serialize(serializer)
            }
        }
    }
}

/// What a field marked `#[json]` needs.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored as JSON",
    label = "not JSON",
    note = "derive `serde::Serialize` and `serde::Deserialize` for `{Self}`"
)]
pub trait JsonField: Serialize + serde::de::DeserializeOwned {}
#[diagnostic::do_not_recommend]
impl<T: Serialize + serde::de::DeserializeOwned> JsonField for T {}

/// Stores a field as JSON.
#[must_use]
pub const fn json_column<T: JsonField, const FIDELITY: u8>() -> ColumnCodec<T> {
    json_codec::<T, FIDELITY>()
}

/// The row of a folded projection: a read model, asked for in one way, so that what is none is told once.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a read model",
    label = "not a read model",
    note = "functions that change rows stand on a read model: put `#[read_model(table = \"…\")]` on the struct `{Self}`"
)]
pub trait FoldedRow: ReadModel {
    /// As [`insert_row`].
    fn inserts<E: EventOfSome<A>, A: Aggregate>(
        event: &Recorded<AnyEvent>,
        handler: &'static str,
        key: fn(&Recorded<E>) -> Self::Key,
        run: fn(&Recorded<E>) -> Self,
    ) -> Result<Step<Self>, ProjectionFailure> {
        insert_row::<Self, E, A>(event, handler, key, run)
    }
    /// As [`change_row`].
    fn changes<E: EventOfSome<A>, A: Aggregate>(
        event: &Recorded<AnyEvent>,
        handler: &'static str,
        key: fn(&Recorded<E>) -> Self::Key,
        run: fn(&mut Self, &Recorded<E>),
    ) -> Result<Step<Self>, ProjectionFailure> {
        change_row::<Self, E, A>(event, handler, key, run)
    }
    /// As [`delete_row`].
    fn deletes<E: EventOfSome<A>, A: Aggregate>(
        event: &Recorded<AnyEvent>,
        handler: &'static str,
        key: fn(&Recorded<E>) -> Self::Key,
        run: fn(&Self, &Recorded<E>) -> bool,
    ) -> Result<Step<Self>, ProjectionFailure> {
        delete_row::<Self, E, A>(event, handler, key, run)
    }
    /// As [`fold_row`].
    fn folds<E: EventOfSome<A>, A: Aggregate>(
        event: &Recorded<AnyEvent>,
        handler: &'static str,
        key: fn(&Recorded<E>) -> Self::Key,
        run: fn(Option<Self>, &Recorded<E>) -> Option<Self>,
    ) -> Result<Step<Self>, ProjectionFailure> {
        fold_row::<Self, E, A>(event, handler, key, run)
    }
    fn register(
        projections: &mut Projections,
        descriptor: &'static ProjectionDescriptor,
        handlers: &'static [FoldHandler<Self>],
    ) {
        projections.folded(Fold::new(descriptor, handlers));
    }
}
#[diagnostic::do_not_recommend]
impl<R: ReadModel> FoldedRow for R {}

/// Asks for the table of a row.
pub struct RowOf<R>(std::marker::PhantomData<R>);
impl<R: ReadModel> RowOf<R> {
    pub const TABLE: Option<&'static TableDescriptor> = Some(R::TABLE);
}

/// The answer where a type is no read model.
pub trait FallbackOfRow {
    const TABLE: Option<&'static TableDescriptor> = None;
}
impl<R> FallbackOfRow for RowOf<R> {}

/// What the functions of a projection are, and how they run. Those of a folded one run by [`FoldedRow::register`].
pub trait ProjectionParts: Sized {
    type Run: 'static;
    const PARTS: (&'static [ProjectionHandler], &'static [Self::Run]);
}

/// An event that some aggregate lists.
#[diagnostic::on_unimplemented(
    message = "no aggregate lists `{Self}` as its event",
    label = "an event of no aggregate",
    note = "a projection takes `&Recorded<Event>`, and the event is in `events(..)` of an aggregate"
)]
pub trait EventOfSome<A: Aggregate>: EventOf<A> {}
#[diagnostic::do_not_recommend]
impl<E: EventOf<A>, A: Aggregate> EventOfSome<A> for E {}

/// Asks that exactly one aggregate lists the event. Where several do, the compiler names this function: say with `of` which.
pub const fn say_with_of_which<E: EventOfSome<Aggregate>, Aggregate: crate::aggregate::Aggregate>() {}

/// What a function of a projection that waits may return.
#[diagnostic::on_unimplemented(
    message = "a projection function cannot return `{Self}`",
    label = "not `Result<(), Error>`",
    note = "return `Result<(), Error>`, with an error that implements `Display`"
)]
pub trait Projected {
    fn projected(self, handler: &'static str) -> Result<(), ProjectionFailure>;
}
impl<E: Display> Projected for Result<(), E> {
    fn projected(self, handler: &'static str) -> Result<(), ProjectionFailure> {
        self.map_err(|error| projection_failed(handler, &error))
    }
}

/// Boxes what a function does.
pub fn boxed_projection<'a>(
    work: impl Future<Output = Result<(), ProjectionFailure>> + Send + 'a,
) -> BoxFuture<'a, Result<(), ProjectionFailure>> {
    Box::pin(work)
}

/// Takes a dependency for a function.
///
/// # Errors
///
/// [`ProjectionFailure::Failed`] where it was not given; `build` finds these before anything runs.
pub fn dependency<T: Dependency + ?Sized>(
    dependencies: &Dependencies,
    handler: &'static str,
) -> Result<Dep<T>, ProjectionFailure> {
    dependencies.take::<T>().map_err(|missing| projection_failed(handler, &missing))
}
