//! The tables of read models.

use std::fmt::Write as _;

use super::SqliteStore;
use super::decimal::COLLATION;
use crate::read_model::{ColumnDescriptor, ColumnType, TableDescriptor, TableRef};
use crate::store::sql::known::stored_name;

impl SqliteStore {
    /// Gives the SQL that makes the table of a read model for one version of its projection, with its indexes: for those who want to
    /// see it, or to run it themselves. The store runs it when the projection is registered.
    ///
    /// ```
    /// use es_runtime::read_model::{ColumnDescriptor, ColumnType, TableDescriptor};
    /// use es_runtime::store::SqliteStore;
    /// static BALANCES: TableDescriptor = TableDescriptor {
    ///     name: "balances",
    ///     columns: &[
    ///         ColumnDescriptor { name: "account", ty: ColumnType::Uuid, nullable: false, key: true, index: false },
    ///         ColumnDescriptor { name: "cents", ty: ColumnType::Integer, nullable: false, key: false, index: true },
    ///     ],
    /// };
    /// let sql = SqliteStore::table_sql(&BALANCES, 2);
    /// assert!(sql.starts_with("CREATE TABLE \"balances_v2\" ("));
    /// assert!(sql.contains("PRIMARY KEY (es_tenant, \"account\")"));
    /// assert!(sql.contains("ON \"balances_v2\" (es_tenant, \"cents\")"));
    /// ```
    #[must_use]
    pub fn table_sql(table: &'static TableDescriptor, version: u32) -> String {
        let name = TableRef { table, version }.stored_name();
        let mut sql = format!("CREATE TABLE {} (\n    es_tenant TEXT NOT NULL DEFAULT '',\n", quoted(&name));
        // Writing to a `String` cannot fail.
        for column in table.columns {
            let _ = writeln!(sql, "    {},", column_sql(column));
        }
        let keys = keys(table);
        let _ = write!(
            sql,
            "    es_version INTEGER NOT NULL,\n    es_position INTEGER NOT NULL,\n    PRIMARY KEY ({keys})\n) STRICT, WITHOUT ROWID;\n"
        );
        for column in table.columns.iter().filter(|column| column.index) {
            let index = quoted(&format!("{name}_{}", column.name));
            let _ = writeln!(sql, "CREATE INDEX {index} ON {} (es_tenant, {});", quoted(&name), compared(column));
        }
        sql
    }
}

/// Quotes a name.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Names a column where it is compared: decimals by what they are worth. The order stands in the index and in the statements, not on the
/// column, so that other programs, which do not know it, can read the table.
pub(super) fn compared(column: &ColumnDescriptor) -> String {
    let name = quoted(column.name);
    if column.ty == ColumnType::Decimal { format!("{name} COLLATE {COLLATION}") } else { name }
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
    let (name, not_null) = (quoted(column.name), not_null(column));
    match column.ty {
        ColumnType::Boolean | ColumnType::Integer => format!("{name} INTEGER{not_null}"),
        // A column of type REAL keeps whole numbers as integers, and with them -0.0 as 0.
        ColumnType::Real => format!("{name} ANY{not_null} CHECK (typeof({name}) IN ('real', 'null'))"),
        _ => format!("{name} TEXT{not_null}"),
    }
}

const fn not_null(column: &ColumnDescriptor) -> &'static str {
    if column.nullable { "" } else { " NOT NULL" }
}

/// Gives the SQL that makes the view of the version that serves: the stable name for people and tools. The columns are taken from the
/// description that is stored ([`TableDescriptor::describe`]), so that any program can switch.
pub(super) fn view_sql(table: &str, shape: &str, version: u32) -> String {
    let columns = shape.lines().filter_map(|line| line.split_once(": ")).map(|(name, _)| quoted(name));
    let columns = std::iter::once("es_tenant".to_owned()).chain(columns).collect::<Vec<_>>().join(", ");
    format!("CREATE VIEW {} AS SELECT {columns} FROM {}", quoted(table), quoted(&stored_name(table, version)))
}
