//! Makes a version that has caught up the one that serves.
//!
//! While it is looked whether anything is left, no append may be under way. A lock that waits to be held alone holds everybody up who comes behind
//! it, so it never waits for long: where it does not come, the batch is stored without the switch, and the next one tries again.

use std::time::Duration;

use sqlx::Executor as _;
use sqlx::postgres::PgConnection;

use super::batch::target;
use super::error::{DbError, Fault, fault};
use super::open::locks;
use super::pool::lock_sql;
use super::registry::activate;
use super::text::escaped;
use crate::store::Batch;

/// How often it is looked whether no append is under way before it is waited for, and how long apart.
const LOOKS: u32 = 10;
const BETWEEN: Duration = Duration::from_millis(5);

/// How long appends, or readers of the view, are held up at most.
const PATIENCE: &str = "SET LOCAL lock_timeout = '100ms'";

/// Looks, without any lock, whether a switch may come about: nothing is in the log behind the batch, and every other partition is there.
pub(super) async fn may_come(connection: &mut PgConnection, batch: &Batch) -> Result<bool, DbError> {
    let there = sqlx::query_scalar(
        "SELECT (SELECT coalesce(max(position), 0) FROM event_log) = $4 AND NOT EXISTS (SELECT 1 FROM subscriptions \
         WHERE name = $1 AND version = $2 AND partition <> $3 AND position < $4) \
         AND EXISTS (SELECT 1 FROM projections WHERE name = $1 AND version = $2 AND state = 'building')",
    )
    .bind(escaped(&batch.id.name))
    .bind(i64::from(batch.id.version))
    .bind(i64::from(batch.id.partition))
    .bind(target(batch))
    .fetch_one(connection)
    .await?;
    Ok(there)
}

/// Holds every append off until the transaction's end; `false` where that would take too long. Before any other lock.
pub(super) async fn hold_appends(connection: &mut PgConnection, class: i32) -> Result<bool, sqlx::Error> {
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(BETWEEN).await;
        }
        let held: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1, $2)")
            .bind(class)
            .bind(locks::APPEND)
            .fetch_one(&mut *connection)
            .await?;
        if held {
            return Ok(true);
        }
    }
    let lock = format!("SAVEPOINT es_lock; {PATIENCE}; {}", lock_sql(class, locks::APPEND));
    let waited = connection.execute(sqlx::AssertSqlSafe(lock)).await.map(drop);
    in_time(connection, waited, "RELEASE es_lock; SET LOCAL lock_timeout TO DEFAULT", "ROLLBACK TO es_lock").await
}

/// Makes the version the active one, where nothing is left to be done.
pub(super) async fn finish(connection: &mut PgConnection, batch: &Batch) -> Result<bool, DbError> {
    let at_head: bool = sqlx::query_scalar(
        "SELECT (SELECT coalesce(max(position), 0) FROM event_log) = $3 AND NOT EXISTS (SELECT 1 FROM subscriptions \
         WHERE name = $1 AND version = $2 AND position < $3)",
    )
    .bind(escaped(&batch.id.name))
    .bind(i64::from(batch.id.version))
    .bind(target(batch))
    .fetch_one(&mut *connection)
    .await?;
    if !at_head {
        return Ok(false);
    }
    // Whoever reads the view for long must not hold every append up.
    connection.execute(sqlx::AssertSqlSafe(format!("SAVEPOINT es_switch; {PATIENCE}"))).await?;
    let (switched, activated) = match activate(connection, &batch.id.name, batch.id.version).await {
        Ok(switched) => (switched, Ok(())),
        Err(DbError::Database(error)) => (false, Err(error)),
        Err(error) => return Err(error),
    };
    let done =
        in_time(connection, activated, "RELEASE es_switch; SET LOCAL lock_timeout TO DEFAULT", "ROLLBACK TO es_switch");
    let switched = done.await? && switched;
    crate::fail_point::reached("switch.written");
    Ok(switched)
}

/// Ends a savepoint: `false`, and everything behind it undone, where a lock did not come in time.
async fn in_time(
    connection: &mut PgConnection,
    done: Result<(), sqlx::Error>,
    keep: &'static str,
    undo: &'static str,
) -> Result<bool, sqlx::Error> {
    match done {
        Ok(()) => connection.execute(keep).await.map(|_| true),
        Err(error) if fault(&error) == Fault::Busy => connection.execute(undo).await.map(|_| false),
        Err(error) => Err(error),
    }
}
