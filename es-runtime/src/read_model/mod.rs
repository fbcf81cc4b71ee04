//! Read models: tables of rows that projections keep and queries read.
//!
//! A read model is a row type, declared with [`#[read_model]`](macro@crate::read_model). Its
//! [projection](mod@crate::projection) writes it, [`Table`] reads it. Stores see rows as [`Value`]s under a [`RowKey`], so a read
//! model runs on every store.

mod column;
mod compare;
mod condition;
mod cursor;
mod difference;
#[cfg(test)]
mod example;
mod reading;
mod row;
mod selection;
mod table;
mod table_query;
#[cfg(test)]
mod tests;
mod value;

use std::fmt::Debug;
use std::hash::Hash;

pub use column::{Column, ColumnCodec, ColumnError};
pub(crate) use compare::cmp_values;
pub use condition::{Condition, OrderOf};
pub use cursor::Cursor;
pub(crate) use difference::difference;
pub use row::{RowChange, RowKey, TableRef, WriteSet};
pub use selection::{Filter, Order, Selection, Test};
pub use table::{ColumnOf, Indexed, IsIndexed, NotIndexed, ReadModelError, Rows, Table};
pub use table_query::{Page, TableQuery};
pub use value::{ColumnDescriptor, ColumnType, TableDescriptor, Value};

/// A row type. Implemented by [`#[read_model]`](macro@crate::read_model).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a read model",
    label = "not a read model",
    note = "put `#[read_model(table = \"…\")]` on the struct `{Self}`"
)]
pub trait ReadModel: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// The table, as data.
    const TABLE: &'static TableDescriptor;
    /// The type of the `#[key]` field; a tuple where there are several.
    type Key: Clone + Debug + Eq + Hash + Send + Sync + 'static;

    /// Gives the row's key.
    fn key(&self) -> Self::Key;

    /// Gives a key's columns as values, in the order of the key columns.
    ///
    /// # Errors
    ///
    /// [`ColumnError`] where a value cannot be stored.
    fn key_values(key: &Self::Key) -> Result<Vec<Value>, ColumnError>;

    /// Gives all columns as values, in the order of [`TABLE`](Self::TABLE).
    ///
    /// # Errors
    ///
    /// [`ColumnError`] where a value cannot be stored.
    fn to_values(&self) -> Result<Vec<Value>, ColumnError>;

    /// Puts a row together from its values, in the order of [`TABLE`](Self::TABLE).
    ///
    /// # Errors
    ///
    /// [`ColumnError`] where a value is not what the program writes.
    fn from_values(values: Vec<Value>) -> Result<Self, ColumnError>;

    /// Names the row with a key in a tenant's part of the table.
    ///
    /// # Errors
    ///
    /// [`ColumnError`] where the key cannot be stored, or is longer than [`RowKey::LONGEST`].
    fn row_key(tenant: &str, key: &Self::Key) -> Result<RowKey, ColumnError> {
        let row = RowKey::new(tenant, &Self::key_values(key)?);
        let (bytes, longest) = (row.as_str().len(), RowKey::LONGEST);
        if bytes <= longest {
            return Ok(row);
        }
        let column = Self::TABLE.key_columns().next().and_then(|place| Self::TABLE.columns.get(place));
        let error = ColumnError::new(format_args!("the row's key has {bytes} bytes, more than {longest}"));
        Err(error.of(column.map_or("", |column| column.name)))
    }
}
