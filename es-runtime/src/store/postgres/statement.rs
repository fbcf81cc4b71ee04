//! A statement in the making.

use sqlx::postgres::{PgArguments, PgConnection, PgRow, Postgres};
use sqlx::{Arguments as _, AssertSqlSafe, Encode, Type};

/// A statement's text, and its arguments in their order.
#[derive(Debug, Default)]
pub(super) struct Statement {
    pub(super) text: String,
    arguments: PgArguments,
    failed: Option<sqlx::error::BoxDynError>,
}

impl Statement {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Begins with arguments; the text is still to come.
    pub(super) fn of(arguments: Result<PgArguments, sqlx::error::BoxDynError>) -> Self {
        match arguments {
            Ok(arguments) => Self { arguments, ..Self::default() },
            Err(error) => Self { failed: Some(error), ..Self::default() },
        }
    }

    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Adds an argument; gives its number.
    pub(super) fn argument<'a>(&mut self, value: impl Encode<'a, Postgres> + Type<Postgres>) -> usize {
        if let Err(error) = self.arguments.add(value) {
            self.failed.get_or_insert(error);
        }
        self.arguments.len()
    }

    /// Adds an argument, and the text that stands for it.
    pub(super) fn bind<'a>(&mut self, value: impl Encode<'a, Postgres> + Type<Postgres>) {
        let number = self.argument(value);
        self.text.push('$');
        self.text.push_str(&number.to_string());
    }

    /// Sends it; gives how many rows it changed.
    pub(super) async fn run(self, connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let (text, arguments) = self.parts()?;
        let done = sqlx::query_with(AssertSqlSafe(text), arguments).execute(connection).await?;
        Ok(done.rows_affected())
    }

    /// Sends it; gives the rows.
    pub(super) async fn rows(self, connection: &mut PgConnection) -> Result<Vec<PgRow>, sqlx::Error> {
        let (text, arguments) = self.parts()?;
        sqlx::query_with(AssertSqlSafe(text), arguments).fetch_all(connection).await
    }

    /// Sends it; gives the one row.
    pub(super) async fn row(self, connection: &mut PgConnection) -> Result<PgRow, sqlx::Error> {
        let (text, arguments) = self.parts()?;
        sqlx::query_with(AssertSqlSafe(text), arguments).fetch_one(connection).await
    }

    fn parts(self) -> Result<(String, PgArguments), sqlx::Error> {
        match self.failed {
            Some(error) => Err(sqlx::Error::Encode(error)),
            None => Ok((self.text, self.arguments)),
        }
    }
}
