//! Values of read models on their way to and from SQLite.

use std::fmt::Write as _;

use chrono::{NaiveDate, NaiveDateTime};
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

/// Appends a floating-point number as four integers: SQLite does not read decimal digits to the last bit. It is the first, shifted by the
/// second, times 2^62 as often as the third says, divided by it as often as the fourth says. All of that is exact.
fn write_real(text: &mut String, number: f64) {
    let bits = number.to_bits();
    let (exponent, fraction) = (i64::try_from(bits >> 52 & 0x7ff).unwrap_or_default(), bits & 0x000f_ffff_ffff_ffff);
    let (mantissa, exponent) = if exponent == 0 { (fraction, -1_074) } else { (fraction | 1 << 52, exponent - 1_075) };
    let (up, down) = if exponent >= 0 { (exponent / 62, 0) } else { (0, (61 - exponent) / 62) };
    let shift = exponent - (up - down) * 62;
    let sign = if number.is_sign_negative() { "-" } else { "" };
    // Writing to a `String` cannot fail.
    let _ = write!(text, "{sign}{mantissa},{shift},{up},{down}");
}

/// Gives the SQL that puts a number together again whose four parts stand in `e` from a place on.
pub(super) fn real_sql(place: usize) -> String {
    let mut sql = format!("CAST(e.value->>{place} AS REAL) * CAST(1 << (e.value->>{}) AS REAL)", place + 1);
    for (operator, place) in [('*', place + 2), ('/', place + 3)] {
        for power in [1, 2, 4, 8, 16] {
            let _ = write!(sql, " {operator} iif((e.value->>{place}) & {power}, p{power}.x, 1.0)");
        }
    }
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
