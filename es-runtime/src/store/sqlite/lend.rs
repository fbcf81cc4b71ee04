//! A connection for the handler of a query: to read with.

use std::fmt;

use futures_util::FutureExt as _;
use sqlx::Executor as _;
use sqlx::sqlite::SqliteConnection;

use super::SqliteStore;
use super::error::store_error;
use super::readers::Reader;
use crate::query::{EVERY_TABLE, QueryArg, QueryFault, QueryScope};
use crate::store::StoreError;

/// A connection that is lent to a query. Dropped, it goes back, without whatever transaction was left open on it.
pub struct ReadConnection(Reader);

impl fmt::Debug for ReadConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReadConnection").finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Lends a connection that refuses to write. A file's is opened so; the one of a database in memory is told so for the time of the loan.
    async fn lend(&self) -> Result<ReadConnection, StoreError> {
        let mut reader = self.reader().await?;
        if self.shared.place.is_in_memory() {
            let told = reader.connection()?.execute("PRAGMA query_only = ON").await;
            told.map_err(|error| store_error(error, "lending a connection", self.busy_timeout()))?;
        }
        Ok(ReadConnection(reader))
    }
}

impl Drop for ReadConnection {
    fn drop(&mut self) {
        let ends: &[&'static str] = match &self.0 {
            Reader::File { .. } => &["ROLLBACK"],
            Reader::Memory(_) => &["ROLLBACK", "PRAGMA query_only = OFF"],
        };
        let Ok(connection) = self.0.connection() else { return };
        for end in ends {
            // Polled once, it is in the line of the connection's thread, before anything that comes later: one statement a message, for
            // the thread stops where nobody takes the answer. Mostly no transaction is open, and the answer is an error that says nothing.
            let _ = connection.execute(*end).now_or_never();
        }
    }
}

impl<'a> QueryArg<'a, SqliteStore> for &'a mut SqliteConnection {
    type Held = ReadConnection;
    const READS: Option<&'static str> = Some(EVERY_TABLE);

    async fn hold(scope: &QueryScope<SqliteStore>) -> Result<ReadConnection, QueryFault> {
        scope.store().lend().await.map_err(QueryFault::Store)
    }

    fn lend(held: &'a mut ReadConnection) -> Result<Self, QueryFault> {
        held.0.connection().map_err(QueryFault::Store)
    }
}
