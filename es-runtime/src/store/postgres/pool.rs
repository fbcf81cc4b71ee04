//! What is done on the connections of the pool: reads, and transactions of their own.

use sqlx::Connection as _;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, Postgres};

use super::PostgresStore;
use super::error::{DbError, store_error};
use crate::projection::BoxFuture;
use crate::store::StoreError;

/// How a job's transaction ends.
pub(super) enum End<T> {
    /// What it wrote is committed.
    Commit(T),
    /// It wrote nothing, or nothing of it is to stay.
    RollBack(T),
}

impl PostgresStore {
    /// Lends a connection of the pool.
    pub(super) async fn lend(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        if self.queue.is_closed() {
            return Err(StoreError::Closed);
        }
        self.shared.pool.acquire().await.map_err(|error| match error {
            sqlx::Error::PoolClosed => StoreError::Closed,
            error => store_error(error, "connecting"),
        })
    }

    /// Reads something. Where the connection turns out to be gone, it is thrown away and the same is asked on the next one.
    pub(super) async fn read<T: Send>(
        &self,
        doing: &str,
        run: impl for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<T, DbError>> + Send + Sync,
    ) -> Result<T, StoreError> {
        // Every connection may be gone, after a restart of the server.
        let mut left = self.shared.pool.size().saturating_add(1);
        loop {
            let mut connection = self.lend().await?;
            match run(&mut connection).await {
                Ok(value) => return Ok(value),
                Err(error) if error.breaks_connection() => {
                    discard(connection);
                    if left == 0 {
                        return Err(error.explain(doing));
                    }
                    left -= 1;
                }
                Err(error) => return Err(error.explain(doing)),
            }
        }
    }

    /// Runs something inside a transaction of its own. Dropped, it is done whole or not at all.
    ///
    /// A connection that is gone before anything was done on it is thrown away, and the next one is taken. One that is lost while the
    /// transaction is committed is an error: whether it went through, the caller has to look.
    pub(super) async fn work<T: Send>(
        &self,
        doing: &str,
        run: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<End<T>, DbError>> + Send,
    ) -> Result<T, StoreError> {
        let mut connection = self.begin(doing).await?;
        let ended = in_transaction(&mut connection, run).await;
        if ended.as_ref().is_err_and(DbError::breaks_connection) {
            discard(connection);
        }
        ended.map_err(|error| error.explain(doing))
    }

    /// Lends a connection that was there a moment ago.
    pub(super) async fn begin(&self, doing: &str) -> Result<PoolConnection<Postgres>, StoreError> {
        let mut left = self.shared.pool.size().saturating_add(1);
        loop {
            let mut connection = self.lend().await?;
            match connection.ping().await {
                Ok(()) => return Ok(connection),
                Err(error) => {
                    discard(connection);
                    if left == 0 {
                        return Err(store_error(error, doing));
                    }
                    left -= 1;
                }
            }
        }
    }
}

/// Throws a connection away: the server ends what ran on it.
pub(super) fn discard(connection: PoolConnection<Postgres>) {
    drop(connection.detach());
}

/// sqlx's own transaction: functions of the user's may begin one inside, and one that is dropped half-way is rolled back.
async fn in_transaction<T>(
    connection: &mut PgConnection,
    run: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<End<T>, DbError>> + Send,
) -> Result<T, DbError> {
    let mut transaction = connection.begin().await?;
    match run(&mut transaction).await? {
        End::Commit(value) => transaction.commit().await.map(|()| value).map_err(DbError::from),
        End::RollBack(value) => transaction.rollback().await.map(|()| value).map_err(DbError::from),
    }
}
