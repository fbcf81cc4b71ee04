//! Rows of read models: read by key or by selection, written as sets.

use std::fmt::Write as _;

use futures_util::TryStreamExt as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Row as _, SqlSafeStr as _};

use super::SqliteStore;
use super::error::{DbError, damaged};
use super::script::Script;
use super::table::{keys, quoted};
use super::{select, value};
use crate::read_model::{ColumnType, RowChange, RowKey, Selection, TableRef, Value, WriteSet};
use crate::store::{RowStore, StoreError};

impl RowStore for SqliteStore {
    async fn rows(&self, table: TableRef, keys: &[RowKey]) -> Result<Vec<Option<Vec<Value>>>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut reader = self.reader().await?;
        let found = by_keys(reader.connection()?, table, keys).await;
        self.answer(reader, found, "reading rows")
    }

    async fn select(&self, table: TableRef, selection: &Selection) -> Result<Vec<Vec<Value>>, StoreError> {
        let mut script = Script::default();
        select::rows(&mut script, table, selection);
        let mut reader = self.reader().await?;
        let found = read(reader.connection()?, script, |row| value::read(&row, 0, table)).await;
        self.answer(reader, found, "selecting rows")
    }

    async fn count(&self, table: TableRef, selection: &Selection) -> Result<u64, StoreError> {
        let mut script = Script::default();
        select::count(&mut script, table, selection);
        let mut reader = self.reader().await?;
        let found = read(reader.connection()?, script, |row| Ok(row.try_get::<i64, _>(0)?)).await;
        let found = self.answer(reader, found, "counting rows")?;
        Ok(found.first().map_or(0, |count| count.cast_unsigned()))
    }
}

/// Reads what a single statement gives.
pub(super) async fn read<T>(
    connection: &mut SqliteConnection,
    script: Script,
    mut one: impl FnMut(SqliteRow) -> Result<T, DbError>,
) -> Result<Vec<T>, DbError> {
    let (sql, arguments, _) = script.into_parts();
    let query = sqlx::query_with(AssertSqlSafe(sql).into_sql_str(), arguments);
    let mut rows = query.fetch(connection);
    let mut found = Vec::new();
    while let Some(row) = rows.try_next().await? {
        found.push(one(row)?);
    }
    Ok(found)
}

/// Reads rows by their keys, in one statement.
pub(super) async fn by_keys(
    connection: &mut SqliteConnection,
    table: TableRef,
    keys: &[RowKey],
) -> Result<Vec<Option<Vec<Value>>>, DbError> {
    let mut sql = String::from("SELECT e.key");
    for column in table.table.columns {
        let _ = write!(sql, ", t.{}", quoted(column.name));
    }
    let _ = write!(
        sql,
        " FROM json_each(?) AS e CROSS JOIN {} AS t ON t.es_tenant = e.value->>0",
        quoted(&table.stored_name())
    );
    for (place, column) in table.table.key_columns().enumerate() {
        let _ = write!(sql, " AND t.{} = e.value->>{}", quoted(table.table.columns[column].name), place + 1);
    }
    let mut script = Script::default();
    script.add(&sql);
    script.bind(json_of(keys.iter().map(RowKey::as_str)));
    let mut answers = vec![None; keys.len()];
    let found = read(connection, script, |row| {
        let place: i64 = row.try_get(0)?;
        Ok((place, value::read(&row, 1, table)?))
    });
    for (place, row) in found.await? {
        let answer = usize::try_from(place).ok().and_then(|place| answers.get_mut(place));
        *answer.ok_or_else(|| damaged(table.stored_name(), "a row came that was not asked for"))? = Some(row);
    }
    Ok(answers)
}

/// Adds the statements that write a set of changes: one for the rows that are there afterwards, one for those that are not.
pub(super) fn write(script: &mut Script, table: TableRef, changes: &[RowChange]) {
    if changes.iter().any(|change| change.row.is_some()) {
        script.add(&upsert_sql(table));
        script.bind(upserts(table, changes));
    }
    if changes.iter().any(|change| change.row.is_none()) {
        script.add(&delete_sql(table));
        script.bind(json_of(changes.iter().filter(|change| change.row.is_none()).map(|change| change.key.as_str())));
    }
}

/// As [`write`].
pub(super) fn write_set(script: &mut Script, set: &WriteSet) {
    write(script, set.table, &set.changes);
}

/// Arguments: index `[key, columns …, version, position]`, where the key is `[tenant, …]`.
fn upsert_sql(table: TableRef) -> String {
    let columns = table.table.columns;
    let has_reals = columns.iter().any(|column| column.ty == ColumnType::Real);
    let (powers, power_tables) = if has_reals { (value::POWERS, value::POWER_TABLES) } else { ("", "") };
    let mut sql = format!("INSERT INTO {} (es_tenant", quoted(&table.stored_name()));
    for column in columns {
        let _ = write!(sql, ", {}", quoted(column.name));
    }
    let _ = write!(sql, ", es_version, es_position) {powers}SELECT e.value->>'$[0][0]'");
    let mut place = 1;
    for column in columns {
        if column.ty == ColumnType::Real {
            let _ = write!(sql, ", {}", value::real_sql(place));
            place += value::REAL_PARTS;
        } else {
            let _ = write!(sql, ", e.value->>{place}");
            place += 1;
        }
    }
    let _ = write!(
        sql,
        ", e.value->>{place}, e.value->>{} FROM json_each(?) AS e{power_tables} WHERE true ON CONFLICT ({}) DO UPDATE SET ",
        place + 1,
        keys(table.table)
    );
    for column in columns.iter().filter(|column| !column.key) {
        let name = quoted(column.name);
        let _ = write!(sql, "{name} = excluded.{name}, ");
    }
    sql.push_str("es_version = excluded.es_version, es_position = excluded.es_position");
    sql
}

/// Arguments: index of keys.
fn delete_sql(table: TableRef) -> String {
    let mut sql = format!("DELETE FROM {} WHERE ({}) IN (SELECT ", quoted(&table.stored_name()), keys(table.table));
    for place in 0..=table.table.key_columns().count() {
        let _ = write!(sql, "{}e.value->>{place}", if place == 0 { "" } else { ", " });
    }
    sql.push_str(" FROM json_each(?) AS e)");
    sql
}

fn upserts(table: TableRef, changes: &[RowChange]) -> String {
    let mut json = String::with_capacity(changes.len() * 96);
    json.push('[');
    for change in changes {
        let Some(row) = &change.row else { continue };
        json.push_str(if json.len() > 1 { ",[" } else { "[" });
        json.push_str(change.key.as_str());
        for (value, column) in row.iter().zip(table.table.columns) {
            json.push(',');
            match (value, column.ty) {
                (Value::Null, ColumnType::Real) => json.push_str("null,0,0,0"),
                (value, _) => value::write_json(&mut json, value),
            }
        }
        let _ = write!(json, ",{},{}]", change.version, change.position);
    }
    json.push(']');
    json
}

/// Puts JSON texts into an array.
pub(super) fn json_of<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let mut json = String::from("[");
    for item in items {
        json.push_str(if json.len() > 1 { "," } else { "" });
        json.push_str(item);
    }
    json.push(']');
    json
}
