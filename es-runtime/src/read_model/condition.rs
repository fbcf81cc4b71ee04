//! Columns in queries: conditions and orders.

use std::fmt;
use std::marker::PhantomData;

use super::{ColumnError, ColumnOf, Filter, IsIndexed, Order, Test, Value};

/// A condition on a column of `R`, made by [`ColumnOf::eq`] and its like; for [`TableQuery::filter`](super::TableQuery::filter).
pub struct Condition<R> {
    pub(super) filter: Result<Filter, ColumnError>,
    row: PhantomData<fn() -> R>,
}

impl<R> fmt::Debug for Condition<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.filter).finish()
    }
}

/// A column to order by, made by [`ColumnOf::asc`] and [`ColumnOf::desc`]; for [`TableQuery::order_by`](super::TableQuery::order_by).
pub struct OrderOf<R> {
    pub(super) order: Order,
    row: PhantomData<fn() -> R>,
}

impl<R> fmt::Debug for OrderOf<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OrderOf").field(&self.order).finish()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "so that a literal's type is inferred: `.eq(5)`")]
impl<R, T, I> ColumnOf<R, T, I> {
    /// The value equals this one. `None` finds rows without a value.
    #[must_use]
    pub fn eq(self, value: T) -> Condition<R>
    where
        I: IsIndexed,
    {
        self.one(&value, Test::Equals)
    }

    /// The value differs from this one. A row without a value differs from every other value; `None` finds rows with one.
    #[must_use]
    pub fn ne(self, value: T) -> Condition<R>
    where
        I: IsIndexed,
    {
        self.one(&value, Test::Differs)
    }

    /// The value is one of these. Of none it is never one.
    #[must_use]
    pub fn is_in(self, values: impl IntoIterator<Item = T>) -> Condition<R>
    where
        I: IsIndexed,
    {
        let values: Result<_, _> = values.into_iter().map(|value| (self.codec.to_value)(&value)).collect();
        self.condition(values.map(Test::In))
    }

    /// The value is less than this one. Rows without a value are left out, here and below.
    #[must_use]
    pub fn lt(self, value: T) -> Condition<R>
    where
        I: IsIndexed,
    {
        self.one(&value, Test::Less)
    }

    /// The value is at most this one.
    #[must_use]
    pub fn le(self, value: T) -> Condition<R>
    where
        I: IsIndexed,
    {
        self.one(&value, Test::AtMost)
    }

    /// The value is greater than this one.
    #[must_use]
    pub fn gt(self, value: T) -> Condition<R>
    where
        I: IsIndexed,
    {
        self.one(&value, Test::Greater)
    }

    /// The value is at least this one.
    #[must_use]
    pub fn ge(self, value: T) -> Condition<R>
    where
        I: IsIndexed,
    {
        self.one(&value, Test::AtLeast)
    }

    /// The least comes first; rows without a value before all.
    #[must_use]
    pub const fn asc(self) -> OrderOf<R>
    where
        I: IsIndexed,
    {
        OrderOf { order: Order { column: self.place, descending: false }, row: PhantomData }
    }

    /// The greatest comes first; rows without a value behind all.
    #[must_use]
    pub const fn desc(self) -> OrderOf<R>
    where
        I: IsIndexed,
    {
        OrderOf { order: Order { column: self.place, descending: true }, row: PhantomData }
    }

    fn one(self, value: &T, test: fn(Value) -> Test) -> Condition<R> {
        self.condition((self.codec.to_value)(value).map(test))
    }
}

impl<R, I> ColumnOf<R, String, I> {
    /// The text begins with this one, letter by letter: case matters.
    #[must_use]
    pub fn starts_with(self, start: impl Into<String>) -> Condition<R>
    where
        I: IsIndexed,
    {
        self.condition(Ok(Test::StartsWith(start.into())))
    }
}

impl<R, I> ColumnOf<R, Option<String>, I> {
    /// The text begins with this one, letter by letter: case matters. Rows without a text are left out.
    #[must_use]
    pub fn starts_with(self, start: impl Into<String>) -> Condition<R>
    where
        I: IsIndexed,
    {
        self.condition(Ok(Test::StartsWith(start.into())))
    }
}

impl<R, T, I> ColumnOf<R, Option<T>, I> {
    /// The row has no value.
    #[must_use]
    pub fn is_null(self) -> Condition<R>
    where
        I: IsIndexed,
    {
        self.condition(Ok(Test::Equals(Value::Null)))
    }

    /// The row has a value.
    #[must_use]
    pub fn is_not_null(self) -> Condition<R>
    where
        I: IsIndexed,
    {
        self.condition(Ok(Test::Differs(Value::Null)))
    }
}

impl<R, T, I> ColumnOf<R, T, I> {
    fn condition(self, test: Result<Test, ColumnError>) -> Condition<R> {
        Condition { filter: test.map(|test| Filter { column: self.place, test }), row: PhantomData }
    }
}
