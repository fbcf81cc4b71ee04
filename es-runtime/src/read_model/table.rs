//! Reading a read model.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::{ColumnCodec, ReadModel, RowKey, Selection, TableDescriptor, TableRef, Value};
use crate::projection::BoxFuture;
use crate::store::StoreError;

/// Says why a read model could not be read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadModelError {
    /// No projection of the application writes the table.
    #[error("no projection of this application writes the table `{table}`")]
    Unknown {
        /// The table.
        table: &'static str,
    },
    /// The program's version is still being built, and the one that serves has other columns.
    #[error("version {version} of the table `{table}` is still being built")]
    Building {
        /// The table.
        table: &'static str,
        /// The program's version.
        version: u32,
    },
    /// A newer version serves and the program's is dropped: use a newer program.
    #[error("version {version} of the table `{table}` is dropped; use a newer program")]
    Dropped {
        /// The table.
        table: &'static str,
        /// The program's version.
        version: u32,
    },
    /// The cursor of a page belongs to another query.
    #[error("the cursor belongs to another query: {reason}")]
    Cursor {
        /// What does not fit.
        reason: String,
    },
    /// Another version of the table has taken over since the page that gave the cursor: a page of it would not fit the ones before. Begin at the
    /// first page.
    #[error(
        "version {now} of the table `{table}` has taken over since the last page, of version {before}; begin at the first page"
    )]
    Switched {
        /// The table.
        table: &'static str,
        /// The version that the last page was read from.
        before: u32,
        /// The version that serves.
        now: u32,
    },
    /// A value cannot be a column's, or a stored one is not a field's.
    #[error("table `{table}`: {error}")]
    Column {
        /// The table.
        table: &'static str,
        /// What is wrong.
        error: super::ColumnError,
    },
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads rows without the store's type.
pub trait Rows: Send + Sync + 'static {
    /// Says which stored table is to be read. `fresh`: what was known before turned out wrong.
    fn table(&self, table: &'static TableDescriptor, fresh: bool) -> BoxFuture<'_, Result<TableRef, ReadModelError>>;
    /// As [`RowStore::rows`](crate::store::RowStore::rows).
    fn rows<'a>(
        &'a self,
        table: TableRef,
        keys: &'a [RowKey],
    ) -> BoxFuture<'a, Result<Vec<Option<Vec<Value>>>, StoreError>>;
    /// As [`RowStore::select`](crate::store::RowStore::select).
    fn select<'a>(
        &'a self,
        table: TableRef,
        selection: &'a Selection,
    ) -> BoxFuture<'a, Result<Vec<Vec<Value>>, StoreError>>;
    /// As [`RowStore::count`](crate::store::RowStore::count).
    fn count<'a>(&'a self, table: TableRef, selection: &'a Selection) -> BoxFuture<'a, Result<u64, StoreError>>;
}

/// The rows of a read model, of one tenant.
///
/// Queries get one as `&Table<R>`; tools and tests get one from `App::table`. It is not `Clone`: what a query borrows stays bound to the tenant
/// that asks.
///
/// # Guarantees
///
/// - Each read sees one state of the table; two reads may see two.
/// - A read that meets a switch to a newer version reads the old or the new one, whole.
pub struct Table<R> {
    pub(crate) rows: Arc<dyn Rows>,
    pub(crate) tenant: Arc<str>,
    pub(crate) row: PhantomData<fn() -> R>,
}

impl<R: ReadModel> fmt::Debug for Table<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({})", R::TABLE.name)
    }
}

/// A column of read model `R` whose field has type `T`. [`#[read_model]`](macro@crate::read_model) generates one constant for each field, in
/// capitals: `AccountBalance::OWNER`.
pub struct ColumnOf<R, T, I> {
    pub(crate) place: usize,
    pub(crate) codec: ColumnCodec<T>,
    row: PhantomData<fn() -> (R, I)>,
}

impl<R, T, I> Clone for ColumnOf<R, T, I> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<R, T, I> Copy for ColumnOf<R, T, I> {}

impl<R, T, I> fmt::Debug for ColumnOf<R, T, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ColumnOf({})", self.place)
    }
}

impl<R, T, I> ColumnOf<R, T, I> {
    /// Names the column at a place of the table.
    #[must_use]
    pub const fn new(place: usize, codec: ColumnCodec<T>) -> Self {
        Self { place, codec, row: PhantomData }
    }
}

/// Says that a column is part of the key or has an index.
#[derive(Debug)]
pub enum Indexed {}

/// Says that a column has no index.
#[derive(Debug)]
pub enum NotIndexed {}

/// A column that may be filtered and ordered by.
#[diagnostic::on_unimplemented(
    message = "this column has no index",
    label = "reading by it would go through the whole table",
    note = "put `#[index]` on the field and raise the projection's version"
)]
pub trait IsIndexed {}
impl IsIndexed for Indexed {}
