//! Values of read models on their way to and from SQLite.

use std::fmt::Write as _;

use chrono::{NaiveDate, NaiveDateTime};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::error::{DbError, damaged};
use super::script::Script;
use crate::read_model::{ColumnType, TableRef, Value};

/// Appends a value as JSON from which SQLite gets exactly this value.
pub(super) fn write_json(text: &mut String, value: &Value) {
    match value {
        // Nineteen digits: SQLite reads numbers with slightly less care than a shortest form needs.
        Value::Real(number) => {
            let _ = write!(text, "{number:.18e}");
        }
        other => other.write_json(text),
    }
}

/// Binds a value as it is stored.
pub(super) fn bind(script: &mut Script, value: &Value) {
    match value {
        Value::Null => script.bind(None::<String>),
        Value::Boolean(value) => script.bind(i64::from(*value)),
        Value::Integer(value) => script.bind(*value),
        Value::Real(value) => script.bind(*value),
        Value::Text(value) | Value::Decimal(value) | Value::Json(value) => script.bind(value.clone()),
        Value::Uuid(value) => script.bind(value.to_string()),
        Value::Timestamp(value) => script.bind(value.format(Value::TIMESTAMP).to_string()),
        Value::Date(value) => script.bind(value.to_string()),
    };
}

/// Reads a row's values: the table's columns, from `first` on.
pub(super) fn read(row: &SqliteRow, first: usize, table: TableRef) -> Result<Vec<Value>, DbError> {
    let columns = table.table.columns.iter().enumerate();
    let values = columns.map(|(place, column)| {
        one(row, first + place, column.ty).map_err(|reason| {
            DbError::Store(damaged(format!("table {}, column `{}`", table.stored_name(), column.name), reason))
        })
    });
    values.collect()
}

fn one(row: &SqliteRow, column: usize, ty: ColumnType) -> Result<Value, String> {
    let value = match ty {
        ColumnType::Boolean => get::<i64>(row, column)?.map(|value| Value::Boolean(value != 0)),
        ColumnType::Integer => get(row, column)?.map(Value::Integer),
        ColumnType::Real => get(row, column)?.map(Value::Real),
        ColumnType::Text => get(row, column)?.map(Value::Text),
        ColumnType::Decimal => get(row, column)?.map(Value::Decimal),
        ColumnType::Json => get(row, column)?.map(Value::Json),
        ColumnType::Uuid => {
            get::<&str>(row, column)?.map(|text| Uuid::parse_str(text).map(Value::Uuid)).transpose().map_err(wrong)?
        }
        ColumnType::Timestamp => {
            let moment = |text| NaiveDateTime::parse_from_str(text, Value::TIMESTAMP);
            get(row, column)?.map(moment).transpose().map_err(wrong)?.map(|value| Value::Timestamp(value.and_utc()))
        }
        ColumnType::Date => {
            let day = |text| NaiveDate::parse_from_str(text, "%Y-%m-%d");
            get(row, column)?.map(day).transpose().map_err(wrong)?.map(Value::Date)
        }
    };
    Ok(value.unwrap_or(Value::Null))
}

/// The table's columns are strict: a value is of its column's type or NULL.
fn get<'r, T: sqlx::Decode<'r, sqlx::Sqlite>>(row: &'r SqliteRow, column: usize) -> Result<Option<T>, String> {
    row.try_get_unchecked(column).map_err(wrong)
}

fn wrong(error: impl std::fmt::Display) -> String {
    error.to_string()
}
