//! What is done on the connections of the pools: reads, and transactions of their own.

use std::future::Future;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, Postgres};
use sqlx::{AssertSqlSafe, Connection as _, Transaction};
use tracing::Instrument as _;

use super::PostgresStore;
use super::again::Trouble;
use super::error::{DbError, fault, store_error};
use super::open::{LOCK_TIMEOUT, is_temporary};
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
    ($store:expr, $doing:expr, $connection:ident => $asked:expr) => {
        async {
            let mut tries = $store.tries();
            loop {
                let mut lent = $store.lend().await?;
                let result: Result<_, $crate::store::postgres::error::DbError> = {
                    let $connection: &mut sqlx::PgConnection = &mut lent;
                    $store.shared.place.patience.answered(async { $asked }).await
                };
                match result {
                    Ok(value) => break Ok::<_, $crate::store::StoreError>(value),
                    Err(error) => tries.after(lent, error, $doing).await?,
                }
            }
        }
        .await
    };
}
pub(super) use reading;

/// The number of repetitions after connections were lost.
pub(super) struct Tries {
    /// Every connection of the pool may be gone, after a restart of the server.
    pooled: u32,
    /// The time for new connections that are lost, too.
    trouble: Trouble,
}

impl Tries {
    /// Throws a connection away that is gone. Returns any other error, and that of the last connection.
    pub(super) async fn after(
        &mut self,
        connection: PoolConnection<Postgres>,
        error: DbError,
        doing: &str,
    ) -> Result<(), StoreError> {
        if !error.breaks_connection() {
            return Err(error.explain(doing));
        }
        discard(connection);
        let is_lost = error.is_lost();
        if self.again(is_lost).await { Ok(()) } else { Err(error.explain(doing)) }
    }

    /// Returns `true` if there is another try. A connection that is of no use for another reason than being lost has no time of its own: a
    /// server that takes no writes may be one for long.
    pub(super) async fn again(&mut self, is_lost: bool) -> bool {
        if let Some(left) = self.pooled.checked_sub(1) {
            self.pooled = left;
            return true;
        }
        is_lost && self.trouble.again().await
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
    pub(super) fn tries(&self) -> Tries {
        let pooled = self.shared.pool.size().saturating_add(1);
        Tries { pooled, trouble: Trouble::new(self.shared.place.connect_timeout) }
    }

    /// Lends a connection of the pool.
    pub(super) async fn lend(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        self.lend_of(&self.shared.pool).await
    }

    /// Lends a connection of one of the pools.
    pub(super) async fn lend_of(&self, pool: &PgPool) -> Result<PoolConnection<Postgres>, StoreError> {
        self.lend_with(|| pool.acquire()).await
    }

    /// Lends a connection in the way that a pool is asked to, and asks again if a new one broke before it was ready.
    pub(super) async fn lend_with<T, L>(&self, lend: impl Fn() -> L) -> Result<T, StoreError>
    where
        L: Future<Output = Result<T, sqlx::Error>>,
    {
        let mut trouble = Trouble::new(self.shared.place.connect_timeout);
        loop {
            if self.queue.is_closed() {
                return Err(StoreError::Closed);
            }
            match lend().await {
                Ok(connection) => return Ok(connection),
                Err(sqlx::Error::PoolClosed) => return Err(StoreError::Closed),
                Err(error) if is_temporary(&error) && trouble.again().await => {}
                Err(error) => return Err(store_error(error, "connecting")),
            }
        }
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
    /// A connection that is lost before the commit is thrown away, and it is run again on the next one: nothing of it is stored. One that is
    /// lost while the transaction is committed is an error: whether it went through, the caller has to look.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        doing: &'static str,
        opening: String,
        run: impl Run<T, DbError> + Clone + 'static,
    ) -> Result<T, StoreError> {
        self.work_with(false, doing, opening, run).await
    }

    /// As [`work`](Self::work), with a function of the user's or without. With one, it is run again only where the transaction did not begin:
    /// how long the function takes is not known.
    pub(super) async fn work_with<T: Send + 'static>(
        &self,
        function: bool,
        doing: &'static str,
        opening: String,
        run: impl Run<T, DbError> + Clone + 'static,
    ) -> Result<T, StoreError> {
        let (store, pool) = (self.clone(), self.pool_for(function));
        let working = async move {
            let mut tries = store.tries();
            loop {
                match store.transaction(&pool, &opening, doing, run.clone()).await? {
                    Outcome::Ended(value) => return Ok(value),
                    Outcome::Failed(error) => {
                        if function || !error.is_lost() || !tries.again(true).await {
                            return Err(error.explain(doing));
                        }
                    }
                    Outcome::AtCommit(error, _) => return Err(store_error(error, doing)),
                }
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
                Err(error) if fault(&error).breaks_connection() => tries.after(connection, error.into(), doing).await?,
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
