//! Selections of rows as SQL.

use std::fmt::Write as _;

use super::statement::Statement;
use super::table::{compared, quoted};
use super::text::escaped;
use super::value::{Cells, bind};
use crate::read_model::{Filter, Order, Selection, TableRef, Test, Value};
use crate::store::sql::prefix::behind;

/// A statement in the making.
struct Query {
    table: TableRef,
    statement: Statement,
}

/// Gives the statement that reads the selected rows.
pub(super) fn rows(table: TableRef, selection: &Selection) -> Statement {
    let mut query = Query { table, statement: Statement::new("SELECT ") };
    for (place, column) in table.table.columns.iter().enumerate() {
        query.statement.push(if place == 0 { "" } else { ", " });
        query.statement.push(&quoted(column.name));
    }
    let order = total(table, &selection.order);
    query.from(selection);
    if let Some(after) = &selection.after {
        query.after(&order, after);
    }
    for (place, order) in order.iter().enumerate() {
        query.statement.push(if place == 0 { " ORDER BY " } else { ", " });
        query.order(*order);
    }
    if let Some(limit) = selection.limit {
        query.statement.push(" LIMIT ");
        query.statement.bind(i64::try_from(limit).unwrap_or(i64::MAX));
    }
    query.statement
}

/// Gives the statement that counts the selected rows.
pub(super) fn count(table: TableRef, selection: &Selection) -> Statement {
    let mut query = Query { table, statement: Statement::new("SELECT count(*)") };
    query.from(selection);
    query.statement
}

/// Adds the key's columns behind an order, where they are not in it.
fn total(table: TableRef, order: &[Order]) -> Vec<Order> {
    let key = table.table.key_columns().map(|column| Order { column, descending: false });
    order.iter().copied().chain(key).collect()
}

impl Query {
    fn column(&self, place: usize) -> String {
        // A column that the table does not have is the database's error.
        self.table.table.columns.get(place).map_or_else(|| "no_such_column".to_owned(), compared)
    }

    fn is_nullable(&self, place: usize) -> bool {
        self.table.table.columns.get(place).is_some_and(|column| column.nullable)
    }

    /// Says where rows without a value come, where there can be any: else the order would not be that of the index.
    fn order(&mut self, order: Order) {
        let nulls = match (self.is_nullable(order.column), order.descending) {
            (false, false) => "",
            (false, true) => " DESC",
            (true, false) => " NULLS FIRST",
            (true, true) => " DESC NULLS LAST",
        };
        let column = self.column(order.column);
        self.push(format_args!("{column}{nulls}"));
    }

    fn from(&mut self, selection: &Selection) {
        let table = quoted(&self.table.stored_name());
        self.push(format_args!(" FROM {table} WHERE es_tenant = "));
        self.statement.bind(escaped(&selection.tenant));
        for filter in &selection.filters {
            self.statement.push(" AND ");
            self.filter(filter);
        }
    }

    fn filter(&mut self, filter: &Filter) {
        let column = self.column(filter.column);
        match &filter.test {
            Test::Equals(Value::Null) => self.push(format_args!("{column} IS NULL")),
            Test::Differs(Value::Null) => self.push(format_args!("{column} IS NOT NULL")),
            Test::Equals(value) => self.compare(&column, "=", value),
            Test::Differs(value) => self.compare(&column, "IS DISTINCT FROM", value),
            Test::Less(value) => self.compare(&column, "<", value),
            Test::AtMost(value) => self.compare(&column, "<=", value),
            Test::Greater(value) => self.compare(&column, ">", value),
            Test::AtLeast(value) => self.compare(&column, ">=", value),
            Test::In(values) => self.one_of(filter.column, values),
            Test::StartsWith(prefix) => self.starts_with(&column, prefix),
        }
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a `String` cannot fail.
        let _ = self.statement.text.write_fmt(text);
    }

    /// Nothing is less or greater than no value.
    fn compare(&mut self, column: &str, operator: &str, value: &Value) {
        if *value == Value::Null {
            return self.statement.push("false");
        }
        self.push(format_args!("{column} {operator} "));
        bind(&mut self.statement, value);
    }

    fn one_of(&mut self, place: usize, values: &[Value]) {
        let column = self.column(place);
        let Some(ty) = self.table.table.columns.get(place).map(|column| column.ty) else {
            return self.statement.push(&column);
        };
        let mut cells = Cells::new(ty, values.len());
        for value in values.iter().filter(|value| **value != Value::Null) {
            // A value of another type is equal to none of the column's.
            let _ = cells.push(value);
        }
        self.push(format_args!("({column} = ANY("));
        cells.bind(&mut self.statement);
        let cast = if ty == crate::read_model::ColumnType::Decimal { "::numeric[]" } else { "" };
        self.push(format_args!("{cast})"));
        if values.contains(&Value::Null) {
            self.push(format_args!(" OR {column} IS NULL"));
        }
        self.statement.push(")");
    }

    /// Texts sort by their bytes, so those that begin with a text stand together, and an index finds them.
    fn starts_with(&mut self, column: &str, prefix: &str) {
        self.compare(column, ">=", &Value::Text(prefix.to_owned()));
        // The text that is stored sorts as the plain one does.
        if let Some(end) = behind(prefix) {
            self.statement.push(" AND ");
            self.compare(column, "<", &Value::Text(end));
        }
    }

    /// Begins behind a row: behind it in the first column, or equal there and behind it in the next one, and so on.
    fn after(&mut self, order: &[Order], after: &[Value]) {
        let bounds: Vec<_> = order.iter().zip(after).collect();
        if let Some((first, value)) = bounds.first()
            && **value != Value::Null
            && (!first.descending || !self.is_nullable(first.column))
        {
            // Says nothing new, but an index understands it.
            let column = self.column(first.column);
            self.statement.push(" AND ");
            self.compare(&column, if first.descending { "<=" } else { ">=" }, value);
        }
        self.statement.push(" AND (");
        for place in 0..bounds.len() {
            self.statement.push(if place == 0 { "(" } else { " OR (" });
            for (order, value) in &bounds[..place] {
                self.equal(**order, value);
                self.statement.push(" AND ");
            }
            let (order, value) = bounds[place];
            self.behind(*order, value);
            self.statement.push(")");
        }
        self.statement.push(")");
    }

    fn equal(&mut self, order: Order, value: &Value) {
        let column = self.column(order.column);
        match value {
            Value::Null => self.push(format_args!("{column} IS NULL")),
            value => self.compare(&column, "=", value),
        }
    }

    fn behind(&mut self, order: Order, value: &Value) {
        let column = self.column(order.column);
        match (order.descending, value) {
            // Rows without a value come first, or last where it descends.
            (false, Value::Null) => self.push(format_args!("{column} IS NOT NULL")),
            (true, Value::Null) => self.statement.push("false"),
            (false, value) => self.compare(&column, ">", value),
            (true, value) => {
                self.statement.push("(");
                self.compare(&column, "<", value);
                self.push(format_args!(" OR {column} IS NULL)"));
            }
        }
    }
}
