//! Whatever else is written: each job in a transaction of its own.

use std::fmt;

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::oneshot;

use super::SqliteStore;
use super::error::{DbError, disconnected};
use super::writer::{Work, Writer};
use crate::projection::BoxFuture;
use crate::store::StoreError;

/// How a job's transaction ends.
pub(super) enum End<T> {
    /// What it wrote is committed.
    Commit(T),
    /// It wrote nothing, or nothing of it is to stay.
    RollBack(T),
}

/// What a job does inside of its transaction.
pub(super) type Run<T> =
    Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<End<T>, DbError>> + Send>;

/// A job without the type of its answer.
pub(super) trait Job: Send {
    /// What it is about, for errors.
    fn doing(&self) -> &'static str;
    /// Runs it; `true` where it is to be committed.
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, Result<bool, DbError>>;
    /// Answers whoever asked, now that it is over.
    fn answer(self: Box<Self>, result: Result<(), StoreError>);
}

impl fmt::Debug for dyn Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Job({})", self.doing())
    }
}

struct JobOf<T> {
    doing: &'static str,
    run: Option<Run<T>>,
    value: Option<T>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send> Job for JobOf<T> {
    fn doing(&self) -> &'static str {
        self.doing
    }

    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, Result<bool, DbError>> {
        Box::pin(async move {
            let Some(run) = self.run.take() else { return Ok(false) };
            let (commits, value) = match run(connection).await? {
                End::Commit(value) => (true, value),
                End::RollBack(value) => (false, value),
            };
            self.value = Some(value);
            Ok(commits)
        })
    }

    fn answer(self: Box<Self>, result: Result<(), StoreError>) {
        let Self { value, answer, .. } = *self;
        let _nobody_waits = answer.send(result.and_then(|()| value.ok_or_else(disconnected)));
    }
}

impl SqliteStore {
    /// Has the writer run something inside a transaction, and waits for it. Dropped, it is done whole or not at all.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        doing: &'static str,
        run: impl for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<End<T>, DbError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.ask(|answer| Work::Job(Box::new(JobOf { doing, run: Some(Box::new(run)), value: None, answer }))).await
    }
}

impl Writer {
    /// Runs a job and answers it.
    pub(super) async fn run_job(&mut self, mut job: Box<dyn Job>) {
        let shared = std::sync::Arc::clone(&self.connection);
        let mut slot = shared.lock().await;
        let result = match self.ensure_connected(&mut slot).await {
            Ok(connection) => in_transaction(connection, &mut *job).await,
            Err(error) => Err(DbError::Store(error)),
        };
        if let Err(DbError::Database(error)) = &result {
            self.end_transaction(&mut slot, error).await;
        }
        drop(slot);
        let doing = job.doing();
        job.answer(result.map_err(|error| error.explain(doing, self.place.busy_timeout)));
    }
}

/// A job may run functions of the user's: with sqlx's own transaction around them, those may begin one inside.
async fn in_transaction(connection: &mut SqliteConnection, job: &mut dyn Job) -> Result<(), DbError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    if job.run(&mut transaction).await? {
        transaction.commit().await?;
    } else {
        transaction.rollback().await?;
    }
    Ok(())
}
