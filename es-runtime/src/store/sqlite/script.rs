//! Several statements in one message to the connection.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Arguments as _, AssertSqlSafe, Either, Executor as _, SqlSafeStr as _};

/// Statements and what is bound to them. As everywhere here, each `?` is one argument, in the order of the text.
#[derive(Debug, Default)]
pub(super) struct Script {
    sql: String,
    arguments: SqliteArguments,
    statements: usize,
}

impl Script {
    /// Goes on with statements that were put together elsewhere, each with its semicolon.
    pub(super) fn resume(sql: &str, arguments: SqliteArguments, statements: usize) -> Self {
        Self { sql: sql.to_owned(), arguments, statements }
    }

    /// Adds a statement without its semicolon; gives its place.
    pub(super) fn add(&mut self, sql: &str) -> usize {
        self.sql.push_str(sql);
        self.sql.push_str(";\n");
        self.statements += 1;
        self.statements - 1
    }

    /// Adds an argument. Texts, numbers and bytes always encode.
    pub(super) fn bind<'a>(
        &mut self,
        value: impl sqlx::Encode<'a, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    ) -> &mut Self {
        let encoded = self.arguments.add(value);
        debug_assert!(encoded.is_ok(), "texts, numbers and bytes always encode");
        self
    }

    /// Gives the text, the arguments and the number of statements, for a message that says more.
    pub(super) fn into_parts(self) -> (String, SqliteArguments, usize) {
        (self.sql, self.arguments, self.statements)
    }

    /// Sends them; gives how many rows each statement changed. Only what a statement that changes rows says is of use.
    pub(super) async fn run(self, connection: &mut SqliteConnection) -> Result<Vec<u64>, sqlx::Error> {
        let mut changed = Vec::with_capacity(self.statements);
        if self.statements == 0 {
            return Ok(changed);
        }
        let sql = AssertSqlSafe(Arc::<str>::from(self.sql)).into_sql_str();
        let mut results = connection.fetch_many(sqlx::query_with(sql, self.arguments));
        while let Some(result) = results.try_next().await? {
            if let Either::Left(result) = result {
                changed.push(result.rows_affected());
            }
        }
        Ok(changed)
    }
}
