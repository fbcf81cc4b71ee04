//! Stores what subscriptions make of the log.
//!
//! The usual batch, rows that were folded outside and a checkpoint that moves, is one statement: the rows are written where the checkpoint moved.
//! Everything else is a transaction behind the projection's lock. Where the version is to become the active one, that is another (`switch`). Both move the checkpoint by comparing position and epoch, so a batch that is sent
//! twice, because nobody knows what became of it, is stored once.

use std::borrow::Cow;
use std::sync::Arc;

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::PostgresStore;
use super::connected;
use super::error::{DbError, Fault, fault, store_error};
use super::fold::{fold, forget_watermarks, not_folded, passed, position};
use super::letters;
use super::outcome::Session;
use super::pool::{Breaking, End, Outcome, discard, reading};
use super::registry::projection_lock;
use super::rows;
use super::statement::Statement;
use super::text::escaped;
use crate::store::{Batch, BatchDone, BatchError, BatchWork, SafePosition, StoreError};

/// What became of a batch.
pub(super) type Stored = Result<BatchDone, BatchError>;

const DOING: &str = "storing a batch";

/// Why a batch is not stored.
#[derive(Debug)]
pub(super) enum Refused {
    /// Because of itself.
    Alone(BatchError),
    /// The database failed.
    Database(sqlx::Error),
    /// Because of itself, and a function of the user's was left in the middle: the session is still at work.
    Left(BatchError, Session),
}

impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<DbError> for Refused {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Database(error) => Self::Database(error),
            DbError::Store(error) => Self::Alone(BatchError::Store(error)),
        }
    }
}

impl From<BatchError> for Refused {
    fn from(error: BatchError) -> Self {
        Self::Alone(error)
    }
}

impl Breaking for Refused {
    fn breaks_connection(&self) -> bool {
        match self {
            Self::Alone(_) => false,
            Self::Database(error) => fault(error).breaks_connection(),
            Self::Left(..) => true,
        }
    }
}

impl PostgresStore {
    /// Stores a batch. Not to be dropped.
    pub(super) async fn store_batch(&self, batch: Batch) -> Stored {
        if batch.to.is_some_and(|to| to.get() < batch.from) {
            // A checkpoint goes forward only; back it is moved by hand.
            return Err(BatchError::Fenced);
        }
        let plain = batch.letters.is_empty() && batch.parked.is_empty() && batch.settles.is_none();
        let mut batch = batch;
        if plain && self.is_folded(&batch).await? {
            batch.work = BatchWork::Nothing;
        }
        let at_once = plain && matches!(batch.work, BatchWork::Rows(_) | BatchWork::Nothing);
        let batch = Arc::new(batch);
        if at_once {
            self.store_at_once(&batch).await?;
        } else {
            self.store_in_transaction(&batch).await?;
        }
        if batch.switch { self.switch(batch).await } else { Ok(BatchDone::default()) }
    }

    /// Tells whether commits have folded every event of a batch. It is asked before the projection's lock is taken, for which commits would wait meanwhile:
    /// what is folded stays folded, or the epoch is another one.
    async fn is_folded(&self, batch: &Batch) -> Result<bool, StoreError> {
        let BatchWork::Fold { projector, events } = &batch.work else { return Ok(false) };
        if !projector.descriptor().has_sync() {
            return Ok(false);
        }
        let fresh = reading!(self, DOING, connection => not_folded(connection, &batch.id, events, true).await)?;
        Ok(fresh.events.is_empty())
    }

