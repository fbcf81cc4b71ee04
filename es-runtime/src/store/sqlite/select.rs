//! Selections of rows as SQL.

use std::fmt::Write as _;

use super::script::Script;
use super::table::{compared, quoted};
use super::value::{self, bind};
use crate::read_model::{Filter, Order, Selection, TableRef, Test, Value};
use crate::store::sql::prefix::behind;

/// A statement in the making: its text, and its arguments in their order.
struct Query<'a> {
    table: TableRef,
    text: String,
    script: &'a mut Script,
}

/// Adds the statement that reads the selected rows.
pub(super) fn rows(script: &mut Script, table: TableRef, selection: &Selection) {
    let mut query = Query { table, text: String::from("SELECT "), script };
    for (place, column) in table.table.columns.iter().enumerate() {
        query.text.push_str(if place == 0 { "" } else { ", " });
        query.text.push_str(&quoted(column.name));
    }
    let order = total(table, &selection.order);
    query.from(selection);
    if let Some(after) = &selection.after {
        query.after(&order, after);
    }
    for (place, order) in order.iter().enumerate() {
        let direction = if order.descending { " DESC" } else { "" };
        let column = query.column(order.column);
        let _ = write!(query.text, "{} {column}{direction}", if place == 0 { " ORDER BY" } else { "," });
    }
    if let Some(limit) = selection.limit {
        query.text.push_str(" LIMIT ?");
        query.script.bind(i64::try_from(limit).unwrap_or(i64::MAX));
    }
    query.end();
}

/// Adds the statement that counts the selected rows.
pub(super) fn count(script: &mut Script, table: TableRef, selection: &Selection) {
    let mut query = Query { table, text: String::from("SELECT count(*)"), script };
    query.from(selection);
    query.end();
}

/// Adds the key's columns behind an order, where they are not in it.
fn total(table: TableRef, order: &[Order]) -> Vec<Order> {
    let key = table.table.key_columns().map(|column| Order { column, descending: false });
    order.iter().copied().chain(key).collect()
}

impl Query<'_> {
    fn end(self) {
        self.script.add(&self.text);
    }

    fn column(&self, place: usize) -> String {
        // A column that the table does not have is the database's error.
        self.table.table.columns.get(place).map_or_else(|| "no_such_column".to_owned(), compared)
    }

    fn from(&mut self, selection: &Selection) {
        let _ = write!(self.text, " FROM {} WHERE es_tenant = ?", quoted(&self.table.stored_name()));
        self.script.bind(selection.tenant.clone());
        for filter in &selection.filters {
            self.text.push_str(" AND ");
            self.filter(filter);
        }
    }

    fn filter(&mut self, filter: &Filter) {
        let column = self.column(filter.column);
        match &filter.test {
            Test::Equals(Value::Null) => self.push(format_args!("{column} IS NULL")),
            Test::Differs(Value::Null) => self.push(format_args!("{column} IS NOT NULL")),
            Test::Equals(value) => self.compare(&column, "=", value),
            Test::Differs(value) => self.compare(&column, "IS NOT", value),
            Test::Less(value) => self.compare(&column, "<", value),
            Test::AtMost(value) => self.compare(&column, "<=", value),
            Test::Greater(value) => self.compare(&column, ">", value),
            Test::AtLeast(value) => self.compare(&column, ">=", value),
            Test::In(values) => self.one_of(&column, values),
            Test::StartsWith(prefix) => self.starts_with(&column, prefix),
        }
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        let _ = self.text.write_fmt(text);
    }

    fn compare(&mut self, column: &str, operator: &str, value: &Value) {
        self.push(format_args!("{column} {operator} ?"));
        bind(self.script, value);
    }

    fn one_of(&mut self, column: &str, values: &[Value]) {
        let or_null = if values.contains(&Value::Null) { format!(" OR {column} IS NULL") } else { String::new() };
        let values = || values.iter().filter(|value| **value != Value::Null);
        if values().any(|value| matches!(value, Value::Real(_))) {
            // As text they would not be exact.
            let places = vec!["?"; values().count()].join(", ");
            values().for_each(|value| bind(self.script, value));
            return self.push(format_args!("({column} IN ({places}){or_null})"));
        }
        let mut json = String::from("[");
        for value in values() {
            json.push_str(if json.len() > 1 { "," } else { "" });
            value::write_json(&mut json, value);
        }
        json.push(']');
        self.push(format_args!("({column} IN (SELECT value FROM json_each(?)){or_null})"));
        self.script.bind(json);
    }

    /// Texts sort by their bytes, so those that begin with a text stand together, and an index finds them.
    fn starts_with(&mut self, column: &str, prefix: &str) {
        self.compare(column, ">=", &Value::Text(prefix.to_owned()));
        if let Some(end) = behind(prefix) {
            self.text.push_str(" AND ");
            self.compare(column, "<", &Value::Text(end));
        }
    }

    /// Begins behind a row: behind it in the first column, or equal there and behind it in the next one, and so on.
    fn after(&mut self, order: &[Order], after: &[Value]) {
        let bounds: Vec<_> = order.iter().zip(after).collect();
        if let Some((first, value)) = bounds.first()
            && **value != Value::Null
            && (!first.descending || self.table.table.columns.get(first.column).is_some_and(|column| !column.nullable))
        {
            // Says nothing new, but an index understands it.
            let column = self.column(first.column);
            self.text.push_str(" AND ");
            self.compare(&column, if first.descending { "<=" } else { ">=" }, value);
        }
        self.text.push_str(" AND (");
        for place in 0..bounds.len() {
            self.text.push_str(if place == 0 { "(" } else { " OR (" });
            for (order, value) in &bounds[..place] {
                let column = self.column(order.column);
                self.compare(&column, "IS", value);
                self.text.push_str(" AND ");
            }
            let (order, value) = bounds[place];
            self.behind(*order, value);
            self.text.push(')');
        }
        self.text.push(')');
    }

    fn behind(&mut self, order: Order, value: &Value) {
        let column = self.column(order.column);
        match (order.descending, value) {
            // Rows without a value come first, or last where it descends.
            (false, Value::Null) => self.push(format_args!("{column} IS NOT NULL")),
            (true, Value::Null) => self.text.push_str("false"),
            (false, value) => self.compare(&column, ">", value),
            (true, value) => {
                self.text.push('(');
                self.compare(&column, "<", value);
                self.push(format_args!(" OR {column} IS NULL)"));
            }
        }
    }
}
