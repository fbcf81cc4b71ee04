//! Cursors: where a page ends, as text.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{ColumnType, Order, ReadModelError, TableDescriptor, TableRef, Value};

/// Where a page ends and the next one begins: the order's columns and their values in the last row.
///
/// It displays and parses as a text for URLs, which serde takes too. It is neither secret nor signed: its text has values of a row, and a
/// forged one can begin a page elsewhere, but never in another tenant's rows. A damaged text does not parse.
///
/// ```
/// use es_runtime::read_model::{Cursor, ReadModelError};
/// assert!(matches!("no cursor".parse::<Cursor>(), Err(ReadModelError::Cursor { .. })));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cursor {
    content: Content,
}

#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Content {
    /// The table.
    t: String,
    /// The columns of the order, then those of the key; with a minus where the greatest comes first.
    o: Vec<String>,
    /// Their values as texts.
    v: Vec<Option<String>>,
    /// The version of the table that was read; `None` in cursors from before it was in them.
    #[serde(default)]
    n: Option<u32>,
}

/// How many bytes of a cursor's text say that the others are not damaged.
const CHECK: usize = 4;

impl Cursor {
    /// Takes the place of a row.
    pub(super) fn at(table: TableRef, order: &[Order], row: &[Value]) -> Self {
        let TableRef { table, version } = table;
        let places = places(table, order);
        let values = places.iter().map(|(place, _)| row.get(*place).and_then(text)).collect();
        Self { content: Content { t: table.name.to_owned(), o: names(table, &places), v: values, n: Some(version) } }
    }

    /// Returns the version of the table that the page comes from.
    pub(super) const fn version(&self) -> Option<u32> {
        self.content.n
    }

    /// Gives the values, if the cursor belongs to this order of this table.
    pub(super) fn values(&self, table: &TableDescriptor, order: &[Order]) -> Result<Vec<Value>, ReadModelError> {
        let places = places(table, order);
        let Content { t, o, v, .. } = &self.content;
        if *t != table.name {
            return Err(refused(format!("it is one of the table `{t}`, not of `{}`", table.name)));
        }
        let names = names(table, &places);
        if *o != names || v.len() != names.len() {
            return Err(refused(format!("its order is ({}), that of the query ({})", o.join(", "), names.join(", "))));
        }
        let columns = places.iter().filter_map(|(place, _)| table.columns.get(*place));
        let values = columns.zip(v).map(|(column, text)| match text {
            None => Some(Value::Null),
            Some(text) => value(column.ty, text),
        });
        values.collect::<Option<_>>().ok_or_else(|| refused("its values are not those of the columns".to_owned()))
    }
}

fn refused(reason: String) -> ReadModelError {
    ReadModelError::Cursor { reason }
}

fn places(table: &TableDescriptor, order: &[Order]) -> Vec<(usize, bool)> {
    let order = order.iter().map(|order| (order.column, order.descending));
    order.chain(table.key_columns().map(|place| (place, false))).collect()
}

fn names(table: &TableDescriptor, places: &[(usize, bool)]) -> Vec<String> {
    let name = |place: usize| table.columns.get(place).map_or("", |column| column.name);
    places.iter().map(|(place, down)| format!("{}{}", if *down { "-" } else { "" }, name(*place))).collect()
}

fn text(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Boolean(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Real(value) => format!("{value:e}"),
        Value::Uuid(value) => value.to_string(),
        Value::Timestamp(value) => value.format(Value::TIMESTAMP).to_string(),
        Value::Date(value) => value.to_string(),
        Value::Text(value) | Value::Decimal(value) | Value::Json(value) => value.clone(),
    })
}

fn value(ty: ColumnType, text: &str) -> Option<Value> {
    Some(match ty {
        ColumnType::Boolean => Value::Boolean(text.parse().ok()?),
        ColumnType::Integer => Value::Integer(text.parse().ok()?),
        ColumnType::Real => Value::Real(text.parse().ok().filter(|number: &f64| number.is_finite())?),
        ColumnType::Text => Value::Text(text.to_owned()),
        ColumnType::Uuid => Value::Uuid(text.parse().ok()?),
        ColumnType::Timestamp => Value::Timestamp(DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc)),
        ColumnType::Date => Value::Date(text.parse().ok()?),
        ColumnType::Decimal => Value::Decimal(text.to_owned()),
        ColumnType::Json => Value::Json(text.to_owned()),
    })
}

/// Tells damage, not forgery (FNV-1a).
fn check(bytes: &[u8]) -> [u8; CHECK] {
    let hash = bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    hash.to_be_bytes()
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = serde_json::to_vec(&self.content).map_err(|_| fmt::Error)?;
        bytes.extend(check(&bytes));
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({self})")
    }
}

impl FromStr for Cursor {
    type Err = ReadModelError;

    fn from_str(text: &str) -> Result<Self, ReadModelError> {
        let damaged = || refused("its text is damaged".to_owned());
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| damaged())?;
        let (content, found) = bytes.split_last_chunk::<CHECK>().ok_or_else(damaged)?;
        if *found != check(content) {
            return Err(damaged());
        }
        let content = serde_json::from_slice(content).map_err(|_| damaged())?;
        Ok(Self { content })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