    /// Stores a batch with one statement. Where the connection breaks, the batch is sent again: the one that is still on its way does not
    /// find the checkpoint any more where it was, or this one does not.
    async fn store_at_once(&self, batch: &Arc<Batch>) -> Result<(), BatchError> {
        let mut lost: Option<sqlx::Error> = None;
        let uncertain = |lost: &sqlx::Error, then: &dyn std::fmt::Display| {
            Err(BatchError::Uncertain { reason: format!("{lost}; then {then}") })
        };
        let mut tries = self.tries();
        loop {
            let mut connection = match (self.lend().await, &lost) {
                (Ok(connection), _) => connection,
                (Err(error), None) => return Err(error.into()),
                (Err(error), Some(lost)) => return uncertain(lost, &error),
            };
            if batch.history.is_over() {
                return Err(BatchError::Fenced);
            }
            crate::fail_point::reached("batch.begun");
            let statement = at_once(self.shared.lock_class, batch).map_err(|error| error.explain(DOING))?;
            let sent = self.shared.place.patience.answered(statement.row(&mut connection)).await;
            let moved = sent.and_then(|row| Ok((row.try_get::<i64, _>(0)?, row.try_get::<bool, _>(1)?)));
            match (moved, &lost) {
                (Ok((1, _)), _) => {
                    crate::fail_point::reached("batch.stored");
                    return Ok(());
                }
                // Somebody else holds the projection's lock: it is waited for in a transaction.
                (Ok((_, false)), lost) => {
                    drop(connection);
                    let stored = self.store_in_transaction(batch).await;
                    return match (stored, lost) {
                        (Err(BatchError::Fenced), Some(lost)) => self.found(batch, lost).await,
                        (stored, _) => stored,
                    };
                }
                (Ok(_), None) => return Err(BatchError::Fenced),
                (Ok(_), Some(lost)) => return self.found(batch, lost).await,
                (Err(error), _) => {
                    let kind = fault(&error);
                    if kind.breaks_connection() {
                        discard(connection);
                        if tries.again(!kind.is_certain()).await {
                            if !kind.is_certain() {
                                lost = Some(error);
                            }
                            continue;
                        }
                    }
                    return match &lost {
                        None if kind.is_certain() => Err(refused(error)),
                        None => uncertain(&error, &"no connection is left to look"),
                        Some(lost) => uncertain(lost, &error),
                    };
                }
            }
        }
    }

    /// After one that was lost: a batch that found the checkpoint elsewhere is stored where it stands at its end.
    pub(super) async fn found(&self, batch: &Batch, lost: &sqlx::Error) -> Result<(), BatchError> {
        match reading!(self, DOING, connection => standing(connection, batch).await) {
            Ok(Some(at)) if moves(batch) && Some(at) == batch.to.map(position) => Ok(()),
            Ok(_) => Err(BatchError::Fenced),
            Err(error) => Err(BatchError::Uncertain { reason: format!("{lost}; then {error}") }),
        }
    }

    async fn store_in_transaction(&self, batch: &Arc<Batch>) -> Result<(), BatchError> {
        let mut outcome = self.try_in_transaction(batch, false).await?;
        if matches!(&outcome, Outcome::Failed(refused) if connected::may_be_another(batch, refused)) {
            self.tidy(&outcome).await;
            outcome = self.try_in_transaction(batch, true).await?;
        }
        self.tidy(&outcome).await;
        match outcome {
            Outcome::Ended(()) => {
                crate::fail_point::reached("batch.stored");
                Ok(())
            }
            Outcome::Failed(Refused::Alone(error) | Refused::Left(error, _)) => Err(error),
            Outcome::Failed(Refused::Database(error)) => Err(refused(error)),
            Outcome::AtCommit(error, ()) => self.find_out(batch, error).await,
        }
    }

    async fn try_in_transaction(&self, batch: &Arc<Batch>, care: bool) -> Result<Outcome<(), Refused>, StoreError> {
        let batch = Arc::clone(batch);
        let functions = matches!(batch.work, BatchWork::Connected { .. });
        let mut opening = self.hasty(projection_lock(&batch.id.name));
        if functions {
            // For what they do with tables of their own, the server's own limit holds.
            opening.push_str("; SET LOCAL lock_timeout TO DEFAULT");
        }
        self.transaction(&self.pool_for(functions), &opening, DOING, move |connection| {
            Box::pin(async move { inside(connection, &batch, care).await.map(End::Commit) })
        })
        .await
    }

