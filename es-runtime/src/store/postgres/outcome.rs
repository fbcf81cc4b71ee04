//! Finds out what became of a group where the server does not say.
//!
//! A connection that breaks while a transaction is committed says nothing about the transaction, and the server may still be at work on it. So
//! first the session on the server is ended and waited for; then what stands in the tables is the truth.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};
use tokio::time::Instant;

use super::error::{DbError, Fault, claims_differ, fault, store_error};
use super::group::Attempt;
use super::text::escaped;
use super::writer::Writer;
use crate::store::group::answer::Failed;
use crate::store::group::plan::Plan;
use crate::store::{AppendError, NewCommit, StoreError};
use crate::time::whole_micros;

/// How long a session that was told to end is waited for.
const END: Duration = Duration::from_secs(10);

/// A session on the server. Process numbers come again, the time of the start does not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    process: i32,
    started: DateTime<Utc>,
}

impl Session {
    pub(super) async fn of(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let (process, started) =
            sqlx::query_as("SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()")
                .fetch_one(connection)
                .await?;
        Ok(Self { process, started })
    }

    /// Reads it from the first two columns of a row: `pid` and `backend_start`.
    pub(super) fn of_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self { process: row.try_get(0)?, started: row.try_get(1)? })
    }

    /// Ends the session, over another connection, and waits until it is gone: from then on it changes nothing any more.
    pub(super) async fn end(self, connection: &mut PgConnection) -> Result<(), DbError> {
        let until = Instant::now() + END;
        let mut pause = Duration::from_millis(1);
        loop {
            let there: Option<bool> = sqlx::query_scalar(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2",
            )
            .bind(self.process)
            .bind(self.started)
            .fetch_optional(&mut *connection)
            .await?;
            if there.is_none() {
                return Ok(());
            }
            if Instant::now() >= until {
                let reason = format!("the session {} on the server did not end within {END:?}", self.process);
                return Err(StoreError::Unavailable { reason, source: None }.into());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }
}

/// What a group wrote in spite of an error.
pub(super) enum Wrote {
    /// All of it. The positions of its events.
    Stored(Vec<i64>),
    /// Nothing, for certain, and the connection is gone; it may be tried again.
    Lost(StoreError),
    /// Nothing, for certain; it may be tried again.
    Nothing(StoreError),
}

impl Wrote {
    /// Gives the positions of what is stored, or says that it is to be tried again.
    pub(super) fn positions(self) -> Result<Vec<i64>, Attempt> {
        match self {
            Self::Stored(positions) => Ok(positions),
            Self::Lost(error) => Err(Attempt::Lost(error)),
            Self::Nothing(error) => Err(Attempt::Again(error)),
        }
    }
}

impl Writer {
    /// Makes out what an error says of the group that was being written.
    pub(super) async fn after_error(
        &mut self,
        error: sqlx::Error,
        plan: &Plan,
        commits: &[&NewCommit],
    ) -> Result<Wrote, Failed> {
        let kind = fault(&error);
        if kind.breaks_connection() {
            let session = self.lose();
            if kind.is_certain() {
                return Ok(Wrote::Nothing(store_error(error, "writing a commit")));
            }
            tracing::warn!(%error, "the connection that appends broke; looking whether its last commits are stored");
            return self.find_out(session, error, plan, commits).await;
        }
        if kind.is_contention() {
            return Ok(Wrote::Nothing(store_error(error, "writing a commit")));
        }
        if let (Fault::ClaimsDiffer, [_]) = (kind, commits) {
            return Err(refused_rules(&error));
        }
        let separable = matches!(kind, Fault::Unfit | Fault::ClaimsDiffer | Fault::Other);
        let error = store_error(error, "writing a commit");
        Err(if separable { Failed::Separable(error) } else { Failed::store(error) })
    }

    /// Finds out whether the group is stored. The connections that look may break as well: as long as there is one, it can be found out.
    async fn find_out(
        &mut self,
        session: Option<Session>,
        error: sqlx::Error,
        plan: &Plan,
        commits: &[&NewCommit],
    ) -> Result<Wrote, Failed> {
        let until = Instant::now() + self.place.connect_timeout;
        let mut pause = Duration::from_millis(1);
        loop {
            let looked = tokio::time::timeout_at(until + END, self.look(session, plan, commits)).await;
            let second = match looked {
                Ok(Ok(Some(positions))) => return Ok(Wrote::Stored(positions)),
                Ok(Ok(None)) => return Ok(Wrote::Lost(store_error(error, "writing a commit"))),
                Ok(Err(second)) => second,
                Err(_) => "the server did not answer".to_owned(),
            };
            self.lose();
            if Instant::now() >= until {
                let reason = format!("{error}; then {second}");
                return Err(Failed::Together(AppendError::Uncertain { reason }));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    /// Looks whether the group is stored, once the session that wrote it is gone.
    async fn look(
        &mut self,
        session: Option<Session>,
        plan: &Plan,
        commits: &[&NewCommit],
    ) -> Result<Option<Vec<i64>>, String> {
        let line = self.line().await.map_err(|error| error.to_string())?;
        if let Some(session) = session {
            let ended = session.end(&mut line.connection).await;
            ended.map_err(|error| error.explain("ending a session").to_string())?;
        }
        let found = look_for(&mut line.connection, plan, commits).await.map_err(|error| error.to_string())?;
        if found.is_some() {
            replicated(&mut line.connection).await.map_err(|error| error.to_string())?;
        }
        Ok(found)
    }
}

/// Refuses the one commit of a group whose program has other rules than the store.
pub(super) fn refused_rules(error: &sqlx::Error) -> Failed {
    Failed::Together(
        claims_differ(error).map_or(AppendError::ChainBroken, |differ| AppendError::ClaimsDiffer(Box::new(differ))),
    )
}

/// Waits until the replicas that commits wait for have what this session sees. The wait of a session ends with it: its commit shows before they
/// have it.
async fn replicated(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let sql = "SELECT CASE WHEN current_setting('synchronous_standby_names') <> '' \
        THEN pg_logical_emit_message(true, 'es', '') END";
    sqlx::query(sql).execute(connection).await.map(drop)
}

/// Looks for what a plan wrote. `Some` if it is there, with the positions of its events.
pub(super) async fn look_for(
    connection: &mut PgConnection,
    plan: &Plan,
    commits: &[&NewCommit],
) -> Result<Option<Vec<i64>>, sqlx::Error> {
    let rows = &plan.writes.events;
    if !rows.is_empty() {
        let found = sqlx::query(
            "SELECT l.position FROM unnest($1::bigint[], $2::bigint[], $3::uuid[]) WITH ORDINALITY AS e (stream_no, version, id, place) \
             JOIN event_log AS l ON l.stream_no = e.stream_no AND l.version = e.version AND l.event_id = e.id ORDER BY e.place",
        )
        .bind(rows.iter().map(|row| row.stream).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.version.cast_signed()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| *commits[row.commit].events[row.event].id.as_uuid()).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
        let positions: Vec<i64> = found.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        // All or nothing: a part of it cannot be there.
        return Ok((positions.len() == rows.len()).then_some(positions));
    }
    // Without events the entries are all there is. Another process may have made one with the same key.
    let entries: Vec<_> = plan.writes.ledger.iter().map(|row| (row, commits[row.commit])).collect();
    if entries.is_empty() {
        return Ok(None);
    }
    let keys = entries.iter().filter_map(|(_, commit)| commit.ledger.as_ref());
    let found: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::bigint[], $6::timestamptz[]) \
         AS e (tenant, key, hash, stream_no, version, at) JOIN command_ledger AS l ON l.tenant = e.tenant AND l.key = e.key \
         AND l.hash = e.hash AND l.stream_no = e.stream_no AND l.version = e.version AND l.at = e.at",
    )
    .bind(entries.iter().map(|(_, commit)| escaped(commit.stream.tenant())).collect::<Vec<_>>())
    .bind(keys.clone().map(|entry| escaped(&entry.key)).collect::<Vec<_>>())
    .bind(keys.map(|entry| entry.hash.as_slice()).collect::<Vec<_>>())
    .bind(entries.iter().map(|(row, _)| row.stream).collect::<Vec<_>>())
    .bind(entries.iter().map(|(row, _)| row.version.cast_signed()).collect::<Vec<_>>())
    .bind(entries.iter().map(|(_, commit)| whole_micros(commit.recorded_at)).collect::<Vec<_>>())
    .fetch_one(connection)
    .await?;
    Ok((usize::try_from(found) == Ok(entries.len())).then(Vec::new))
}
