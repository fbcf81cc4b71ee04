//! The tables of read models.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::PostgresStore;
use crate::read_model::{ColumnDescriptor, ColumnType, TableDescriptor, TableRef};
use crate::store::sql::known::stored_name;

/// How many bytes of a name PostgreSQL keeps. What is longer it cuts, without a word.
pub(super) const LONGEST_NAME: usize = 63;

impl PostgresStore {
    /// Gives the SQL that makes the table of a read model for one version of its projection, with its indexes: for those who want to
    /// see it, or to run it themselves. The store runs it when the projection is registered.
    ///
    /// Moments are texts in it, for `timestamptz` keeps microseconds; decimal numbers are, for `numeric` does not keep how they were written.
    /// The view of the version that serves shows both in PostgreSQL's own types.
    ///
    /// ```
    /// use es_runtime::read_model::{ColumnDescriptor, ColumnType, TableDescriptor};
    /// use es_runtime::store::PostgresStore;
    /// static BALANCES: TableDescriptor = TableDescriptor {
    ///     name: "balances",
    ///     columns: &[
    ///         ColumnDescriptor { name: "account", ty: ColumnType::Uuid, nullable: false, key: true, index: false },
    ///         ColumnDescriptor { name: "cents", ty: ColumnType::Integer, nullable: false, key: false, index: true },
    ///     ],
    /// };
    /// let sql = PostgresStore::table_sql(&BALANCES, 2);
    /// assert!(sql.starts_with("CREATE TABLE \"balances_v2\" ("));
    /// assert!(sql.contains("PRIMARY KEY (es_tenant, \"account\")"));
    /// assert!(sql.contains("ON \"balances_v2\" (es_tenant, \"cents\", \"account\")"));
    /// ```
    #[must_use]
    pub fn table_sql(table: &'static TableDescriptor, version: u32) -> String {
        let name = TableRef { table, version }.stored_name();
        let mut sql = format!("CREATE TABLE {} (\n    es_tenant text COLLATE \"C\" NOT NULL,\n", quoted(&name));
        // Writing to a `String` cannot fail.
        for column in table.columns {
            let _ = writeln!(sql, "    {},", column_sql(column));
        }
        // Room for the updates of rows on the same page: those of columns without an index leave the indexes alone.
        let _ = write!(
            sql,
            "    es_version bigint NOT NULL,\n    es_position bigint NOT NULL,\n    PRIMARY KEY ({})\n) WITH (fillfactor = 80);\n",
            keys(table)
        );
        for column in table.columns.iter().filter(|column| column.index) {
            let index = quoted(&index_name(&name, column.name));
            let _ = writeln!(sql, "CREATE INDEX {index} ON {} ({});", quoted(&name), indexed(table, column));
        }
        sql
    }
}

/// Gives the columns of an index: the key's columns are behind its own, so that pages come out of it in their order.
fn indexed(table: &TableDescriptor, column: &ColumnDescriptor) -> String {
    // Rows without a value come first.
    let nulls = if column.nullable { " NULLS FIRST" } else { "" };
    let mut columns = format!("es_tenant, {}{nulls}", compared(column));
    for place in table.key_columns() {
        let key = &table.columns[place];
        if key.name != column.name {
            columns.push_str(", ");
            columns.push_str(&quoted(key.name));
        }
    }
    columns
}

/// Names an index. A name that is too long is cut, and told apart by its hash.
fn index_name(table: &str, column: &str) -> String {
    let name = format!("{table}_{column}_idx");
    if name.len() <= LONGEST_NAME {
        return name;
    }
    let hash: String = Sha256::digest(&name).iter().take(8).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let mut cut = LONGEST_NAME - hash.len() - 5;
    while !name.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}_{hash}_idx", &name[..cut])
}

/// Quotes a name.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Names a column where it is compared: decimals by what they are worth, JSON by its text.
pub(super) fn compared(column: &ColumnDescriptor) -> String {
    let name = quoted(column.name);
    match column.ty {
        ColumnType::Decimal => format!("({name}::numeric)"),
        ColumnType::Json => format!("({name}::text COLLATE \"C\")"),
        _ => name,
    }
}

/// Gives the columns of the primary key.
pub(super) fn keys(table: &TableDescriptor) -> String {
    let mut keys = "es_tenant".to_owned();
    for place in table.key_columns() {
        keys.push_str(", ");
        keys.push_str(&quoted(table.columns[place].name));
    }
    keys
}

fn column_sql(column: &ColumnDescriptor) -> String {
    let name = quoted(column.name);
    let ty = match column.ty {
        ColumnType::Boolean => "boolean",
        ColumnType::Integer => "bigint",
        ColumnType::Real => "double precision",
        ColumnType::Uuid => "uuid",
        ColumnType::Date => "date",
        ColumnType::Json => "json",
        ColumnType::Text | ColumnType::Timestamp | ColumnType::Decimal => "text COLLATE \"C\"",
    };
    let not_null = if column.nullable { "" } else { " NOT NULL" };
    // What is no number would break the view.
    let check = if column.ty == ColumnType::Decimal {
        format!(" CHECK ({name}::numeric IS NOT NULL OR {name} IS NULL)")
    } else {
        String::new()
    };
    format!("{name} {ty}{not_null}{check}")
}

/// Gives what a view shows: the columns are taken from the description that is stored ([`TableDescriptor::describe`]), so that any program
/// can switch.
pub(super) fn view_sql(table: &str, shape: &str, version: u32) -> String {
    let column = |line: &str| {
        let (name, rest) = line.split_once(": ")?;
        let (name, ty) = (quoted(name), rest.split(' ').next().unwrap_or_default());
        Some(if ty == ColumnType::Timestamp.name() {
            // PostgreSQL has no year 0, and its second 60 takes no fraction: a leap second is shown as the second behind it.
            format!(
                "CASE WHEN {name} < '0001' THEN NULL WHEN substr({name}, 18, 2) = '60' \
                 THEN overlay({name} PLACING '59' FROM 18)::timestamptz + interval '1 second' ELSE {name}::timestamptz END AS {name}"
            )
        } else if ty == ColumnType::Decimal.name() {
            format!("{name}::numeric AS {name}")
        } else {
            name
        })
    };
    let columns = shape.lines().filter_map(column);
    let columns = std::iter::once("es_tenant".to_owned()).chain(columns).collect::<Vec<_>>().join(", ");
    format!("VIEW {} AS SELECT {columns} FROM {}", quoted(table), quoted(&stored_name(table, version)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_indexes_fit_and_stay_apart() {
        let table = "ä".repeat(30);
        let (one, other) = (index_name(&table, "one"), index_name(&table, "other"));
        assert!(one.len() <= LONGEST_NAME && other.len() <= LONGEST_NAME, "{one} {other}");
        assert_ne!(one, other);
        assert_eq!(index_name("balances_v1", "cents"), "balances_v1_cents_idx");
    }
}