    /// Ends a session in which a function was left in the middle.
    async fn tidy(&self, outcome: &Outcome<(), Refused>) {
        if let Outcome::Failed(Refused::Left(_, session)) = outcome {
            self.end(*session).await;
        }
    }

    /// Ends a session that is at work on something that nobody waits for: its locks are in the way of others.
    async fn end(&self, session: Session) {
        if let Err(error) = reading!(self, "ending a session", connection => session.end(connection).await) {
            tracing::warn!(%error, "a session on the server, in which a function took too long, could not be ended");
        }
    }

    /// Looks whether a transaction whose commit failed is stored. It has moved the checkpoint: reading that for update waits until it is over.
    pub(super) async fn find_out(&self, batch: &Batch, error: sqlx::Error) -> Result<(), BatchError> {
        if fault(&error).is_certain() {
            return Err(store_error(error, DOING).into());
        }
        let uncertain = |reason: String| Err(BatchError::Uncertain { reason });
        if !moves(batch) {
            return uncertain(error.to_string());
        }
        match reading!(self, DOING, connection => standing(connection, batch).await) {
            Ok(at) if at == batch.to.map(position) => Ok(()),
            Ok(Some(at)) if at.cast_unsigned() == batch.from.get() => Err(store_error(error, DOING).into()),
            Ok(_) => uncertain(error.to_string()),
            Err(second) => uncertain(format!("{error}; then {second}")),
        }
    }
}

/// What the database says of a row says nothing of the database.
fn refused(error: sqlx::Error) -> BatchError {
    match fault(&error) {
        Fault::Unfit | Fault::Constraint => BatchError::Unstorable { reason: error.to_string() },
        _ => store_error(error, DOING).into(),
    }
}

fn moves(batch: &Batch) -> bool {
    batch.to.is_some_and(|to| to.get() != batch.from)
}

