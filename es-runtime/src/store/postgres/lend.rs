//! Connections for functions of the user's: for the handlers of queries, which read, and for connected projections.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions, Postgres};
use sqlx::{Executor as _, Row as _, Transaction};

use super::PostgresStore;
use super::history::Histories;
use crate::query::{EVERY_TABLE, QueryArg, QueryFault, QueryScope};
use crate::store::StoreConnection;

impl StoreConnection for PgConnection {
    type Store = PostgresStore;
}

/// A connection that is lent to a query, in a transaction that only reads. Dropped, it goes back, without whatever transaction or setting was left
/// on it.
pub struct ReadConnection(Transaction<'static, Postgres>);

/// Begins the transaction of a query. Once something was read in it, the server refuses to let it write, whoever asks.
const READING: &str = "BEGIN TRANSACTION READ ONLY; SELECT 1";

impl fmt::Debug for ReadConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReadConnection").finish_non_exhaustive()
    }
}

/// What is done on a connection that comes back, whatever was left on it.
const TIDY: &str = "ROLLBACK; RESET ALL; UNLISTEN *; SELECT pg_advisory_unlock_all()";

/// Says which versions serve: what views look like hangs on it.
const SERVING: &str = "SELECT coalesce(string_agg(name || ' ' || version || ' ' || state, ',' ORDER BY name, version), '') \
    FROM projections WHERE table_name <> ''";

/// Which versions served when it was last looked, and since when that was known.
type Serving = Arc<Mutex<Option<(String, Instant)>>>;

/// Makes the pool for functions of the user's. What such a connection does outside of a transaction of ours changes nothing: functions that end
/// theirs cannot go on and write.
pub(super) fn pool(options: PgPoolOptions, connect: sqlx::postgres::PgConnectOptions, histories: Histories) -> PgPool {
    let serving = Serving::default();
    options
        .after_release(|connection, _| {
            Box::pin(async move {
                connection.execute(TIDY).await?;
                Ok(true)
            })
        })
        .before_acquire(move |connection, known| {
            let (serving, is_of_now) = (Arc::clone(&serving), histories.is_of_now(known.age));
            Box::pin(async move { Ok(is_of_now && knows(connection, known.age, &serving).await?) })
        })
        .connect_lazy_with(connect.options([("default_transaction_read_only", "on")]))
}

/// Tells whether a connection is of use: it lives, and was made since views last changed. A statement that it has prepared before could not be run
/// again, where it takes every column of a view (`cached plan must not change result type`).
async fn knows(
    connection: &mut PgConnection,
    age: std::time::Duration,
    serving: &Serving,
) -> Result<bool, sqlx::Error> {
    let now: String = sqlx::query(SERVING).fetch_one(connection).await?.try_get(0)?;
    let mut serving = serving.lock();
    let since = match &*serving {
        Some((known, since)) if *known == now => *since,
        // At the first look, nothing is known of what was before.
        _ => Instant::now(),
    };
    *serving = Some((now, since));
    Ok(Instant::now().checked_sub(age).is_none_or(|made| made >= since))
}

impl PostgresStore {
    /// Gives the pool for a transaction: that for functions of the user's where it runs one.
    pub(super) fn pool_for(&self, functions: bool) -> PgPool {
        if functions { self.shared.functions.clone() } else { self.shared.pool.clone() }
    }
}

impl<'a> QueryArg<'a, PostgresStore> for &'a mut PgConnection {
    type Held = ReadConnection;
    const READS: Option<&'static str> = Some(EVERY_TABLE);

    async fn hold(scope: &QueryScope<PostgresStore>) -> Result<ReadConnection, QueryFault> {
        let store = scope.store();
        let lent = store.lend_with(|| store.shared.functions.begin_with(READING)).await;
        lent.map(ReadConnection).map_err(QueryFault::Store)
    }

    fn lend(held: &'a mut ReadConnection) -> Result<Self, QueryFault> {
        Ok(&mut held.0)
    }
}
