//! What is asked of a table, as stores see it.

use super::Value;

/// Selects rows of one tenant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// The tenant; empty is the default one.
    pub tenant: String,
    /// What a row must fulfil: all of it.
    pub filters: Vec<Filter>,
    /// The order. Stores add the key's columns behind it, so that it is total.
    pub order: Vec<Order>,
    /// Where a page begins: the values of the order's columns, then of the key's columns, of the last row of the page before.
    pub after: Option<Vec<Value>>,
    /// How many rows at most.
    pub limit: Option<u64>,
}

/// A condition on one column.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// The column's place in the table.
    pub column: usize,
    /// The condition.
    pub test: Test,
}

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// Equal; [`Value::Null`] finds rows without a value.
    Equals(Value),
    /// Not equal; [`Value::Null`] finds rows with a value. A row without a value is unequal to every other value.
    Differs(Value),
    /// Equal to one of these.
    In(Vec<Value>),
    /// Less than. Rows without a value are left out, here and below.
    Less(Value),
    /// At most.
    AtMost(Value),
    /// Greater than.
    Greater(Value),
    /// At least.
    AtLeast(Value),
    /// A text that begins with this one.
    StartsWith(String),
}

/// One column of an order. Rows without a value come first, or last where it descends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The column's place in the table.
    pub column: usize,
    /// Whether the greatest comes first.
    pub descending: bool,
}