/// Reads where the checkpoint stands, under the epoch of the batch; waits for whoever is moving it.
async fn standing(connection: &mut PgConnection, batch: &Batch) -> Result<Option<i64>, DbError> {
    let position = sqlx::query_scalar(
        "SELECT position FROM subscriptions WHERE name = $1 AND version = $2 AND partition = $3 AND epoch = $4 FOR UPDATE",
    )
    .bind(escaped(&batch.id.name))
    .bind(i64::from(batch.id.version))
    .bind(i64::from(batch.id.partition))
    .bind(number(batch.epoch))
    .fetch_optional(connection)
    .await?;
    Ok(position)
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Where the checkpoint stands afterwards.
fn target(batch: &Batch) -> i64 {
    number(batch.to.map_or(batch.from, SafePosition::get).get())
}

/// Moves the checkpoint; that of a partition that was paused stays where it is. Arguments: name, version, partition, to, from, epoch.
macro_rules! moving {
    () => {
        "UPDATE subscriptions SET position = $4 WHERE name = $1 AND version = $2 AND partition = $3 \
         AND position = $5 AND epoch = $6 AND (status = 'running' OR $4 = $5)"
    };
}

fn bind_claims(statement: &mut Statement, batch: &Batch) {
    statement.argument(escaped(&batch.id.name));
    statement.argument(i64::from(batch.id.version));
    statement.argument(i64::from(batch.id.partition));
    statement.argument(target(batch));
    statement.argument(number(batch.from.get()));
    statement.argument(number(batch.epoch));
}

/// Makes the statement of a whole batch. It says how many checkpoints it moved, and whether it has the lock that it needs.
fn at_once(class: i32, batch: &Batch) -> Result<Statement, DbError> {
    const MOVED: &str = "EXISTS (SELECT 1 FROM moved)";
    let mut statement = Statement::new("WITH ");
    if let BatchWork::Rows(set) = &batch.work {
        bind_claims(&mut statement, batch);
        statement.push(concat!("moved AS (", moving!(), " RETURNING 1)"));
        rows::add(&mut statement, set.table, &set.changes, Some(MOVED), 0)?;
        statement.push(" SELECT count(*), true FROM moved");
        return Ok(statement);
    }
    // Commits may fold the same projection. The checkpoint is looked at as it is behind the lock.
    let key = projection_lock(&batch.id.name);
    statement.push(&format!("held (it) AS MATERIALIZED (SELECT pg_try_advisory_xact_lock({class}, {key})), "));
    bind_claims(&mut statement, batch);
    statement.push(concat!("moved AS (", moving!(), " AND (SELECT it FROM held) RETURNING 1)"));
    if batch.to.is_some() {
        statement.push(concat!(", passed AS (DELETE FROM watermarks WHERE ", passed!()));
        statement.push(&format!(" AND {MOVED})"));
    }
    statement.push(" SELECT count(*), (SELECT it FROM held) FROM moved");
    Ok(statement)
}

/// What a batch does inside its transaction.
async fn inside(connection: &mut PgConnection, batch: &Batch, care: bool) -> Result<(), Refused> {
    if batch.history.is_over() {
        return Err(BatchError::Fenced.into());
    }
    crate::fail_point::reached("batch.begun");
    if let BatchWork::Connected { .. } = &batch.work {
        // The checkpoint moves after the functions: should one of them end the transaction, it has not moved.
        connected::run_batch(connection, batch, care).await?;
        claim(connection, batch).await?;
    } else {
        check_parked(connection, batch).await?;
        claim(connection, batch).await?;
        match &batch.work {
            BatchWork::Fold { projector, events } => {
                let (table, changes) = fold(connection, &batch.id, &**projector, events).await?;
                rows::write(connection, table, &changes).await?;
            }
            BatchWork::Rows(set) => rows::write(connection, set.table, &set.changes).await?,
            BatchWork::Nothing | BatchWork::Connected { .. } => {}
        }
    }
    if !matches!(batch.work, BatchWork::Rows(_)) {
        forget_watermarks(connection, batch).await?;
    }
    crate::fail_point::reached("batch.written");
    Ok(())
}

/// Moves the checkpoint, takes the letter that is dealt with, adds new ones.
async fn claim(connection: &mut PgConnection, batch: &Batch) -> Result<(), Refused> {
    let mut statement = Statement::new(moving!());
    bind_claims(&mut statement, batch);
    if statement.run(connection).await? != 1 {
        return Err(BatchError::Fenced.into());
    }
    if let Some(settled) = batch.settles
        && letters::take(connection, &batch.id, settled.get()).await? == 0
    {
        return Err(BatchError::LettersChanged.into());
    }
    if !batch.letters.is_empty() {
        letters::put(connection, &batch.id, &batch.letters).await?;
    }
    Ok(())
}

/// Looks whether keys that the worker takes for parked still are. Who skips letters holds the projection's lock.
pub(super) async fn check_parked(connection: &mut PgConnection, batch: &Batch) -> Result<(), Refused> {
    if batch.parked.is_empty() {
        return Ok(());
    }
    let keys: Vec<Cow<'_, str>> = batch.parked.iter().map(|key| escaped(key)).collect();
    let free: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM unnest($4::text[]) AS e (key) WHERE NOT EXISTS (SELECT 1 FROM dead_letters AS d \
         WHERE d.name = $1 AND d.version = $2 AND d.key = e.key AND d.partition = $3))",
    )
    .bind(escaped(&batch.id.name))
    .bind(i64::from(batch.id.version))
    .bind(i64::from(batch.id.partition))
    .bind(keys)
    .fetch_one(connection)
    .await?;
    if free { Err(BatchError::LettersChanged.into()) } else { Ok(()) }
}
