//! A commit with a synchronous projection whose functions take the connection: stored alone, in a transaction of its own.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::again::Trouble;
use super::connected::{Broken, run_function};
use super::error::DbError;
use super::group::{Attempt, Done};
use super::open::{LOCK_TIMEOUT, PLAN_BY_INDEX, PLAN_FREELY};
use super::silence::Patience;
use super::sync::{Decided, decide, write};
use super::writer::Writer;
use crate::event::{AnyEvent, Recorded};
use crate::projection::{ConnectedProjector, HandlerMode};
use crate::store::group::answer::Failed;
use crate::store::group::plan::Fate;
use crate::store::group::sync::{Syncs, refused};
use crate::store::{AppendError, NewCommit};

/// How often such a commit is decided anew.
const ROUNDS: usize = 8;

/// How it ended before its commit.
enum Ended {
    /// It is refused.
    Refused(AppendError),
    /// It is refused, and the connection is not to be used again.
    Lost(AppendError),
    /// It cannot be decided, or written.
    Failed(DbError),
}

impl<E: Into<DbError>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Writer {
    /// Stores such a commit.
    pub(super) async fn attempt_connected(&mut self, commit: &NewCommit) -> Result<Done, Failed> {
        let mut attempts = self.attempts(ROUNDS);
        loop {
            let attempt = self.write_connected(commit).await;
            self.allow_writing().await;
            if let Some(done) = attempts.after(attempt?).await? {
                return Ok(done);
            }
        }
    }

    async fn write_connected(&mut self, commit: &NewCommit) -> Result<Attempt, Failed> {
        self.number_for(&[commit]).await?;
        let last_stream = self.numbers.last;
        let mut line = self.take_line().await.map_err(Failed::store)?;
        let patience = self.place.patience.clone();
        let stored = store_alone(&mut line.connection, &patience, last_stream, commit).await;
        self.line = Some(line);
        match stored {
            Ok((decided, positions, committed)) => self.committed(decided, &[commit], positions, committed).await,
            Err(Ended::Refused(error)) => Err(Failed::Together(error)),
            Err(Ended::Lost(error)) => {
                self.end_session().await;
                Err(Failed::Together(error))
            }
            Err(Ended::Failed(error)) => self.unwritten(error, &[commit]),
        }
    }

    /// Takes back what was set for functions.
    async fn allow_writing(&mut self) {
        let limit = self.lock_timeout.as_millis();
        let Ok(line) = self.line().await else { return };
        let set = format!("SET default_transaction_read_only = off; SET lock_timeout = {limit}; {PLAN_BY_INDEX}");
        if line.connection.execute(AssertSqlSafe(set)).await.is_err() {
            self.lose();
        }
    }

    /// Gives a connection up on which something was left in the middle, and makes sure that the server does not finish it.
    async fn end_session(&mut self) {
        let Some(session) = self.lose() else { return };
        let mut trouble = Trouble::new(self.place.connect_timeout);
        loop {
            let error = match self.line().await {
                Ok(line) => match session.end(&mut line.connection).await {
                    Ok(()) => return,
                    Err(error) => error,
                },
                Err(error) => error.into(),
            };
            if error.is_lost() {
                self.lose();
                if trouble.again().await {
                    continue;
                }
            }
            let error = error.explain("ending a session");
            tracing::warn!(%error, "a session whose function was left in the middle does not end");
            return;
        }
    }
}

/// Writes the commit, runs the functions, commits. The inner result is that of the commit itself. What is left without it is rolled back,
/// whatever the connection says to it.
async fn store_alone(
    connection: &mut PgConnection,
    patience: &Patience,
    last_stream: i64,
    commit: &NewCommit,
) -> Result<(Decided, Vec<i64>, Result<(), sqlx::Error>), Ended> {
    // What a function does behind the end of its transaction changes nothing.
    // What it does with tables of its own is planned as elsewhere, and waits longer than a group.
    let limit = LOCK_TIMEOUT.as_millis();
    let set = format!("SET default_transaction_read_only = on; SET lock_timeout = {limit}; {PLAN_FREELY}");
    patience.answered(connection.execute(AssertSqlSafe(set))).await?;
    // sqlx's own transaction, so that functions may begin one inside.
    let mut transaction = patience.answered(connection.begin_with("BEGIN READ WRITE")).await?;
    match inside(&mut transaction, last_stream, commit).await {
        Ok((decided, positions)) if matches!(decided.plan.fates[..], [Fate::Stored { .. }]) => {
            Ok((decided, positions, patience.answered(transaction.commit()).await))
        }
        // The server is at work on what was left in the middle: nobody waits for that.
        Err(lost @ Ended::Lost(_)) => Err(lost),
        ended => {
            let _ = patience.answered(transaction.rollback()).await;
            ended.map(|(decided, _)| (decided, Vec::new(), Ok(())))
        }
    }
}

/// Writes the commit and runs the functions.
async fn inside(
    connection: &mut PgConnection,
    last_stream: i64,
    commit: &NewCommit,
) -> Result<(Decided, Vec<i64>), Ended> {
    let mut decided = decide(connection, last_stream, Syncs::of(&[commit]), None, &[commit]).await?;
    let mut positions = Vec::new();
    if !decided.plan.writes.is_empty() {
        positions = write(connection, &decided, &[commit]).await?;
    }
    for (projector, events) in std::mem::take(&mut decided.connected) {
        run(connection, &*projector, &events).await?;
    }
    Ok((decided, positions))
}

/// Runs every function that takes one of the events, event by event.
async fn run(
    connection: &mut PgConnection,
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
                Broken::Database(error) => Ended::Failed(DbError::Database(error)),
            })?;
        }
    }
    Ok(())
}
