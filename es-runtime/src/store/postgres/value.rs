//! Values of read models on their way to and from PostgreSQL.

use std::borrow::Cow;

use chrono::{NaiveDate, NaiveDateTime};
use serde_json::Value as Json;
use sqlx::Row as _;
use sqlx::postgres::{PgRow, Postgres};
use uuid::Uuid;

use super::error::{DbError, damaged};
use super::statement::Statement;
use super::text::{escaped, unescaped};
use crate::read_model::{ColumnType, RowKey, TableRef, Value};
use crate::store::StoreError;

/// The cells of one column, of many rows.
pub(super) enum Cells<'a> {
    Boolean(Vec<Option<bool>>),
    Integer(Vec<Option<i64>>),
    Real(Vec<Option<f64>>),
    Text(Vec<Option<Cow<'a, str>>>),
    Uuid(Vec<Option<Uuid>>),
    Date(Vec<Option<NaiveDate>>),
}

impl<'a> Cells<'a> {
    pub(super) fn new(ty: ColumnType, rows: usize) -> Self {
        match ty {
            ColumnType::Boolean => Self::Boolean(Vec::with_capacity(rows)),
            ColumnType::Integer => Self::Integer(Vec::with_capacity(rows)),
            ColumnType::Real => Self::Real(Vec::with_capacity(rows)),
            ColumnType::Uuid => Self::Uuid(Vec::with_capacity(rows)),
            ColumnType::Date => Self::Date(Vec::with_capacity(rows)),
            ColumnType::Text | ColumnType::Timestamp | ColumnType::Decimal | ColumnType::Json => {
                Self::Text(Vec::with_capacity(rows))
            }
        }
    }

    pub(super) fn push(&mut self, value: &'a Value) -> Result<(), DbError> {
        match (self, value) {
            (Self::Boolean(cells), Value::Null) => cells.push(None),
            (Self::Integer(cells), Value::Null) => cells.push(None),
            (Self::Real(cells), Value::Null) => cells.push(None),
            (Self::Text(cells), Value::Null) => cells.push(None),
            (Self::Uuid(cells), Value::Null) => cells.push(None),
            (Self::Date(cells), Value::Null) => cells.push(None),
            (Self::Boolean(cells), Value::Boolean(value)) => cells.push(Some(*value)),
            (Self::Integer(cells), Value::Integer(value)) => cells.push(Some(*value)),
            (Self::Real(cells), Value::Real(value)) => cells.push(Some(*value)),
            (Self::Uuid(cells), Value::Uuid(value)) => cells.push(Some(*value)),
            (Self::Date(cells), Value::Date(value)) => cells.push(Some(*value)),
            (Self::Text(cells), value) if text(value).is_some() => cells.push(text(value)),
            (_, other) => {
                let reason = format!("a column cannot hold {other:?}");
                return Err(StoreError::Unavailable { reason, source: None }.into());
            }
        }
        Ok(())
    }

    /// Adds them as one argument, with its type.
    pub(super) fn bind(self, statement: &mut Statement) {
        let ty = match self {
            Self::Boolean(cells) => {
                statement.bind(cells);
                "boolean[]"
            }
            Self::Integer(cells) => {
                statement.bind(cells);
                "bigint[]"
            }
            Self::Real(cells) => {
                statement.bind(cells);
                "double precision[]"
            }
            Self::Text(cells) => {
                statement.bind(cells);
                "text[]"
            }
            Self::Uuid(cells) => {
                statement.bind(cells);
                "uuid[]"
            }
            Self::Date(cells) => {
                statement.bind(cells);
                "date[]"
            }
        };
        statement.push("::");
        statement.push(ty);
    }
}

/// Gives what a value that is stored as text is stored as.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Text(text) | Value::Decimal(text) | Value::Json(text) => Some(escaped(text)),
        Value::Timestamp(moment) => Some(moment.format(Value::TIMESTAMP).to_string().into()),
        _ => None,
    }
}

/// Adds a value to a statement as it is compared.
pub(super) fn bind(statement: &mut Statement, value: &Value) {
    match value {
        Value::Null => statement.push("NULL"),
        Value::Boolean(value) => statement.bind(*value),
        Value::Integer(value) => statement.bind(*value),
        Value::Real(value) => statement.bind(*value),
        Value::Uuid(value) => statement.bind(*value),
        Value::Date(value) => statement.bind(*value),
        Value::Decimal(number) => {
            statement.bind(escaped(number));
            statement.push("::numeric");
        }
        Value::Text(_) | Value::Timestamp(_) | Value::Json(_) => statement.bind(text(value)),
    }
}

