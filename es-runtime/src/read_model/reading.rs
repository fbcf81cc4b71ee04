//! Reading a table by key, and whole.

use super::{ColumnError, ReadModel, ReadModelError, RowKey, Selection, Table, TableQuery, TableRef, Value};
use crate::projection::BoxFuture;
use crate::store::StoreError;

impl<R: ReadModel> Table<R> {
    /// Reads the row with a key.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/read_model/example.rs"));
    /// use es_runtime::read_model::{ReadModelError, Table};
    ///
    /// async fn is_rich(balances: &Table<AccountBalance>, account: Uuid) -> Result<bool, ReadModelError> {
    ///     let balance = balances.get(&account).await?;
    ///     Ok(balance.is_some_and(|row| row.cents > 1_000_000))
    /// }
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    ///
    /// [`ReadModelError`]
    pub async fn get(&self, key: &R::Key) -> Result<Option<R>, ReadModelError> {
        let rows = self.get_many(std::slice::from_ref(key)).await?;
        Ok(rows.into_iter().next().flatten())
    }

    /// Reads the rows with these keys: one answer a key, in their order.
    ///
    /// # Errors
    ///
    /// [`ReadModelError`]
    pub async fn get_many(&self, keys: &[R::Key]) -> Result<Vec<Option<R>>, ReadModelError> {
        // No row has a key that is too long, so reading one finds nothing; it is no error.
        let row_key = |key| Ok(RowKey::new(&self.tenant, &R::key_values(key)?));
        let keys: Result<Vec<RowKey>, _> = keys.iter().map(row_key).collect();
        let keys = keys.map_err(of_table::<R>)?;
        let rows = self.read(|table| self.rows.rows(table, &keys)).await?;
        rows.into_iter().map(|row| row.map(read_row).transpose()).collect()
    }

    /// Reads every row, in the order of their keys. Nothing bounds it: all of them are in memory at once. Where there may be many, take
    /// [`query`](Self::query) and its pages.
    ///
    /// # Errors
    ///
    /// [`ReadModelError`]
    pub async fn list(&self) -> Result<Vec<R>, ReadModelError> {
        self.query().all().await
    }

    /// Counts the rows.
    ///
    /// # Errors
    ///
    /// [`ReadModelError`]
    pub async fn count(&self) -> Result<u64, ReadModelError> {
        self.query().count().await
    }

    /// Begins to select rows.
    pub fn query(&self) -> TableQuery<'_, R> {
        TableQuery::new(self)
    }

    /// Gives the rows of another tenant. For the tables of `App::table`: a query handler only borrows its tables, which are
    /// bound to the tenant that asks.
    #[must_use]
    pub fn of_tenant(mut self, tenant: &str) -> Self {
        self.tenant = tenant.into();
        self
    }

    pub(super) fn selection(&self) -> Selection {
        Selection { tenant: self.tenant.to_string(), ..Selection::default() }
    }

    pub(super) async fn select(&self, selection: &Selection) -> Result<Vec<Vec<Value>>, ReadModelError> {
        self.read(|table| self.rows.select(table, selection)).await
    }

    /// As [`select`](Self::select), and says which table was read. `began`: the version that was read before, which has to be the same.
    pub(super) async fn select_from(
        &self,
        began: Option<u32>,
        selection: &Selection,
    ) -> Result<(TableRef, Vec<Vec<Value>>), ReadModelError> {
        self.read_from(began, |table| self.rows.select(table, selection)).await
    }

    pub(super) async fn read<'a, T>(
        &'a self,
        read: impl Fn(TableRef) -> BoxFuture<'a, Result<T, StoreError>> + Send,
    ) -> Result<T, ReadModelError> {
        Ok(self.read_from(None, read).await?.1)
    }

    /// Asks the stored table that serves. One that was dropped meanwhile is looked up once more: a newer version has taken over.
    async fn read_from<'a, T>(
        &'a self,
        began: Option<u32>,
        read: impl Fn(TableRef) -> BoxFuture<'a, Result<T, StoreError>> + Send,
    ) -> Result<(TableRef, T), ReadModelError> {
        let table = self.serving(began, false).await?;
        match read(table).await {
            Err(StoreError::Gone { .. }) => {
                let table = self.serving(began, true).await?;
                Ok((table, read(table).await?))
            }
            answer => Ok((table, answer?)),
        }
    }

    async fn serving(&self, began: Option<u32>, fresh: bool) -> Result<TableRef, ReadModelError> {
        let serving = self.rows.table(R::TABLE, fresh).await?;
        match began.filter(|began| *began != serving.version) {
            None => Ok(serving),
            Some(before) => Err(ReadModelError::Switched { table: R::TABLE.name, before, now: serving.version }),
        }
    }
}

pub(super) fn read_row<R: ReadModel>(values: Vec<Value>) -> Result<R, ReadModelError> {
    R::from_values(values).map_err(of_table::<R>)
}

pub(super) fn of_table<R: ReadModel>(error: ColumnError) -> ReadModelError {
    ReadModelError::Column { table: R::TABLE.name, error }
}
