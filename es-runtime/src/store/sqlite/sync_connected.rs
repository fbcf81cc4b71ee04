//! A commit with a synchronous projection whose functions take the connection: stored alone, in a transaction of its own.

use std::time::Duration;

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::MutexGuard;

use super::append::{Texts, Wrap};
use super::connected::{Broken, run_function};
use super::error::{DbError, Fault, fault};
use super::group::{Done, read};
use super::outcome::{SendError, send};
use super::sync;
use super::writer::Writer;
use crate::event::{AnyEvent, Recorded};
use crate::projection::{ConnectedProjector, HandlerMode};
use crate::store::group::answer::Failed;
use crate::store::group::plan::{Fate, Plan, State};
use crate::store::group::sync::{Syncs, refused};
use crate::store::{AppendError, NewCommit};

/// A commit that is written and not committed.
struct Written {
    plan: Plan,
    state: State,
    first: Option<u64>,
}

/// How it ended instead.
enum Ended {
    /// It is refused, or cannot be decided.
    Refused(AppendError),
    /// It is refused, and the connection is not to be used again.
    Lost(AppendError),
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Ended {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<DbError> for Ended {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Database(error) => Self::Database(error),
            DbError::Store(error) => Self::Refused(error.into()),
        }
    }
}

impl Writer {
    /// Stores such a commit.
    pub(super) async fn attempt_connected(&mut self, commit: &NewCommit) -> Result<Done, Failed> {
        let shared = std::sync::Arc::clone(&self.connection);
        let mut slot = shared.lock().await;
        let connection = self.ensure_connected(&mut slot).await.map_err(|error| Failed::Together(error.into()))?;
        match store_alone(connection, &mut self.texts, commit).await {
            Ok((written, Ok(()))) => Ok(self.done(written, commit)),
            Ok((written, Err(error))) => {
                self.end_transaction(&mut slot, &error).await;
                if matches!(fault(&error), Fault::Constraint | Fault::Busy | Fault::Unfit) {
                    return Err(self.failed(error, "writing a commit"));
                }
                let first = self.find_out(&mut slot, error, &written.plan, &[commit]).await?;
                Ok(self.done(Written { first, ..written }, commit))
            }
            Err(Ended::Refused(error)) => Err(Failed::Together(error)),
            Err(Ended::Lost(error)) => {
                self.throw_away(&mut slot).await;
                Err(Failed::Together(error))
            }
            Err(Ended::Database(error)) => self.database_failed(&mut slot, error).await,
        }
    }

    async fn database_failed(
        &self,
        slot: &mut MutexGuard<'_, Option<SqliteConnection>>,
        error: sqlx::Error,
    ) -> Result<Done, Failed> {
        self.end_transaction(slot, &error).await;
        Err(self.failed(error, "writing a commit"))
    }

    fn done(&mut self, written: Written, commit: &NewCommit) -> Done {
        let Written { plan, state, first } = written;
        self.cache.learn(&state, &[commit]);
        Done { fates: plan.fates, first, events: plan.writes.events.len() }
    }
}

/// Writes the commit, runs the functions, commits. The inner result is that of the commit itself.
async fn store_alone(
    connection: &mut SqliteConnection,
    texts: &mut Texts,
    commit: &NewCommit,
) -> Result<(Written, Result<(), sqlx::Error>), Ended> {
    // sqlx's own transaction, so that functions may begin one inside.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    match inside(&mut transaction, texts, commit).await {
        Ok(written) if matches!(written.plan.fates[..], [Fate::Stored { .. }]) => {
            Ok((written, transaction.commit().await))
        }
        ended => {
            // What is rolled back was not stored, whatever this says.
            let _ = transaction.rollback().await;
            ended.map(|written| (written, Ok(())))
        }
    }
}

async fn inside(connection: &mut SqliteConnection, texts: &mut Texts, commit: &NewCommit) -> Result<Written, Ended> {
    let (mut state, mut syncs) = read(connection, &[commit], false).await?;
    let plan = match &mut syncs {
        Some(syncs) => Plan::decide_at(syncs, &mut state, [commit]),
        None => Plan::decide(&mut state, [commit]),
    };
    let mut first = None;
    if !plan.writes.is_empty() {
        let more = |script: &mut super::script::Script| {
            if let Some(syncs) = &syncs {
                sync::write(syncs, script, &state);
            }
        };
        let brought = syncs.as_ref().map(Syncs::brought).unwrap_or_default();
        let request = texts.request_with(Wrap::Open, &plan, &state, &[commit], &brought, more);
        let sent = send(connection, request, plan.writes.events.len()).await;
        first = sent.map_err(|SendError { error, .. }| Ended::Database(error))?;
    }
    for (projector, events) in syncs.map(Syncs::into_connected).unwrap_or_default() {
        run(connection, &*projector, &events).await?;
    }
    Ok(Written { plan, state, first })
}

/// Runs every function that takes one of the events, event by event.
async fn run(
    connection: &mut SqliteConnection,
    projector: &dyn ConnectedProjector,
    events: &[Recorded<AnyEvent>],
) -> Result<(), Ended> {
    let projection = projector.descriptor();
    for event in events {
        for (place, handler) in projection.handlers_of(event.stream().category(), &event.event().name) {
            // An asynchronous function that is pending has no limit of its own.
            let default = Duration::from_millis(HandlerMode::DEFAULT_TIMEOUT_MS.into());
            let limit = handler.mode.timeout().unwrap_or(default);
            run_function(connection, projector, place, event, limit).await.map_err(|broken| match broken {
                Broken::Failed(failure) => Ended::Refused(refused(projection.name, failure)),
                Broken::Lost(failure) => Ended::Lost(refused(projection.name, failure)),
                Broken::Database(error) => Ended::Database(error),
            })?;
        }
    }
    Ok(())
}