/// Reads a row's values: the table's columns, from `first` on.
pub(super) fn read(row: &PgRow, first: usize, table: TableRef) -> Result<Vec<Value>, DbError> {
    let columns = table.table.columns.iter().enumerate();
    let values = columns.map(|(place, column)| {
        one(row, first + place, column.ty).map_err(|reason| {
            DbError::Store(damaged(format!("table {}, column `{}`", table.stored_name(), column.name), reason))
        })
    });
    values.collect()
}

fn one(row: &PgRow, column: usize, ty: ColumnType) -> Result<Value, String> {
    let value = match ty {
        ColumnType::Boolean => get(row, column)?.map(Value::Boolean),
        ColumnType::Integer => get(row, column)?.map(Value::Integer),
        ColumnType::Real => get(row, column)?.map(Value::Real),
        ColumnType::Uuid => get(row, column)?.map(Value::Uuid),
        ColumnType::Date => get(row, column)?.map(Value::Date),
        ColumnType::Text => get(row, column)?.map(unescaped).map(Value::Text),
        ColumnType::Decimal => get(row, column)?.map(unescaped).map(Value::Decimal),
        ColumnType::Json => get(row, column)?.map(unescaped).map(Value::Json),
        ColumnType::Timestamp => get::<&str>(row, column)?.map(moment).transpose()?,
    };
    Ok(value.unwrap_or(Value::Null))
}

/// Unchecked, for JSON comes as the text that it is.
fn get<'r, T: sqlx::Decode<'r, Postgres>>(row: &'r PgRow, column: usize) -> Result<Option<T>, String> {
    row.try_get_unchecked(column).map_err(wrong)
}

fn moment(text: &str) -> Result<Value, String> {
    let moment = NaiveDateTime::parse_from_str(text, Value::TIMESTAMP).map_err(wrong)?;
    Ok(Value::Timestamp(moment.and_utc()))
}

fn wrong(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Reads the tenant of a row's name.
pub(super) fn tenant(key: &RowKey) -> Result<Cow<'static, str>, DbError> {
    let text = key.as_str();
    if text.starts_with("[\"\",") {
        return Ok(Cow::Borrowed(""));
    }
    let mut parts = serde_json::Deserializer::from_str(text.get(1..).unwrap_or_default()).into_iter::<String>();
    match parts.next() {
        Some(Ok(tenant)) => Ok(Cow::Owned(escaped(&tenant).into_owned())),
        _ => Err(no_key(key)),
    }
}

/// Reads the tenant and the values of the key's columns of a row's name.
pub(super) fn key(table: TableRef, key: &RowKey) -> Result<(String, Vec<Value>), DbError> {
    let parts: Vec<Json> = serde_json::from_str(key.as_str()).map_err(|_| no_key(key))?;
    let mut parts = parts.into_iter();
    let Some(Json::String(tenant)) = parts.next() else { return Err(no_key(key)) };
    let columns = table.table.key_columns().map(|place| table.table.columns[place].ty);
    let values = columns.map(|ty| parts.next().and_then(|part| of_json(part, ty)).ok_or_else(|| no_key(key)));
    Ok((escaped(&tenant).into_owned(), values.collect::<Result<_, _>>()?))
}

fn of_json(part: Json, ty: ColumnType) -> Option<Value> {
    match (ty, part) {
        (ColumnType::Boolean, Json::Bool(value)) => Some(Value::Boolean(value)),
        (ColumnType::Integer, Json::Number(number)) => number.as_i64().map(Value::Integer),
        (ColumnType::Text, Json::String(text)) => Some(Value::Text(text)),
        (ColumnType::Uuid, Json::String(text)) => Uuid::parse_str(&text).ok().map(Value::Uuid),
        (ColumnType::Timestamp, Json::String(text)) => moment(&text).ok(),
        (ColumnType::Date, Json::String(text)) => NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok().map(Value::Date),
        // No others are keys.
        _ => None,
    }
}

fn no_key(key: &RowKey) -> DbError {
    StoreError::Unavailable { reason: format!("`{key}` names no row of the table"), source: None }.into()
}
