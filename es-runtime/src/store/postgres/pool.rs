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

/// Reads something: `reading!(store, "what for", connection => expression)`, where the expression gives a `Result<T, DbError>` and may be
/// evaluated several times: where the connection turns out to be gone, it is thrown away and the same is asked on the next one.
///
/// A macro, for a closure's future that borrows both the connection and what is around it cannot be shown to be `Send`.
macro_rules! reading {
    ($store:expr, $doing:expr, $connection:ident => $asked:expr) => {{
        let mut tries = $store.tries();
        loop {
            let mut lent = $store.lend().await?;
            let result: Result<_, $crate::store::postgres::error::DbError> = {
                let $connection: &mut sqlx::PgConnection = &mut lent;
                async { $asked }.await
            };
            match result {
                Ok(value) => break Ok::<_, $crate::store::StoreError>(value),
                Err(error) => tries.after(lent, error, $doing)?,
            }
        }
    }};
}
pub(super) use reading;

/// How often something is asked again after a connection was lost.
pub(super) struct Tries(u32);

impl Tries {
    /// Throws a connection away that is gone; any other error is one.
    pub(super) fn after(
        &mut self,
        connection: PoolConnection<Postgres>,
        error: DbError,
        doing: &str,
    ) -> Result<(), StoreError> {
        if !error.breaks_connection() {
            return Err(error.explain(doing));
        }
        discard(connection);
        self.0 = self.0.checked_sub(1).ok_or_else(|| error.explain(doing))?;
        Ok(())
    }
}

impl PostgresStore {
    /// Every connection of the pool may be gone, after a restart of the server.
    pub(super) fn tries(&self) -> Tries {
        Tries(self.shared.pool.size().saturating_add(1))
    }

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
