//! Functions that take the connection: run inside of a transaction, for a bounded time, and watched.
//!
//! They may do with the connection what they like but end the transaction. A row with a reference that leads nowhere stands in it while they run:
//! the server looks at that when a transaction is committed, and refuses. Behind a transaction that was rolled back, the connections that they run on
//! change nothing by themselves (`lend`). And the checkpoint moves after them.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::batch::{Refused, check_parked};
use super::error::DbError;
use super::fold::not_folded;
use super::outcome::Session as ServerSession;
use super::text::escaped;
use crate::event::{AnyEvent, Recorded};
use crate::private::panic_message;
use crate::projection::{BoxFuture, ConnectedProjector, ProjectionFailure};
use crate::store::sql::functions::{Function, Progress, Session};
use crate::store::{Batch, BatchError, BatchWork, StoreError};

impl Session for PgConnection {
    fn statement(&mut self, sql: &'static str) -> BoxFuture<'_, Result<(), sqlx::Error>> {
        Box::pin(async move { self.execute(sql).await.map(drop) })
    }
}

/// How a function of the user's went wrong.
#[derive(Debug)]
pub(super) enum Broken {
    /// It failed, and its transaction is to be rolled back.
    Failed(ProjectionFailure),
    /// It was left in the middle, or ended its transaction: the connection is not to be used again, and its session to be ended.
    Lost(ProjectionFailure),
    /// The database failed around it.
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Broken {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// How much longer the server may work on a statement than we wait for its function.
const LATER: Duration = Duration::from_millis(500);

/// What stands behind a function: the savepoint goes, which it does only in a transaction that is good; then the row that refers to nothing, which
/// is there only in the transaction that the function was given.
const END: &str = "RELEASE es_function; DELETE FROM running_functions; SET LOCAL statement_timeout TO DEFAULT";

/// Runs a function inside of a transaction, and makes sure that the transaction is still there.
async fn watched(connection: &mut PgConnection, limit: Option<Duration>, function: Function<'_>) -> Result<(), Broken> {
    let millis = limit.map_or(0, |limit| i32::try_from((limit + LATER).as_millis()).unwrap_or(i32::MAX));
    let begin = format!(
        "INSERT INTO running_functions (nothing) VALUES (0); SET LOCAL statement_timeout = {millis}; SAVEPOINT es_function"
    );
    connection.execute(AssertSqlSafe(begin)).await?;
    let running = AssertUnwindSafe(run(connection, function)).catch_unwind();
    let ran = match limit {
        Some(limit) => tokio::time::timeout(limit, running).await.map_err(|_| limit),
        None => Ok(running.await),
    };
    let handler = function.name();
    match ran {
        Err(after) => Err(Broken::Lost(ProjectionFailure::TimedOut { handler, after })),
        Ok(Err(panic)) => {
            let message = panic_message(&*panic);
            Err(Broken::Lost(ProjectionFailure::Panicked { handler, message }))
        }
        Ok(Ok(ran)) => ran,
    }
}

async fn run(connection: &mut PgConnection, function: Function<'_>) -> Result<(), Broken> {
    function.run(connection).await.map_err(Broken::Failed)?;
    finish(connection, function).await
}

/// A transaction in which a statement failed does nothing any more, and whoever commits it is told that all is well: here it is found out.
async fn finish(connection: &mut PgConnection, function: Function<'_>) -> Result<(), Broken> {
    let why = match connection.execute(END).await {
        // The row of this transaction is the only one that it sees.
        Ok(ended) if ended.rows_affected() == 1 => return Ok(()),
        Ok(_) => "it began another one".to_owned(),
        Err(error) if error.as_database_error().and_then(DatabaseError::code).as_deref() == Some("25P02") => {
            let cause = "a statement of it failed, and it went on as if nothing had happened".to_owned();
            return Err(Broken::Failed(ProjectionFailure::Failed { handler: function.name(), cause }));
        }
        Err(error) => error.to_string(),
    };
    let cause = format!("it ended the transaction that it runs in; what it did is undone ({why})");
    Err(Broken::Lost(ProjectionFailure::Failed { handler: function.name(), cause }))
}

/// Runs the one function of a projection that takes an event, for as long as it may.
pub(super) async fn run_function(
    connection: &mut PgConnection,
    projector: &dyn ConnectedProjector,
    handler: usize,
    event: &Recorded<AnyEvent>,
    limit: Duration,
) -> Result<(), Broken> {
    watched(connection, Some(limit), Function::One(projector, handler, event)).await
}

/// Runs a projection's `#[reset]` function inside of a job's transaction.
pub(super) async fn reset_inside(
    connection: &mut PgConnection,
    projector: &dyn ConnectedProjector,
) -> Result<(), DbError> {
    let reset = watched(connection, None, Function::Reset(projector)).await;
    let failed = |failure: ProjectionFailure| {
        let reason = format!("resetting projection `{}`: {failure}", projector.descriptor().name);
        DbError::Store(StoreError::Unavailable { reason, source: None })
    };
    reset.map_err(|broken| match broken {
        Broken::Failed(failure) | Broken::Lost(failure) => failed(failure),
        Broken::Database(error) => DbError::Database(error),
    })
}

/// Tells whether a batch that failed is worth another try, with care: an earlier function may have spoiled the transaction, and passed over the
/// error that said so.
pub(super) fn may_be_another(batch: &Batch, refused: &Refused) -> bool {
    let (Refused::Alone(error) | Refused::Left(error, _)) = refused else { return false };
    let failed = matches!(error, BatchError::Failed { failure: ProjectionFailure::Failed { .. }, .. });
    failed && matches!(&batch.work, BatchWork::Connected { events, .. } if events.len() > 1)
}

/// Looks whether a batch may be done, and runs its functions; with care, event by event.
pub(super) async fn run_batch(connection: &mut PgConnection, batch: &Batch, care: bool) -> Result<(), Refused> {
    let BatchWork::Connected { projector, events, timeout } = &batch.work else { return Ok(()) };
    let session = check(connection, batch).await?;
    check_parked(connection, batch).await?;
    let projection = projector.descriptor();
    let mut fresh = not_folded(connection, &batch.id, events, projection.has_sync()).await?;
    fresh.retain(|event| projection.takes(event));
    if fresh.events.is_empty() {
        return Ok(());
    }
    let progress = Progress::default();
    let failed = |failure| BatchError::Failed { index: fresh.place(progress.event()), failure };
    let function = if care { Function::EventsWithCare } else { Function::Events };
    let function = function(&**projector, &fresh.events, &progress);
    watched(connection, Some(*timeout), function).await.map_err(|broken| match broken {
        Broken::Failed(failure) => Refused::Alone(failed(failure)),
        Broken::Lost(failure) => Refused::Left(failed(failure), session),
        Broken::Database(error) => Refused::Database(error),
    })
}

/// Looks whether the checkpoint stands where the worker thinks; gives the session that all of it runs in.
async fn check(connection: &mut PgConnection, batch: &Batch) -> Result<ServerSession, Refused> {
    let row = sqlx::query(
        "SELECT a.pid, a.backend_start, s.position, s.epoch FROM subscriptions AS s, pg_stat_activity AS a \
         WHERE s.name = $1 AND s.version = $2 AND s.partition = $3 AND a.pid = pg_backend_pid()",
    )
    .bind(escaped(&batch.id.name))
    .bind(i64::from(batch.id.version))
    .bind(i64::from(batch.id.partition))
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Err(BatchError::Fenced.into()) };
    let found: (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
    if found != (batch.from.get().cast_signed(), batch.epoch.cast_signed()) {
        return Err(BatchError::Fenced.into());
    }
    Ok(ServerSession::of_row(&row)?)
}
