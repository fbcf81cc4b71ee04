//! Values and tables as stores see them.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

/// One column of one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing: `None`.
    Null,
    /// Yes or no.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A floating-point number; never NaN.
    Real(f64),
    /// A text, also that of an id.
    Text(String),
    /// A UUID.
    Uuid(Uuid),
    /// A moment, to the nanosecond.
    Timestamp(DateTime<Utc>),
    /// A calendar day.
    Date(NaiveDate),
    /// A decimal number, exactly as written: digits, an optional sign and point.
    Decimal(String),
    /// JSON.
    Json(String),
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// [`Value::Boolean`].
    Boolean,
    /// [`Value::Integer`].
    Integer,
    /// [`Value::Real`].
    Real,
    /// [`Value::Text`].
    Text,
    /// [`Value::Uuid`].
    Uuid,
    /// [`Value::Timestamp`].
    Timestamp,
    /// [`Value::Date`].
    Date,
    /// [`Value::Decimal`].
    Decimal,
    /// [`Value::Json`].
    Json,
}

impl ColumnType {
    /// Names the type in `snake_case`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Real => "real",
            Self::Text => "text",
            Self::Uuid => "uuid",
            Self::Timestamp => "timestamp",
            Self::Date => "date",
            Self::Decimal => "decimal",
            Self::Json => "json",
        }
    }

    /// Tells whether a column of this type may be part of a key: its values are equal exactly if their texts are.
    #[must_use]
    pub const fn may_be_key(self) -> bool {
        !matches!(self, Self::Real | Self::Decimal | Self::Json)
    }
}

/// One column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnDescriptor {
    /// The column's name: the field's.
    pub name: &'static str,
    /// Its type.
    pub ty: ColumnType,
    /// Whether it may be [`Value::Null`].
    pub nullable: bool,
    /// Whether it is part of the key.
    pub key: bool,
    /// Whether it has an index.
    pub index: bool,
}

/// A read model's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableDescriptor {
    /// The table's name.
    pub name: &'static str,
    /// Its columns, in the order in which they are declared. At least one is part of the key.
    pub columns: &'static [ColumnDescriptor],
}

impl TableDescriptor {
    /// Gives the places of the key's columns, in their order.
    pub fn key_columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.columns.iter().enumerate().filter(|(_, column)| column.key).map(|(place, _)| place)
    }

    /// Finds a column's place by its name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Describes the table, a line a column: what a stored table is compared with at start.
    ///
    /// ```
    /// use es_runtime::read_model::{ColumnDescriptor, ColumnType, TableDescriptor};
    /// let table = TableDescriptor {
    ///     name: "balances",
    ///     columns: &[ColumnDescriptor { name: "account", ty: ColumnType::Uuid, nullable: false, key: true, index: false }],
    /// };
    /// assert_eq!(table.describe(), "account: uuid key\n");
    /// ```
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for column in self.columns {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{}: {}", column.name, column.ty.name());
            for (flag, word) in [(column.nullable, " nullable"), (column.key, " key"), (column.index, " index")] {
                if flag {
                    text.push_str(word);
                }
            }
            text.push('\n');
        }
        text
    }
}
