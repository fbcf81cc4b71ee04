//! Rows of read models: read by key or by selection, written as sets.

use std::borrow::Cow;
use std::fmt::Write as _;

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::PostgresStore;
use super::error::{DbError, damaged};
use super::pool::reading;
use super::statement::Statement;
use super::table::{keys, quoted};
use super::value::{self, Cells};
use super::{lookup, select};
use crate::read_model::{ColumnType, RowChange, RowKey, Selection, TableRef, Value};
use crate::store::{RowStore, StoreError};

impl RowStore for PostgresStore {
    async fn rows(&self, table: TableRef, keys: &[RowKey]) -> Result<Vec<Option<Vec<Value>>>, StoreError> {
        reading!(self, "reading rows", connection => by_keys(connection, table, keys, Found::InOneGo).await)
    }

    async fn select(&self, table: TableRef, selection: &Selection) -> Result<Vec<Vec<Value>>, StoreError> {
        let found = reading!(self, "selecting rows", connection => {
            Ok(select::rows(table, selection).rows(connection).await?)
        })?;
        let rows: Result<_, DbError> = found.iter().map(|row| value::read(row, 0, table)).collect();
        rows.map_err(|error| error.explain("selecting rows"))
    }

    async fn count(&self, table: TableRef, selection: &Selection) -> Result<u64, StoreError> {
        let count: i64 = reading!(self, "counting rows", connection => {
            Ok(select::count(table, selection).row(connection).await?.try_get(0)?)
        })?;
        Ok(count.cast_unsigned())
    }
}

/// How rows are found by their keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// As the planner sees fit, for batches.
    InOneGo,
    /// One by one, for a few: on the writer's connection, which uses the index in any case.
    OneByOne,
}

/// Reads rows by their keys, in one statement.
pub(super) async fn by_keys(
    connection: &mut PgConnection,
    table: TableRef,
    keys: &[RowKey],
    found: Found,
) -> Result<Vec<Option<Vec<Value>>>, DbError> {
    let mut answers = vec![None; keys.len()];
    if keys.is_empty() {
        return Ok(answers);
    }
    let named: Vec<_> = keys.iter().map(|key| value::key(table, key)).collect::<Result<_, _>>()?;
    let mut statement = Statement::new("SELECT e.place");
    for column in table.table.columns {
        let _ = write!(statement.text, ", t.{}", quoted(column.name));
    }
    statement.push(" FROM unnest(");
    push_keys(&mut statement, table, &named)?;
    let (stored, same) = (quoted(&table.stored_name()), same_key(table));
    let _ = write!(statement.text, ") WITH ORDINALITY AS e (tenant{}, place) ", key_names(table));
    let _ = match found {
        Found::InOneGo => write!(statement.text, "JOIN {stored} AS t ON {same}"),
        Found::OneByOne => {
            write!(statement.text, "CROSS JOIN LATERAL (SELECT * FROM {stored} AS t WHERE {same} LIMIT 1) AS t")
        }
    };
    for row in statement.rows(connection).await? {
        let place = lookup::in_column(keys, &row, 0).map(|_| row.try_get::<i64, _>(0))??;
        let answer = usize::try_from(place - 1).ok().and_then(|place| answers.get_mut(place));
        let answer = answer.ok_or_else(|| damaged(table.stored_name(), "a row came that was not asked for"))?;
        *answer = Some(value::read(&row, 1, table)?);
    }
    Ok(answers)
}

/// Adds the tenants and the key's columns of rows, as arrays.
fn push_keys(statement: &mut Statement, table: TableRef, keys: &[(String, Vec<Value>)]) -> Result<(), DbError> {
    statement.bind(keys.iter().map(|(tenant, _)| tenant.as_str()).collect::<Vec<_>>());
    statement.push("::text[]");
    for (part, column) in table.table.key_columns().enumerate() {
        let mut cells = Cells::new(table.table.columns[column].ty, keys.len());
        keys.iter().filter_map(|(_, values)| values.get(part)).try_for_each(|value| cells.push(value))?;
        statement.push(", ");
        cells.bind(statement);
    }
    Ok(())
}

/// Names the key's columns of what is unnested: `, k0, k1 …`.
fn key_names(table: TableRef) -> String {
    let mut names = String::new();
    for part in 0..table.table.key_columns().count() {
        let _ = write!(names, ", k{part}");
    }
    names
}

/// Gives the condition that a row is the one of an unnested key.
fn same_key(table: TableRef) -> String {
    let mut condition = "t.es_tenant = e.tenant".to_owned();
    for (part, column) in table.table.key_columns().enumerate() {
        let _ = write!(condition, " AND t.{} = e.k{part}", quoted(table.table.columns[column].name));
    }
    condition
}

