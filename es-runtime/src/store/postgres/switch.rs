//! Makes a version that has caught up the one that serves, or one that commits fold again.
//!
//! While it is looked whether anything is left, no append may be under way. A lock that waits to be held alone holds everybody up who comes behind
//! it. So it is a transaction of its own, behind the batch's, in which nothing else is done and nothing waits for long: where a lock does not come,
//! the version does not serve yet, and the next batch tries again.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnection;

use super::PostgresStore;
use super::error::{DbError, Fault, fault};
use super::open::{ReadModels, locks};
use super::pool::{End, Outcome, reading};
use super::registry::{activate, fold_again, folds_again, projection_lock};
use super::text::escaped;
use crate::store::{Batch, BatchDone, BatchError, FOLLOWS_FOR, SafePosition, StoreError};

/// How often it is looked whether no append is under way before it is waited for, and how long apart.
const LOOKS: u32 = 10;
const BETWEEN: Duration = Duration::from_millis(5);

/// How long appends, or readers of the view, are held up at most by each lock.
const PATIENCE: &str = "SET LOCAL lock_timeout = '100ms'";

const DOING: &str = "making a version the active one";

impl PostgresStore {
    /// Makes the version of a batch that is stored the active one, or one that commits fold again, if nothing is left to be done.
    pub(super) async fn switch(&self, batch: Arc<Batch>) -> Result<BatchDone, BatchError> {
        let switched = self.try_switch(batch).await;
        switched.map_err(|error| BatchError::Uncertain { reason: format!("the batch is stored, then {error}") })
    }

    async fn try_switch(&self, batch: Arc<Batch>) -> Result<BatchDone, StoreError> {
        // Appends are held off only where it looks as if it would come to something.
        if !reading!(self, DOING, connection => may_come(connection, &batch).await)? {
            return Ok(BatchDone::default());
        }
        let (class, opening) = (self.shared.lock_class, format!("{}; {PATIENCE}", self.opening(&[])));
        let read_models = self.shared.place.read_models();
        let switched = self.transaction(&self.shared.pool, &opening, DOING, move |connection| {
            Box::pin(async move { run(connection, &batch, class, &read_models).await })
        });
        match switched.await? {
            Outcome::Ended(switched) => Ok(switched),
            Outcome::Failed(DbError::Database(error)) if matches!(fault(&error), Fault::Locked | Fault::Busy) => {
                Ok(BatchDone::default())
            }
            Outcome::Failed(error) => Err(error.explain(DOING)),
            Outcome::AtCommit(error, _) => Err(DbError::Database(error).explain(DOING)),
        }
    }
}

/// Takes the locks in their order, looks, and does it.
async fn run(
    connection: &mut PgConnection,
    batch: &Batch,
    class: i32,
    read_models: &ReadModels,
) -> Result<End<BatchDone>, DbError> {
    hold_appends(connection, class).await?;
    for key in [locks::REGISTRY, projection_lock(&batch.id.name)] {
        lock(connection, class, key).await?;
    }
    if batch.history.is_over() || !may_come(connection, batch).await? {
        return Ok(End::RollBack(BatchDone::default()));
    }
    let (name, version) = (&batch.id.name, batch.id.version);
    let switched = activate(connection, name, version, read_models).await?;
    let folds = !switched && fold_again(connection, name, version).await?;
    crate::fail_point::reached("switch.written");
    Ok(End::Commit(BatchDone { switched, folds }))
}

/// Tells whether the version is being built, nothing is in the log behind the batch, and every partition is there; or whether commits may fold it
/// again.
async fn may_come(connection: &mut PgConnection, batch: &Batch) -> Result<bool, DbError> {
    let to = batch.to.map_or(batch.from, SafePosition::get).get();
    let may = sqlx::query_scalar(concat!(
        "SELECT EXISTS (SELECT 1 FROM projections AS p WHERE p.name = $1 AND p.version = $2 AND (p.state = 'building' \
         AND (SELECT coalesce(max(position), 0) FROM event_log) = $3 AND NOT EXISTS (SELECT 1 FROM subscriptions AS c \
         WHERE c.name = p.name AND c.version = p.version AND c.position < $3) OR ",
        folds_again!("$4"),
        "))"
    ))
    .bind(escaped(&batch.id.name))
    .bind(i64::from(batch.id.version))
    .bind(i64::try_from(to).unwrap_or(i64::MAX))
    .bind(FOLLOWS_FOR.as_seconds_f64())
    .fetch_one(connection)
    .await?;
    Ok(may)
}

/// Holds every append off until the transaction's end. Whoever waits for this lock holds those up who come behind him, so first it is only tried.
pub(super) async fn hold_appends(connection: &mut PgConnection, class: i32) -> Result<(), sqlx::Error> {
    for _ in 0..LOOKS {
        let held: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1, $2)")
            .bind(class)
            .bind(locks::APPEND)
            .fetch_one(&mut *connection)
            .await?;
        if held {
            return Ok(());
        }
        tokio::time::sleep(BETWEEN).await;
    }
    lock(connection, class, locks::APPEND).await
}

pub(super) async fn lock(connection: &mut PgConnection, class: i32, key: i32) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock($1, $2)").bind(class).bind(key).execute(connection).await.map(drop)
}
