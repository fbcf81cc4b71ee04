//! Values of read models on their way to and from SQLite.

use std::fmt::Write as _;

use chrono::{NaiveDate, NaiveDateTime};
use serde_json::Value as Json;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::error::{DbError, damaged};
use super::script::Script;
use crate::read_model::{ColumnType, TableRef, Value};

/// How many elements of a JSON array hold a floating-point number.
pub(super) const REAL_PARTS: usize = 4;

/// What stands behind the columns' list of an `INSERT` whose values are taken with [`real_sql`]: powers of 2^62.
pub(super) const POWERS: &str = "WITH p1(x) AS (SELECT CAST(1 << 62 AS REAL)), p2(x) AS (SELECT x * x FROM p1), \
    p4(x) AS (SELECT x * x FROM p2), p8(x) AS (SELECT x * x FROM p4), p16(x) AS (SELECT x * x FROM p8) ";

/// The tables of [`POWERS`].
pub(super) const POWER_TABLES: &str = " CROSS JOIN p1 CROSS JOIN p2 CROSS JOIN p4 CROSS JOIN p8 CROSS JOIN p16";

/// Appends a value as JSON from which SQLite gets exactly this value, with [`real_sql`] where it is a floating-point number.
pub(super) fn write_json(text: &mut String, value: &Value) {
    match value {
        Value::Real(number) => write_real(text, *number),
        other => other.write_json(text),
    }
}

/// What is added to the last part of a negative number. The first part cannot show the sign: as an integer, zero has none.
const NEGATIVE: i64 = 32;

/// Appends a floating-point number as four integers: SQLite does not read decimal digits to the last bit. It is the first, shifted by the
/// second, times 2^62 as often as the third says, divided by it as often as the fourth says, and negative if that contains [`NEGATIVE`]. All of
/// that is exact.
fn write_real(text: &mut String, number: f64) {
    let bits = number.to_bits();
    let (exponent, fraction) = (i64::try_from(bits >> 52 & 0x7ff).unwrap_or_default(), bits & 0x000f_ffff_ffff_ffff);
    let (mantissa, exponent) = if exponent == 0 { (fraction, -1_074) } else { (fraction | 1 << 52, exponent - 1_075) };
    let (up, down) = if exponent >= 0 { (exponent / 62, 0) } else { (0, (61 - exponent) / 62) };
    let shift = exponent - (up - down) * 62;
    let sign = if number.is_sign_negative() { NEGATIVE } else { 0 };
    // Writing to a `String` cannot fail.
    let _ = write!(text, "{mantissa},{shift},{up},{}", down + sign);
}

/// Gives the SQL that puts a number together again whose four parts stand in `e` from a place on.
pub(super) fn real_sql(place: usize) -> String {
    let mut sql = format!("CAST(e.value->>{place} AS REAL) * CAST(1 << (e.value->>{}) AS REAL)", place + 1);
    for (operator, place) in [('*', place + 2), ('/', place + 3)] {
        for power in [1, 2, 4, 8, 16] {
            let _ = write!(sql, " {operator} iif((e.value->>{place}) & {power}, p{power}.x, 1.0)");
        }
    }
    let _ = write!(sql, " * iif((e.value->>{}) & {NEGATIVE}, -1.0, 1.0)", place + 3);
    sql
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
        ColumnType::Uuid => get::<&str>(row, column)?.map(uuid).transpose()?,
        ColumnType::Timestamp => get::<&str>(row, column)?.map(moment).transpose()?,
        ColumnType::Date => get::<&str>(row, column)?.map(day).transpose()?,
    };
    Ok(value.unwrap_or(Value::Null))
}

fn uuid(text: &str) -> Result<Value, String> {
    Uuid::parse_str(text).map(Value::Uuid).map_err(wrong)
}

fn moment(text: &str) -> Result<Value, String> {
    let moment = NaiveDateTime::parse_from_str(text, Value::TIMESTAMP).map_err(wrong)?;
    Ok(Value::Timestamp(moment.and_utc()))
}

fn day(text: &str) -> Result<Value, String> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").map(Value::Date).map_err(wrong)
}

/// Reads rows that come as one JSON array of `[place, columns …]`; not for tables with floating-point numbers.
pub(super) fn unpack(text: &str, table: TableRef) -> Result<Vec<(usize, Vec<Value>)>, DbError> {
    let broken = |reason: String| DbError::Store(damaged(format!("table {}", table.stored_name()), reason));
    let rows: Vec<Vec<Json>> = serde_json::from_str(text).map_err(|error| broken(error.to_string()))?;
    let unpacked = rows.into_iter().map(|row| {
        let mut parts = row.into_iter();
        let place = parts.next().and_then(|place| usize::try_from(place.as_u64()?).ok());
        let columns = table.table.columns.iter();
        let values: Result<Vec<Value>, String> = columns
            .map(|column| {
                let value = parts.next().ok_or_else(|| "it is missing".to_owned());
                let value = value.and_then(|value| unpacked(value, column.ty));
                value.map_err(|reason| format!("column `{}`: {reason}", column.name))
            })
            .collect();
        Ok((place.unwrap_or(usize::MAX), values.map_err(broken)?))
    });
    unpacked.collect()
}

fn unpacked(value: Json, ty: ColumnType) -> Result<Value, String> {
    match (ty, value) {
        (_, Json::Null) => Ok(Value::Null),
        (ColumnType::Boolean, Json::Number(number)) if number.is_i64() => {
            Ok(Value::Boolean(number.as_i64() != Some(0)))
        }
        (ColumnType::Integer, Json::Number(number)) => {
            number.as_i64().map(Value::Integer).ok_or_else(|| format!("{number} is no whole number"))
        }
        (ColumnType::Text, Json::String(text)) => Ok(Value::Text(text)),
        (ColumnType::Decimal, Json::String(text)) => Ok(Value::Decimal(text)),
        (ColumnType::Json, Json::String(text)) => Ok(Value::Json(text)),
        (ColumnType::Uuid, Json::String(text)) => uuid(&text),
        (ColumnType::Timestamp, Json::String(text)) => moment(&text),
        (ColumnType::Date, Json::String(text)) => day(&text),
        (ty, other) => Err(format!("{other} is stored where a value of type {} is expected", ty.name())),
    }
}

/// The table's columns are strict: a value is of its column's type or NULL.
fn get<'r, T: sqlx::Decode<'r, sqlx::Sqlite>>(row: &'r SqliteRow, column: usize) -> Result<Option<T>, String> {
    row.try_get_unchecked(column).map_err(wrong)
}

fn wrong(error: impl std::fmt::Display) -> String {
    error.to_string()
}