/// Writes a set of changes, in one message.
pub(super) async fn write(
    connection: &mut PgConnection,
    table: TableRef,
    changes: &[RowChange],
) -> Result<(), DbError> {
    let mut statement = Statement::default();
    let (puts, deletes) = kinds(changes);
    if puts && deletes {
        statement.push("WITH put AS (");
        upsert(&mut statement, table, changes, None)?;
        statement.push(") ");
    } else if puts {
        upsert(&mut statement, table, changes, None)?;
    }
    if deletes {
        delete(&mut statement, table, changes, None)?;
    }
    if puts || deletes {
        statement.run(connection).await?;
    }
    Ok(())
}

/// Adds the parts of a `WITH` that write a set of changes, each with its comma in front; if there is a condition, where it holds. `place` tells the sets
/// of one statement apart.
pub(super) fn add(
    statement: &mut Statement,
    table: TableRef,
    changes: &[RowChange],
    condition: Option<&str>,
    place: usize,
) -> Result<(), DbError> {
    let (puts, deletes) = kinds(changes);
    if puts {
        let _ = write!(statement.text, ", put{place} AS (");
        upsert(statement, table, changes, condition)?;
        statement.push(")");
    }
    if deletes {
        let _ = write!(statement.text, ", gone{place} AS (");
        delete(statement, table, changes, condition)?;
        statement.push(")");
    }
    Ok(())
}

/// Tells whether there are rows to be put, and rows to be deleted.
fn kinds(changes: &[RowChange]) -> (bool, bool) {
    (changes.iter().any(|change| change.row.is_some()), changes.iter().any(|change| change.row.is_none()))
}

fn upsert(
    statement: &mut Statement,
    table: TableRef,
    changes: &[RowChange],
    condition: Option<&str>,
) -> Result<(), DbError> {
    let columns = table.table.columns;
    let _ = write!(statement.text, "INSERT INTO {} (es_tenant", quoted(&table.stored_name()));
    for column in columns {
        let _ = write!(statement.text, ", {}", quoted(column.name));
    }
    statement.push(", es_version, es_position) SELECT e.tenant");
    for (place, column) in columns.iter().enumerate() {
        let cast = if column.ty == ColumnType::Json { "::json" } else { "" };
        let _ = write!(statement.text, ", e.c{place}{cast}");
    }
    statement.push(", e.version, e.position FROM unnest(");
    push_rows(statement, table, changes)?;
    statement.push(") AS e (tenant");
    for place in 0..columns.len() {
        let _ = write!(statement.text, ", c{place}");
    }
    statement.push(", version, position)");
    if let Some(condition) = condition {
        let _ = write!(statement.text, " WHERE {condition}");
    }
    // In the keys' order, so that two who write never wait for each other.
    statement.push(" ORDER BY e.tenant COLLATE \"C\"");
    for place in table.table.key_columns() {
        let texts = matches!(columns[place].ty, ColumnType::Text | ColumnType::Timestamp);
        let _ = write!(statement.text, ", e.c{place}{}", if texts { " COLLATE \"C\"" } else { "" });
    }
    let _ = write!(statement.text, " ON CONFLICT ({}) DO UPDATE SET ", keys(table.table));
    for column in columns.iter().filter(|column| !column.key) {
        let name = quoted(column.name);
        let _ = write!(statement.text, "{name} = excluded.{name}, ");
    }
    statement.push("es_version = excluded.es_version, es_position = excluded.es_position");
    Ok(())
}

/// Adds rows as arrays: tenant, columns, version, position.
fn push_rows(statement: &mut Statement, table: TableRef, changes: &[RowChange]) -> Result<(), DbError> {
    let rows: Vec<_> = changes.iter().filter_map(|change| Some((change, change.row.as_ref()?))).collect();
    let tenants: Vec<Cow<'_, str>> =
        rows.iter().map(|(change, _)| value::tenant(&change.key)).collect::<Result<_, _>>()?;
    statement.bind(tenants);
    statement.push("::text[]");
    for (place, column) in table.table.columns.iter().enumerate() {
        let mut cells = Cells::new(column.ty, rows.len());
        for (_, row) in &rows {
            cells.push(row.get(place).unwrap_or(&Value::Null))?;
        }
        statement.push(", ");
        cells.bind(statement);
    }
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let versions: Vec<_> = rows.iter().map(|(change, _)| number(change.version.get())).collect();
    let positions: Vec<_> = rows.iter().map(|(change, _)| number(change.position.get())).collect();
    for numbers in [versions, positions] {
        statement.push(", ");
        statement.bind(numbers);
        statement.push("::bigint[]");
    }
    Ok(())
}

fn delete(
    statement: &mut Statement,
    table: TableRef,
    changes: &[RowChange],
    condition: Option<&str>,
) -> Result<(), DbError> {
    let gone = changes.iter().filter(|change| change.row.is_none());
    let named: Vec<_> = gone.map(|change| value::key(table, &change.key)).collect::<Result<_, _>>()?;
    let _ = write!(statement.text, "DELETE FROM {} AS t USING unnest(", quoted(&table.stored_name()));
    push_keys(statement, table, &named)?;
    let _ = write!(statement.text, ") AS e (tenant{}) WHERE {}", key_names(table), same_key(table));
    if let Some(condition) = condition {
        let _ = write!(statement.text, " AND {condition}");
    }
    Ok(())
}
