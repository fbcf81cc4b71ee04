//! Functions that take the connection: run inside of a transaction, for a bounded time, and watched.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Executor as _, Row as _};
use tokio::sync::MutexGuard;

use super::batch::{Claims, PendingBatch, Refused, Stored, check_parked, finish, goes_back, is_of_the_batch};
use super::error::DbError;
use super::fold::{forget_watermarks, not_folded};
use super::rows::read;
use super::script::Script;
use super::writer::Writer;
use crate::event::{AnyEvent, Recorded};
use crate::private::panic_message;
use crate::projection::{BoxFuture, ConnectedProjector, ProjectionFailure};
use crate::store::sql::fold::Fresh;
use crate::store::sql::functions::{Function, Progress, Session};
use crate::store::{Batch, BatchDone, BatchError, BatchWork, StoreError};

/// How many instructions of SQLite's machine lie between two looks whether a statement is to stop.
const INSTRUCTIONS: i32 = 4_000;

/// Watches what a function does on a connection.
struct Watch {
    /// Stops its statements, however long they would take.
    stop: Arc<AtomicBool>,
    /// The whole transaction was rolled back. Another one may have begun since, with a savepoint of the same name.
    rolled_back: Arc<AtomicBool>,
}

impl Watch {
    /// Begins: until [`end`](Self::end), nothing on the connection can commit, and statements can be stopped.
    async fn begin(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let rolled_back = Arc::new(AtomicBool::new(false));
        let rolls_back = Arc::clone(&rolled_back);
        let mut handle = connection.lock_handle().await?;
        handle.set_commit_hook(|| false);
        handle.set_rollback_hook(move || rolls_back.store(true, Ordering::Relaxed));
        handle.set_progress_handler(INSTRUCTIONS, move || !stopped.load(Ordering::Relaxed));
        Ok(Self { stop, rolled_back })
    }

    /// Ends; waits for a statement that still runs. Returns `true` if the transaction is still the one in which it began.
    async fn end(self, connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
        let mut handle = connection.lock_handle().await?;
        handle.remove_commit_hook();
        handle.remove_rollback_hook();
        handle.remove_progress_handler();
        Ok(!self.rolled_back.load(Ordering::Relaxed))
    }
}

