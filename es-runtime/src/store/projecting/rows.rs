//! Reading rows.

use std::future::Future;

use crate::read_model::{RowKey, Selection, TableRef, Value};
use crate::store::StoreError;

/// Reads the rows of read models.
pub trait RowStore: Send + Sync + 'static {
    /// Reads rows by their keys: one answer a key, in their order; the values of the table's columns, or `None`.
    ///
    /// # Errors
    ///
    /// Here and below: [`StoreError::Gone`] where the table is not there.
    fn rows(
        &self,
        table: TableRef,
        keys: &[RowKey],
    ) -> impl Future<Output = Result<Vec<Option<Vec<Value>>>, StoreError>> + Send;

    /// Reads the rows that are selected, in the selection's order and then that of the key.
    fn select(
        &self,
        table: TableRef,
        selection: &Selection,
    ) -> impl Future<Output = Result<Vec<Vec<Value>>, StoreError>> + Send;

    /// Counts the rows that are selected; order, page and limit do not matter.
    fn count(&self, table: TableRef, selection: &Selection) -> impl Future<Output = Result<u64, StoreError>> + Send;
}
