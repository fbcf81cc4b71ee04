//! Selecting rows.

use std::fmt;

use super::reading::{of_table, read_row};
use super::{Condition, Cursor, OrderOf, ReadModel, ReadModelError, Selection, Table};

/// Selects rows of a table: conditions, an order, a page. Made by [`Table::query`].
///
/// Only columns with an index and those of the key can be filtered and ordered by; others do not compile. All conditions have to be fulfilled. Rows
/// that are equal in the order stand in the order of their keys, so the order is the same each time.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/read_model/example.rs"));
/// use es_runtime::read_model::{Cursor, Page, ReadModelError, Table};
///
/// async fn richest(
///     balances: &Table<AccountBalance>,
///     after: Option<Cursor>,
/// ) -> Result<Page<AccountBalance>, ReadModelError> {
///     let active = balances.query().filter(AccountBalance::ACTIVE.eq(true));
///     active.order_by(AccountBalance::CENTS.desc()).after(after).page(20).await
/// }
/// # fn main() {}
/// ```
#[must_use = "nothing is read before `.all()`, `.first()`, `.page(n)` or `.count()`"]
pub struct TableQuery<'t, R: ReadModel> {
    table: &'t Table<R>,
    selection: Selection,
    after: Option<Cursor>,
    failed: Option<ReadModelError>,
}

/// Some rows of a query, and where the next ones are. It can be a query's answer.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Page<R> {
    /// The rows.
    pub rows: Vec<R>,
    /// Where the next page begins; `None` where this is the last one.
    pub next: Option<Cursor>,
}

impl<R: ReadModel> fmt::Debug for TableQuery<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableQuery")
            .field("table", &R::TABLE.name)
            .field("selection", &self.selection)
            .finish_non_exhaustive()
    }
}

impl<'t, R: ReadModel> TableQuery<'t, R> {
    pub(super) fn new(table: &'t Table<R>) -> Self {
        Self { table, selection: table.selection(), after: None, failed: None }
    }

    /// Takes only rows that fulfil a condition, beside those that were given before.
    pub fn filter(mut self, condition: Condition<R>) -> Self {
        match condition.filter {
            Ok(filter) => self.selection.filters.push(filter),
            Err(error) => self.failed = self.failed.or_else(|| Some(of_table::<R>(error))),
        }
        self
    }

    /// Orders by a column, behind those that were given before. Without any, the order is that of the key.
    #[expect(clippy::needless_pass_by_value, reason = "it is made for this call")]
    pub fn order_by(mut self, order: OrderOf<R>) -> Self {
        self.selection.order.push(order.order);
        self
    }

    /// Takes so many rows at most. [`page`](Self::page) and [`count`](Self::count) do not look at it.
    pub fn limit(mut self, rows: u64) -> Self {
        self.selection.limit = Some(rows);
        self
    }

    /// Begins behind the page that gave the cursor; `None` begins at the start. The order must be the one of that page; the conditions may change.
    pub fn after(mut self, cursor: impl Into<Option<Cursor>>) -> Self {
        self.after = cursor.into();
        self
    }

    /// Reads the rows. Without a [`limit`](Self::limit) nothing bounds them: all of them are in memory at once.
    ///
    /// # Errors
    ///
    /// [`ReadModelError`]
    pub async fn all(self) -> Result<Vec<R>, ReadModelError> {
        let (table, selection) = self.finish()?;
        table.select(&selection).await?.into_iter().map(read_row).collect()
    }

    /// Reads the first row.
    ///
    /// # Errors
    ///
    /// [`ReadModelError`]
    pub async fn first(self) -> Result<Option<R>, ReadModelError> {
        Ok(self.limit(1).all().await?.into_iter().next())
    }

    /// Reads up to `rows` rows, at least one, and says where the next ones begin.
    ///
    /// Whoever reads page after page sees each row once that is there all the time with an unchanged order: no row is counted off, so
    /// rows that come and go in between shift nothing. All pages are of one version of the table.
    ///
    /// # Errors
    ///
    /// [`ReadModelError`]; [`ReadModelError::Cursor`] where the cursor comes from another order, [`ReadModelError::Switched`] where another
    /// version of the table has taken over since the page that gave it.
    pub async fn page(self, rows: usize) -> Result<Page<R>, ReadModelError> {
        let began = self.after.as_ref().and_then(Cursor::version);
        let (table, mut selection) = self.finish()?;
        let rows = rows.max(1);
        // One more says whether there is a next page.
        selection.limit = Some((rows as u64).saturating_add(1));
        let (read, mut found) = table.select_from(began, &selection).await?;
        let more = found.len() > rows;
        found.truncate(rows);
        let next = found.last().filter(|_| more).map(|last| Cursor::at(read, &selection.order, last));
        Ok(Page { rows: found.into_iter().map(read_row).collect::<Result<_, _>>()?, next })
    }

    /// Counts the rows that fulfil the conditions; limit and cursor do not matter.
    ///
    /// # Errors
    ///
    /// [`ReadModelError`]
    pub async fn count(mut self) -> Result<u64, ReadModelError> {
        (self.after, self.selection.limit) = (None, None);
        let (table, selection) = self.finish()?;
        table.read(|stored| table.rows.count(stored, &selection)).await
    }

    fn finish(self) -> Result<(&'t Table<R>, Selection), ReadModelError> {
        let Self { table, mut selection, after, failed } = self;
        if let Some(error) = failed {
            return Err(error);
        }
        selection.after = after.map(|cursor| cursor.values(R::TABLE, &selection.order)).transpose()?;
        Ok((table, selection))
    }
}
