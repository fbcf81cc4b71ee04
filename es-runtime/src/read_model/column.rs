//! Columns: how a field's type is stored.

use std::fmt;

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use uuid::Uuid;

use super::{ColumnType, Value};

/// Says why a value cannot be a column's, or a stored one is not a field's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column `{column}`: {reason}")]
pub struct ColumnError {
    /// The column; empty where it is not known yet.
    pub column: &'static str,
    /// What is wrong.
    pub reason: String,
}

impl ColumnError {
    /// Makes an error of a column that is named later.
    pub fn new(reason: impl fmt::Display) -> Self {
        Self { column: "", reason: reason.to_string() }
    }

    /// Names the column, once.
    #[must_use]
    pub const fn of(mut self, column: &'static str) -> Self {
        if self.column.is_empty() {
            self.column = column;
        }
        self
    }

    #[cold]
    fn other_type(found: &Value, expected: ColumnType) -> Self {
        Self::new(format_args!("{found:?} is stored where a value of type {} is expected", expected.name()))
    }
}

/// A type that can be a column of its own type. Ids (anything that displays and parses) are columns too, as text; anything else
/// is one with `#[json]`.
pub trait Column: Sized {
    /// The column's type.
    const TYPE: ColumnType;
    /// Whether the column may hold nothing.
    const NULLABLE: bool = false;

    /// Gives the stored form.
    ///
    /// # Errors
    ///
    /// [`ColumnError`] where the value has none.
    fn to_value(&self) -> Result<Value, ColumnError>;

    /// Reads the stored form.
    ///
    /// # Errors
    ///
    /// [`ColumnError`] where it is not what [`to_value`](Self::to_value) gives.
    fn from_value(value: Value) -> Result<Self, ColumnError>;
}

/// How one field is stored: what generated code picks for each field.
pub struct ColumnCodec<T> {
    /// The column's type.
    pub ty: ColumnType,
    /// Whether the column may hold nothing.
    pub nullable: bool,
    /// Gives the stored form.
    pub to_value: fn(&T) -> Result<Value, ColumnError>,
    /// Reads the stored form.
    pub from_value: fn(Value) -> Result<T, ColumnError>,
}

impl<T> Clone for ColumnCodec<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for ColumnCodec<T> {}

impl<T> fmt::Debug for ColumnCodec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ColumnCodec").field("ty", &self.ty).field("nullable", &self.nullable).finish_non_exhaustive()
    }
}

impl<T: Column> Column for Option<T> {
    const TYPE: ColumnType = T::TYPE;
    const NULLABLE: bool = true;

    fn to_value(&self) -> Result<Value, ColumnError> {
        self.as_ref().map_or(Ok(Value::Null), T::to_value)
    }

    fn from_value(value: Value) -> Result<Self, ColumnError> {
        if value == Value::Null { Ok(None) } else { T::from_value(value).map(Some) }
    }
}

macro_rules! integers {
    ($($ty:ty),*) => {$(
        impl Column for $ty {
            const TYPE: ColumnType = ColumnType::Integer;

            fn to_value(&self) -> Result<Value, ColumnError> {
                i64::try_from(*self).map(Value::Integer).map_err(|_| {
                    ColumnError::new(format_args!("{self} is above {}, the greatest number that can be stored", i64::MAX))
                })
            }

            fn from_value(value: Value) -> Result<Self, ColumnError> {
                match value {
                    Value::Integer(number) => number.try_into().map_err(|_| {
                        ColumnError::new(format_args!("{number} does not fit into `{}`", stringify!($ty)))
                    }),
                    other => Err(ColumnError::other_type(&other, Self::TYPE)),
                }
            }
        }
    )*};
}
integers!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

macro_rules! reals {
    ($($ty:ty),*) => {$(
        impl Column for $ty {
            const TYPE: ColumnType = ColumnType::Real;

            fn to_value(&self) -> Result<Value, ColumnError> {
                if self.is_finite() {
                    Ok(Value::Real((*self).into()))
                } else {
                    Err(ColumnError::new(format_args!("{self} is not a number that can be stored")))
                }
            }

            #[allow(clippy::cast_possible_truncation, reason = "what is stored of an f32 is an f32")]
            fn from_value(value: Value) -> Result<Self, ColumnError> {
                match value {
                    Value::Real(number) => Ok(number as $ty),
                    other => Err(ColumnError::other_type(&other, Self::TYPE)),
                }
            }
        }
    )*};
}
reals!(f32, f64);

macro_rules! plain {
    ($($ty:ty => $variant:ident),*) => {$(
        impl Column for $ty {
            const TYPE: ColumnType = ColumnType::$variant;

            fn to_value(&self) -> Result<Value, ColumnError> {
                Ok(Value::$variant(self.clone()))
            }

            fn from_value(value: Value) -> Result<Self, ColumnError> {
                match value {
                    Value::$variant(value) => Ok(value),
                    other => Err(ColumnError::other_type(&other, Self::TYPE)),
                }
            }
        }
    )*};
}
plain!(bool => Boolean, String => Text, Uuid => Uuid);

/// Years of four digits: their texts sort as they do.
fn sortable(year: i32, value: &dyn fmt::Display) -> Result<(), ColumnError> {
    if (0..=9_999).contains(&year) {
        Ok(())
    } else {
        Err(ColumnError::new(format_args!("the year of {value} is not between 0 and 9999")))
    }
}

impl Column for DateTime<Utc> {
    const TYPE: ColumnType = ColumnType::Timestamp;

    fn to_value(&self) -> Result<Value, ColumnError> {
        sortable(self.year(), self).map(|()| Value::Timestamp(*self))
    }

    fn from_value(value: Value) -> Result<Self, ColumnError> {
        match value {
            Value::Timestamp(value) => Ok(value),
            other => Err(ColumnError::other_type(&other, Self::TYPE)),
        }
    }
}

impl Column for NaiveDate {
    const TYPE: ColumnType = ColumnType::Date;

    fn to_value(&self) -> Result<Value, ColumnError> {
        sortable(self.year(), self).map(|()| Value::Date(*self))
    }

    fn from_value(value: Value) -> Result<Self, ColumnError> {
        match value {
            Value::Date(value) => Ok(value),
            other => Err(ColumnError::other_type(&other, Self::TYPE)),
        }
    }
}

#[cfg(feature = "decimal")]
impl Column for rust_decimal::Decimal {
    const TYPE: ColumnType = ColumnType::Decimal;

    fn to_value(&self) -> Result<Value, ColumnError> {
        Ok(Value::Decimal(self.to_string()))
    }

    fn from_value(value: Value) -> Result<Self, ColumnError> {
        match value {
            Value::Decimal(text) => Self::from_str_exact(&text).map_err(ColumnError::new),
            other => Err(ColumnError::other_type(&other, Self::TYPE)),
        }
    }
}
