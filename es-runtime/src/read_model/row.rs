//! Rows on their way to and from a store.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use super::{TableDescriptor, Value};
use crate::event::{GlobalPosition, Version};

/// Names one row of a table: the tenant and the key's values, as one JSON array of texts, numbers and booleans.
///
/// The text is canonical: two keys are equal exactly if their texts are. It is also the sequence key of the events that
/// change the row. Cloning copies a pointer.
///
/// ```
/// use es_runtime::read_model::{RowKey, Value};
/// let key = RowKey::new("acme", &[Value::Text("BER".into()), Value::Integer(7)]);
/// assert_eq!(key.as_str(), r#"["acme","BER",7]"#);
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey(Arc<str>);

impl RowKey {
    /// How many bytes a row's key has at most, with its tenant, as JSON ([`as_str`](Self::as_str)); and with it the value of an indexed column.
    ///
    /// PostgreSQL's indexes take entries of 2,704 bytes. The limit is the same for every store, so that data can move. It is a little more than
    /// that of a stream's name, which may be the key.
    pub const LONGEST: usize = 2_100;

    /// Names a row by its tenant and the values of its key columns.
    #[must_use]
    pub fn new(tenant: &str, values: &[Value]) -> Self {
        let mut text = String::with_capacity(48);
        text.push('[');
        quote(&mut text, tenant);
        for value in values {
            text.push(',');
            value.write_json(&mut text);
        }
        text.push(']');
        Self(text.into())
    }

    /// Gives how the texts of all keys of a tenant begin.
    pub(crate) fn prefix(tenant: &str) -> String {
        let mut text = String::from("[");
        quote(&mut text, tenant);
        text.push(',');
        text
    }

    /// Gives the text: a JSON array.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Ordered, hashed and compared as its text.
impl std::borrow::Borrow<str> for RowKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowKey({})", self.0)
    }
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value {
    /// How moments are written: fixed width, so that texts sort as the moments do.
    pub(crate) const TIMESTAMP: &'static str = "%Y-%m-%dT%H:%M:%S%.9fZ";

    /// Appends the value as JSON: texts, numbers, booleans or null; JSON goes in as text.
    pub(crate) fn write_json(&self, text: &mut String) {
        // Writing to a `String` cannot fail.
        let _ = match self {
            Self::Null => write!(text, "null"),
            Self::Boolean(value) => write!(text, "{value}"),
            Self::Integer(value) => write!(text, "{value}"),
            Self::Real(value) => write!(text, "{value:e}"),
            Self::Uuid(value) => write!(text, "\"{value}\""),
            Self::Timestamp(value) => write!(text, "\"{}\"", value.format(Self::TIMESTAMP)),
            Self::Date(value) => write!(text, "\"{value}\""),
            Self::Decimal(value) => write!(text, "\"{value}\""),
            Self::Text(value) | Self::Json(value) => {
                quote(text, value);
                Ok(())
            }
        };
    }
}

/// Writes JSON text. Strings always encode.
fn quote(text: &mut String, value: &str) {
    if value.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        text.push('"');
        text.push_str(value);
        text.push('"');
    } else {
        text.push_str(&serde_json::to_string(value).unwrap_or_default());
    }
}

/// One version of a read model's table, as it stands in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableRef {
    /// The table.
    pub table: &'static TableDescriptor,
    /// The version of the projection that writes it.
    pub version: u32,
}

impl TableRef {
    /// Names the stored table: a rebuild fills `balances_v2` while `balances_v1` serves.
    #[must_use]
    pub fn stored_name(&self) -> String {
        format!("{}_v{}", self.table.name, self.version)
    }
}

/// What a batch of events makes of one row.
#[derive(Clone, Debug, PartialEq)]
pub struct RowChange {
    /// The row.
    pub key: RowKey,
    /// Its values after the batch, in the order of the table's columns; `None` where it is deleted.
    pub row: Option<Vec<Value>>,
    /// The stream version of the last event that touched the row.
    pub version: Version,
    /// The position of the last event that touched the row.
    pub position: GlobalPosition,
}

/// What a batch of events makes of a table: each row once.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteSet {
    /// The table.
    pub table: TableRef,
    /// The changes; the order does not matter.
    pub changes: Vec<RowChange>,
}
