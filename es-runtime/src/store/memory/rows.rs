//! Rows of read models.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;

use super::{MemoryStore, Tables};
use crate::read_model::{Filter, RowChange, RowKey, Selection, TableDescriptor, TableRef, Test, Value, cmp_values};
use crate::store::{RowStore, StoreError};

/// One version of a table. Keys of one tenant stand together.
#[derive(Debug)]
pub(super) struct StoredTable {
    table: &'static TableDescriptor,
    rows: BTreeMap<RowKey, Vec<Value>>,
}

impl StoredTable {
    pub(super) const fn new(table: &'static TableDescriptor) -> Self {
        Self { table, rows: BTreeMap::new() }
    }

    pub(super) fn row(&self, key: &RowKey) -> Option<Vec<Value>> {
        self.rows.get(key).cloned()
    }

    pub(super) fn write(&mut self, changes: Vec<RowChange>) {
        for change in changes {
            match change.row {
                Some(row) => drop(self.rows.insert(change.key, row)),
                None => drop(self.rows.remove(&change.key)),
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
    }

    /// Gives the rows of the selection's tenant that pass its filters, in the order of their keys' texts.
    fn filtered<'a>(&'a self, selection: &'a Selection) -> impl Iterator<Item = &'a Vec<Value>> {
        let prefix = RowKey::prefix(&selection.tenant);
        let rows = self.rows.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
        rows.take_while(move |(key, _)| key.as_str().starts_with(&prefix))
            .map(|(_, row)| row)
            .filter(|row| selection.filters.iter().all(|filter| passes(filter, row)))
    }

    fn select(&self, selection: &Selection) -> Vec<Vec<Value>> {
        let mut columns: Vec<(usize, bool)> =
            selection.order.iter().map(|order| (order.column, order.descending)).collect();
        columns.extend(self.table.key_columns().map(|column| (column, false)));
        let mut rows: Vec<&Vec<Value>> = self.filtered(selection).collect();
        if let Some(after) = &selection.after {
            rows.retain(|row| {
                let places = columns.iter().zip(after);
                first_difference(places.map(|((column, down), after)| directed(value(row, *column), after, *down)))
                    .is_gt()
            });
        }
        rows.sort_by(|a, b| {
            let places = columns.iter();
            first_difference(places.map(|(column, down)| directed(value(a, *column), value(b, *column), *down)))
        });
        let limit = selection.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        rows.into_iter().take(limit).cloned().collect()
    }
}

fn value(row: &[Value], column: usize) -> &Value {
    row.get(column).unwrap_or(&Value::Null)
}

fn directed(a: &Value, b: &Value, descending: bool) -> Ordering {
    let order = cmp_values(a, b);
    if descending { order.reverse() } else { order }
}

fn first_difference(mut orders: impl Iterator<Item = Ordering>) -> Ordering {
    orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn passes(filter: &Filter, row: &[Value]) -> bool {
    let found = value(row, filter.column);
    let is = |expected: &Value| cmp_values(found, expected).is_eq();
    // Nothing is neither less nor greater than anything.
    let ordered = |expected: &Value, fits: fn(Ordering) -> bool| {
        *found != Value::Null && *expected != Value::Null && fits(cmp_values(found, expected))
    };
    match &filter.test {
        Test::Equals(expected) => is(expected),
        Test::Differs(expected) => !is(expected),
        Test::In(expected) => expected.iter().any(is),
        Test::Less(expected) => ordered(expected, Ordering::is_lt),
        Test::AtMost(expected) => ordered(expected, Ordering::is_le),
        Test::Greater(expected) => ordered(expected, Ordering::is_gt),
        Test::AtLeast(expected) => ordered(expected, Ordering::is_ge),
        Test::StartsWith(start) => matches!(found, Value::Text(text) if text.starts_with(start.as_str())),
    }
}

impl Tables {
    pub(super) fn table(&self, table: TableRef) -> Result<&StoredTable, StoreError> {
        let name = table.stored_name();
        self.rows.get(&name).ok_or_else(|| StoreError::Gone { what: format!("the table `{name}`") })
    }
}

impl RowStore for MemoryStore {
    async fn rows(&self, table: TableRef, keys: &[RowKey]) -> Result<Vec<Option<Vec<Value>>>, StoreError> {
        let tables = self.0.tables.read();
        let table = tables.open()?.table(table)?;
        Ok(keys.iter().map(|key| table.row(key)).collect())
    }

    async fn select(&self, table: TableRef, selection: &Selection) -> Result<Vec<Vec<Value>>, StoreError> {
        let tables = self.0.tables.read();
        Ok(tables.open()?.table(table)?.select(selection))
    }

    async fn count(&self, table: TableRef, selection: &Selection) -> Result<u64, StoreError> {
        let tables = self.0.tables.read();
        Ok(tables.open()?.table(table)?.filtered(selection).count() as u64)
    }
}
