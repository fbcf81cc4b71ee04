//! What is done on the connections of the pools: reads, and transactions of their own.

use std::future::Future;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, Postgres};
use sqlx::{AssertSqlSafe, Connection as _, Transaction};
use tracing::Instrument as _;

use super::PostgresStore;
use super::error::{DbError, fault, store_error};
use super::open::LOCK_TIMEOUT;
use super::silence::Patience;
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
                $store.shared.place.patience.answered(async { $asked }).await
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

/// What became of a transaction that was begun.
pub(super) enum Outcome<T, E> {
    /// It ended as it was to end.
    Ended(T),
    /// It failed; nothing of it is stored.
    Failed(E),
    /// The commit failed. Whether it is stored shows the error, or nobody.
    AtCommit(sqlx::Error, T),
}

/// An error that may say that the connection is of no use any more.
pub(super) trait Breaking {
    /// Tells whether it does.
    fn breaks_connection(&self) -> bool;
}

impl Breaking for DbError {
    fn breaks_connection(&self) -> bool {
        Self::breaks_connection(self)
    }
}

/// What a transaction does: on its connection.
pub(super) trait Run<T, E>:
    for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<End<T>, E>> + Send
{
}
impl<T, E, R: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<End<T>, E>> + Send> Run<T, E> for R {}

impl PostgresStore {
    /// Every connection of the pool may be gone, after a restart of the server.
    pub(super) fn tries(&self) -> Tries {
        Tries(self.shared.pool.size().saturating_add(1))
    }

    /// Lends a connection of the pool.
    pub(super) async fn lend(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        self.lend_of(&self.shared.pool).await
    }

    /// Lends a connection of one of the pools.
    pub(super) async fn lend_of(&self, pool: &PgPool) -> Result<PoolConnection<Postgres>, StoreError> {
        if self.queue.is_closed() {
            return Err(StoreError::Closed);
        }
        pool.acquire().await.map_err(|error| match error {
            sqlx::Error::PoolClosed => StoreError::Closed,
            error => store_error(error, "connecting"),
        })
    }

    /// Gives the text that begins a transaction and takes locks. Whoever takes several takes them in this order: the append's, that of the
    /// registry, those of projections.
    pub(super) fn opening(&self, locks: &[i32]) -> String {
        let mut text = String::from("BEGIN READ WRITE");
        for key in locks {
            text.push_str("; ");
            text.push_str(&lock_sql(self.shared.lock_class, *key));
        }
        text
    }

    /// As [`opening`](Self::opening), for what is done often and may be tried again: it waits as long as an append does, so that those who wait for
    /// somebody who stands still do not have all connections.
    pub(super) fn hasty(&self, key: i32) -> String {
        let (begin, lock) = (self.opening(&[]), lock_sql(self.shared.lock_class, key));
        format!("{begin}; SET LOCAL lock_timeout = {}; {lock}", LOCK_TIMEOUT.as_millis())
    }

    /// Runs something inside a transaction of its own, behind the locks, to its end: also where the caller is dropped.
    ///
    /// A connection that is gone before anything was done on it is thrown away, and the next one is taken. One that is lost while the
    /// transaction is committed is an error: whether it went through, the caller has to look.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        doing: &'static str,
        opening: String,
        run: impl Run<T, DbError> + 'static,
    ) -> Result<T, StoreError> {
        self.work_on(self.shared.pool.clone(), doing, opening, run).await
    }

    /// As [`work`](Self::work), on a connection of one of the pools.
    pub(super) async fn work_on<T: Send + 'static>(
        &self,
        pool: PgPool,
        doing: &'static str,
        opening: String,
        run: impl Run<T, DbError> + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        let working = async move {
            match store.transaction(&pool, &opening, doing, run).await? {
                Outcome::Ended(value) => Ok(value),
                Outcome::Failed(error) => Err(error.explain(doing)),
                Outcome::AtCommit(error, _) => Err(store_error(error, doing)),
            }
        };
        to_its_end(working).await.unwrap_or_else(|reason| Err(StoreError::Unavailable { reason, source: None }))
    }

    /// Begins a transaction with a text, and runs it. Not to be dropped: a connection whose transaction is left while it begins would go back
    /// to the pool with it.
    pub(super) async fn transaction<T: Send, E: Breaking + Send>(
        &self,
        pool: &PgPool,
        opening: &str,
        doing: &str,
        run: impl Run<T, E>,
    ) -> Result<Outcome<T, E>, StoreError> {
        let mut tries = self.tries();
        let mut run = Some(run);
        loop {
            let mut connection = self.lend_of(pool).await?;
            let patience = &self.shared.place.patience;
            let begun = match patience.answered(connection.begin_with(AssertSqlSafe(opening.to_owned()))).await {
                Ok(transaction) => match run.take() {
                    Some(run) => Ok(in_transaction(transaction, patience, run).await),
                    None => return Err(StoreError::Closed),
                },
                Err(error) => Err(error),
            };
            match begun {
                Ok(outcome) => {
                    if outcome.breaks_connection() {
                        discard(connection);
                    }
                    return Ok(outcome);
                }
                Err(error) if fault(&error).breaks_connection() => tries.after(connection, error.into(), doing)?,
                Err(error) => {
                    // A transaction may be open that sqlx knows nothing of.
                    discard(connection);
                    return Err(store_error(error, doing));
                }
            }
        }
    }
}

impl<T, E: Breaking> Outcome<T, E> {
    fn breaks_connection(&self) -> bool {
        match self {
            Self::Ended(_) => false,
            Self::Failed(error) => error.breaks_connection(),
            Self::AtCommit(error, _) => fault(error).breaks_connection(),
        }
    }
}

/// Gives the statement that takes a lock until the transaction's end.
pub(super) fn lock_sql(class: i32, key: i32) -> String {
    format!("SELECT pg_advisory_xact_lock({class}, {key})")
}

/// Throws a connection away: the server ends what ran on it.
pub(super) fn discard(connection: PoolConnection<Postgres>) {
    drop(connection.detach());
}

/// Runs something in a task of its own, so that it comes to its end where the caller is dropped.
pub(super) async fn to_its_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, String> {
    let task = tokio::spawn(work.in_current_span());
    task.await.map_err(|error| format!("the task that did it ended: {error}"))
}

/// sqlx's own transaction: functions of the user's may begin one inside, and one that is left half-way is rolled back.
async fn in_transaction<T, E>(
    mut transaction: Transaction<'_, Postgres>,
    patience: &Patience,
    run: impl Run<T, E>,
) -> Outcome<T, E> {
    match run(&mut transaction).await {
        Ok(End::Commit(value)) => match patience.answered(transaction.commit()).await {
            Ok(()) => Outcome::Ended(value),
            Err(error) => Outcome::AtCommit(error, value),
        },
        // Nothing is to stay, and nothing stays, whatever the connection says to it.
        Ok(End::RollBack(value)) => Outcome::Ended(value),
        Err(error) => Outcome::Failed(error),
    }
}
