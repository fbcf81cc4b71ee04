//! Sends a group, and finds out what became of it where the database does not say.

use futures_util::TryStreamExt as _;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _, Either, Executor as _};
use tokio::sync::MutexGuard;

use super::append::Request;
use super::error::{Fault, fault};
use super::writer::Writer;
use crate::event::EventId;
use crate::store::group::answer::Failed;
use crate::store::group::plan::Plan;
use crate::store::{AppendError, NewCommit};

/// Why a request failed, and whether it had come as far as the commit.
pub(super) struct SendError {
    pub(super) error: sqlx::Error,
    pub(super) at_commit: bool,
}

impl Writer {
    /// After an error, makes sure that no transaction is open. A connection that is not worth keeping is closed: that rolls
    /// back whatever it had not committed.
    pub(super) async fn end_transaction(
        &self,
        slot: &mut MutexGuard<'_, Option<SqliteConnection>>,
        error: &sqlx::Error,
    ) {
        let keep = matches!(fault(error), Fault::Constraint | Fault::Busy | Fault::Unfit);
        if keep || self.place.is_in_memory() {
            self.roll_back(slot).await;
        } else if let Some(connection) = slot.take() {
            tracing::warn!(%error, "the connection that writes failed; it is closed and made again");
            // Waits until the connection's thread has let go of the file.
            let _ = connection.close_hard().await;
        }
    }

    pub(super) async fn roll_back(&self, slot: &mut MutexGuard<'_, Option<SqliteConnection>>) {
        let Some(connection) = slot.as_mut() else { return };
        let Err(error) = connection.execute("ROLLBACK").await else { return };
        // SQLite ends a transaction by itself after some errors; then there is none to roll back (a plain error, code 1).
        let none_open = error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("1"));
        if !none_open
            && !self.place.is_in_memory()
            && let Some(connection) = slot.take()
        {
            let _ = connection.close_hard().await;
        }
    }

    /// Finds out, after an error of the commit itself, whether the group is stored. Gives the position of its first event if
    /// it is.
    pub(super) async fn find_out(
        &self,
        slot: &mut MutexGuard<'_, Option<SqliteConnection>>,
        error: sqlx::Error,
        plan: &Plan,
        commits: &[&NewCommit],
    ) -> Result<Option<u64>, Failed> {
        let uncertain = |reason: String| Failed::Together(AppendError::Uncertain { reason });
        let fault = fault(&error);
        let connection = match self.ensure_connected(slot).await {
            Ok(connection) => connection,
            // These two stop a commit before it is written.
            Err(_) if matches!(fault, Fault::ReadOnly | Fault::Full) => return Err(self.failed(error, "committing")),
            Err(second) => return Err(uncertain(format!("{error}; then {second}"))),
        };
        match look_for(connection, plan, commits).await {
            Ok(Some(first)) => Ok(first),
            Ok(None) if matches!(fault, Fault::ReadOnly | Fault::Full) => Err(self.failed(error, "committing")),
            Ok(None) => {
                // Not there now. But a flush that failed may leave the whole commit in the write-ahead log, where nobody sees
                // it until a crash makes SQLite read the log again. A commit of our own overwrites it for good.
                match overwrite(connection).await {
                    Ok(()) => Err(self.failed(error, "committing")),
                    Err(second) => Err(uncertain(format!("{error}; then {second}"))),
                }
            }
            Err(second) => Err(uncertain(format!("{error}; then {second}"))),
        }
    }
}

/// Sends a group in one message. Gives the position of its first event, if it has events.
pub(super) async fn send(
    connection: &mut SqliteConnection,
    request: Request,
    events: usize,
) -> Result<Option<u64>, SendError> {
    let Request { sql, arguments, events_at, statements } = request;
    let mut done = 0;
    let mut last = None;
    let mut results = connection.fetch_many(sqlx::query_with(sql, arguments));
    loop {
        match results.try_next().await {
            Ok(Some(Either::Left(result))) => {
                if events_at == Some(done) {
                    last = Some(result.last_insert_rowid());
                }
                done += 1;
            }
            Ok(Some(Either::Right(_))) => {}
            Ok(None) => break,
            Err(error) => return Err(SendError { error, at_commit: done + 1 >= statements }),
        }
    }
    // Positions are rowids, given one after the other inside one transaction: the first follows from the last.
    Ok(last.map(|last| last.cast_unsigned() + 1 - events as u64))
}

/// Looks for the first thing a plan wrote. `Some` if it is there, with the position of the first event if there are events.
async fn look_for(
    connection: &mut SqliteConnection,
    plan: &Plan,
    commits: &[&NewCommit],
) -> Result<Option<Option<u64>>, sqlx::Error> {
    if let Some(row) = plan.writes.events.first() {
        let commit = commits[row.commit];
        let id: EventId = commit.events[row.event].id;
        let position: Option<i64> = sqlx::query_scalar(
            "SELECT l.position FROM streams AS s JOIN event_log AS l ON l.stream_no = s.stream_no \
             WHERE s.tenant = ? AND s.category = ? AND s.key = ? AND l.version = ? AND l.event_id = ?",
        )
        .bind(commit.stream.tenant())
        .bind(commit.stream.category())
        .bind(commit.stream.key())
        .bind(row.version.cast_signed())
        .bind(id.as_uuid().as_bytes().as_slice())
        .fetch_optional(connection)
        .await?;
        return Ok(position.map(|position| Some(position.cast_unsigned())));
    }
    let Some((commit, entry)) = plan.writes.ledger.first().and_then(|row| {
        let commit = commits[row.commit];
        Some((commit, commit.ledger.as_ref()?))
    }) else {
        return Ok(None);
    };
    let found: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM command_ledger WHERE tenant = ? AND key = ? AND hash = ?")
            .bind(commit.stream.tenant())
            .bind(&entry.key)
            .bind(entry.hash.as_slice())
            .fetch_optional(connection)
            .await?;
    Ok(found.map(|_| None))
}

/// Commits a transaction that changes nothing: the header's free field is written with the value it has.
pub(super) async fn overwrite(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let value: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await?;
    connection.execute(AssertSqlSafe(format!("PRAGMA user_version = {value}"))).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