/// How a function of the user's went wrong.
pub(super) enum Broken {
    /// It failed, and its transaction is to be rolled back.
    Failed(ProjectionFailure),
    /// It was left in the middle: whatever it did on the connection is not known.
    Lost(ProjectionFailure),
    /// The database failed around it.
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Broken {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl Session for SqliteConnection {
    fn statement(&mut self, sql: &'static str) -> BoxFuture<'_, Result<(), sqlx::Error>> {
        Box::pin(async move { self.execute(sql).await.map(drop) })
    }
}

/// Runs a function inside of a transaction, and makes sure that the transaction is still there.
async fn watched(
    connection: &mut SqliteConnection,
    limit: Option<Duration>,
    function: Function<'_>,
) -> Result<(), Broken> {
    connection.execute("SAVEPOINT es_function").await?;
    let watch = Watch::begin(connection).await?;
    let running = AssertUnwindSafe(function.run(connection)).catch_unwind();
    let ran = match limit {
        Some(limit) => tokio::time::timeout(limit, running).await.map_err(|_| limit),
        None => Ok(running.await),
    };
    // Only what was left in the middle still runs.
    watch.stop.store(!matches!(ran, Ok(Ok(_))), Ordering::Relaxed);
    let is_whole = watch.end(connection).await?;
    match ran {
        Err(after) => Err(Broken::Lost(ProjectionFailure::TimedOut { handler: function.name(), after })),
        Ok(Err(panic)) => {
            let message = panic_message(&*panic);
            Err(Broken::Lost(ProjectionFailure::Panicked { handler: function.name(), message }))
        }
        Ok(Ok(Err(failure))) => Err(Broken::Failed(failure)),
        Ok(Ok(Ok(()))) => {
            if is_whole && connection.execute("RELEASE es_function").await.is_ok() {
                return Ok(());
            }
            let cause = "it ended the transaction that it runs in; what it did is undone".to_owned();
            Err(Broken::Lost(ProjectionFailure::Failed { handler: function.name(), cause }))
        }
    }
}

/// Runs the one function of a projection that takes an event, for as long as it may.
pub(super) async fn run_function(
    connection: &mut SqliteConnection,
    projector: &dyn ConnectedProjector,
    handler: usize,
    event: &Recorded<AnyEvent>,
    limit: Duration,
) -> Result<(), Broken> {
    watched(connection, Some(limit), Function::One(projector, handler, event)).await
}

/// Runs a projection's `#[reset]` function inside of a job's transaction.
pub(super) async fn reset_inside(
    connection: &mut SqliteConnection,
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

/// What became of a connected batch before its answer.
enum Ended {
    Refused(Refused),
    /// As refused, and the connection is not to be used again.
    Lost(BatchError),
    AtCommit(sqlx::Error, BatchDone),
}

impl<E: Into<Refused>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

impl Writer {
    /// Stores a batch whose functions take the connection, and answers it.
    pub(super) async fn project_connected(&mut self, pending: PendingBatch) {
        let shared = Arc::clone(&self.connection);
        let mut slot = shared.lock().await;
        let result = self.store_connected(&mut slot, &pending.batch).await;
        drop(slot);
        let _nobody_waits = pending.answer.send(result);
    }

    async fn store_connected(&self, slot: &mut MutexGuard<'_, Option<SqliteConnection>>, batch: &Batch) -> Stored {
        let connection = self.ensure_connected(slot).await?;
        match write_connected(connection, batch).await {
            Ok(done) => Ok(done),
            Err(Ended::Refused(Refused::Alone(error))) => Err(error),
            Err(Ended::Refused(Refused::Database(error))) => {
                if !is_of_the_batch(&error) {
                    self.end_transaction(slot, &error).await;
                }
                Err(BatchError::Store(self.explain(error, "storing a batch")))
            }
            Err(Ended::Lost(error)) => {
                self.throw_away(slot).await;
                Err(error)
            }
            Err(Ended::AtCommit(error, done)) => {
                self.end_transaction(slot, &error).await;
                let found = self.find_out_batches(slot, error, &[batch], vec![Ok(done)]).await.pop();
                found.unwrap_or_else(|| Err(BatchError::Uncertain { reason: "nobody looked".to_owned() }))
            }
        }
    }

    /// Gives a connection up on which something was left in the middle. The one in memory is the database: there it has to do that
    /// its transaction was rolled back.
    pub(super) async fn throw_away(&self, slot: &mut MutexGuard<'_, Option<SqliteConnection>>) {
        if !self.place.is_in_memory()
            && let Some(connection) = slot.take()
        {
            let _ = connection.close_hard().await;
        }
    }
}

async fn write_connected(connection: &mut SqliteConnection, batch: &Batch) -> Result<BatchDone, Ended> {
    // sqlx's own transaction, so that functions may begin one inside.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let written = inside(&mut transaction, batch).await;
    match written {
        Ok(done) => match transaction.commit().await {
            Ok(()) => Ok(done),
            Err(error) => Err(Ended::AtCommit(error, done)),
        },
        Err(error) => {
            // What is rolled back was not stored, whatever this says.
            let _ = transaction.rollback().await;
            Err(error)
        }
    }
}

async fn inside(connection: &mut SqliteConnection, batch: &Batch) -> Result<BatchDone, Ended> {
    // The checkpoint moves after the functions: should one of them end the transaction, it has not moved.
    check(connection, batch).await?;
    if !batch.parked.is_empty() {
        check_parked(connection, batch).await?;
    }
    if let BatchWork::Connected { projector, events, timeout } = &batch.work {
        let projection = projector.descriptor();
        let mut fresh = not_folded(connection, &batch.id, events, projection.has_sync()).await?;
        fresh.retain(|event| projection.takes(event));
        run_all(connection, &**projector, &fresh, *timeout).await?;
    }
    let mut script = Script::default();
    if goes_back(batch) {
        return Err(BatchError::Fenced.into());
    }
    let claims = Claims::add(&mut script, batch);
    forget_watermarks(&mut script, batch);
    claims.check(&script.run(connection).await?)?;
    Ok(finish(connection, batch).await?)
}

async fn run_all(
    connection: &mut SqliteConnection,
    projector: &dyn ConnectedProjector,
    fresh: &Fresh,
    timeout: Duration,
) -> Result<(), Ended> {
    if fresh.events.is_empty() {
        return Ok(());
    }
    let progress = Progress::default();
    let failed = |failure| {
        let index = fresh.place(progress.event());
        BatchError::Failed { index, failure }
    };
    let function = Function::Events(projector, &fresh.events, &progress);
    watched(connection, Some(timeout), function).await.map_err(|broken| match broken {
        Broken::Failed(failure) => Ended::Refused(Refused::Alone(failed(failure))),
        Broken::Lost(failure) => Ended::Lost(failed(failure)),
        Broken::Database(error) => Ended::Refused(Refused::Database(error)),
    })
}

async fn check(connection: &mut SqliteConnection, batch: &Batch) -> Result<(), Ended> {
    let mut script = Script::default();
    script.add("SELECT position, epoch FROM subscriptions WHERE name = ? AND version = ? AND partition = ?");
    script.bind(batch.id.name.to_string()).bind(batch.id.version).bind(batch.id.partition);
    let found = read(connection, script, |row| Ok((row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?))).await?;
    let expected = (batch.from.get().cast_signed(), batch.epoch.cast_signed());
    if found == [expected] { Ok(()) } else { Err(BatchError::Fenced.into()) }
}
