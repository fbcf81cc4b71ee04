//! Stores what subscriptions make of the log: batches, several in one transaction.

use std::sync::Arc;

use sqlx::Executor as _;
use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{MutexGuard, oneshot};

use super::error::{DbError, Fault, fault};
use super::fold::{fold, forget_watermarks};
use super::letters;
use super::outcome::overwrite;
use super::registry::{activate, fold_again};
use super::rows::{self, read};
use super::script::Script;
use super::writer::Writer;
use crate::store::{Batch, BatchDone, BatchError, BatchWork, SafePosition, StoreError};

/// A batch in line, and who waits for it.
#[derive(Debug)]
pub(super) struct PendingBatch {
    pub(super) batch: Box<Batch>,
    pub(super) answer: oneshot::Sender<Result<BatchDone, BatchError>>,
}

/// What became of a batch.
pub(super) type Stored = Result<BatchDone, BatchError>;

/// Why a batch is not stored.
#[derive(Debug)]
pub(super) enum Refused {
    /// Because of itself.
    Alone(BatchError),
    /// The database failed.
    Database(sqlx::Error),
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

impl Writer {
    /// Stores the batches of a turn, in their order, and answers them. Those whose functions take the connection get a transaction each.
    pub(super) async fn project(&mut self, batches: Vec<PendingBatch>) {
        let mut together = Vec::new();
        for pending in batches {
            if matches!(pending.batch.work, BatchWork::Connected { .. }) {
                self.project_together(std::mem::take(&mut together)).await;
                self.project_connected(pending).await;
            } else {
                together.push(pending);
            }
        }
        self.project_together(together).await;
    }

    async fn project_together(&mut self, batches: Vec<PendingBatch>) {
        if batches.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.connection);
        let mut slot = shared.lock().await;
        let results = self.store_together(&mut slot, &batches).await;
        drop(slot);
        for (pending, result) in batches.into_iter().zip(results) {
            let _nobody_waits = pending.answer.send(result);
        }
    }

    /// Stores batches in one transaction; one that is refused undoes itself alone.
    async fn store_together(
        &self,
        slot: &mut MutexGuard<'_, Option<SqliteConnection>>,
        batches: &[PendingBatch],
    ) -> Vec<Stored> {
        let mut results = Vec::with_capacity(batches.len());
        let connection = match self.ensure_connected(slot).await {
            Ok(connection) => connection,
            Err(error) => return failed(results, batches.len(), &error),
        };
        let written = write_all(connection, batches, &mut results, |error| self.explain(error, "storing a batch"));
        if let Err(error) = written.await {
            self.end_transaction(slot, &error).await;
            return failed(results, batches.len(), &self.explain(error, "storing a batch"));
        }
        if results.iter().all(Result::is_err) {
            self.roll_back(slot).await;
            return results;
        }
        crate::fail_point::reached("batch.written");
        let committed = match slot.as_mut() {
            Some(connection) => connection.execute("COMMIT").await,
            None => Err(sqlx::Error::WorkerCrashed),
        };
        crate::fail_point::reached("batch.stored");
        if let Err(error) = committed {
            self.end_transaction(slot, &error).await;
            let batches: Vec<_> = batches.iter().map(|pending| &*pending.batch).collect();
            return self.find_out_batches(slot, error, &batches, results).await;
        }
        results
    }

    /// Finds out, after an error of the commit itself, whether the batches are stored: their checkpoints tell.
    pub(super) async fn find_out_batches(
        &self,
        slot: &mut MutexGuard<'_, Option<SqliteConnection>>,
        error: sqlx::Error,
        batches: &[&Batch],
        results: Vec<Stored>,
    ) -> Vec<Stored> {
        let count = batches.len();
        let certain = matches!(fault(&error), Fault::Constraint | Fault::Busy | Fault::Unfit);
        if certain {
            return failed(results, count, &self.explain(error, "storing a batch"));
        }
        let stored = batches.iter().zip(&results).filter(|(_, result)| result.is_ok()).map(|(batch, _)| *batch);
        let found = match self.ensure_connected(slot).await {
            Ok(connection) => look_for(connection, stored.collect()).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match found {
            Ok(Some(true)) => results,
            Ok(Some(false)) => failed(results, count, &self.explain(error, "storing a batch")),
            Ok(None) => uncertain(results, &error.to_string()),
            Err(second) => uncertain(results, &format!("{error}; then {second}")),
        }
    }
}

/// Answers with an error what was not refused by itself.
fn failed(results: Vec<Stored>, count: usize, error: &StoreError) -> Vec<Stored> {
    let refused = results.into_iter().map(|result| result.and_then(|_| Err(BatchError::Store(error.clone()))));
    let mut results: Vec<Stored> = refused.collect();
    results.resize_with(count, || Err(BatchError::Store(error.clone())));
    results
}

fn uncertain(results: Vec<Stored>, reason: &str) -> Vec<Stored> {
    let uncertain = |_| Err(BatchError::Uncertain { reason: reason.to_owned() });
    results.into_iter().map(|result| result.and_then(uncertain)).collect()
}

/// Looks whether the transaction of these batches is there: the last checkpoint that moved stands where it went, or the partition still
/// stands where the first of its batches began.
async fn look_for(connection: &mut SqliteConnection, batches: Vec<&Batch>) -> Result<Option<bool>, sqlx::Error> {
    let moves = |batch: &&&Batch| batch.to.is_some_and(|to| to.get() != batch.from);
    let Some(last) = batches.iter().rev().find(moves) else { return Ok(None) };
    let first = batches.iter().filter(moves).find(|batch| batch.id == last.id);
    let position: Option<i64> = sqlx::query_scalar(
        "SELECT position FROM subscriptions WHERE name = ? AND version = ? AND partition = ? AND epoch = ?",
    )
    .bind(&*last.id.name)
    .bind(last.id.version)
    .bind(last.id.partition)
    .bind(last.epoch.cast_signed())
    .fetch_optional(&mut *connection)
    .await?;
    let position = position.map(i64::cast_unsigned);
    if position == last.to.map(|to| to.get().get()) {
        return Ok(Some(true));
    }
    if position != first.map(|first| first.from.get()) {
        return Ok(None);
    }
    // As for commits: what a failed flush left in the write-ahead log must not come back.
    overwrite(connection).await?;
    Ok(Some(false))
}

/// Writes batches into one transaction that is open then. An error ends all of it.
async fn write_all(
    connection: &mut SqliteConnection,
    batches: &[PendingBatch],
    results: &mut Vec<Stored>,
    explain: impl Fn(sqlx::Error) -> StoreError,
) -> Result<(), sqlx::Error> {
    let alone = batches.len() == 1;
    if !alone {
        connection.execute("BEGIN IMMEDIATE").await?;
    }
    for pending in batches {
        // Savepoints stay open until the commit: so a batch costs no message more.
        let opening = if alone { "BEGIN IMMEDIATE" } else { "SAVEPOINT es_batch" };
        let result = match write_one(connection, &pending.batch, opening).await {
            Ok(done) => Ok(done),
            Err(Refused::Alone(error)) => Err(error),
            Err(Refused::Database(error)) if matches!(fault(&error), Fault::Constraint | Fault::Unfit) => {
                Err(BatchError::Unstorable { reason: error.to_string() })
            }
            Err(Refused::Database(error)) if is_of_the_batch(&error) => Err(BatchError::Store(explain(error))),
            Err(Refused::Database(error)) => return Err(error),
        };
        if result.is_err() && !alone {
            let mut script = Script::default();
            script.add("ROLLBACK TO es_batch");
            script.add("RELEASE es_batch");
            script.run(connection).await?;
        }
        results.push(result);
    }
    Ok(())
}

/// Tells whether an error is about what was written, not about the file or the connection.
pub(super) fn is_of_the_batch(error: &sqlx::Error) -> bool {
    match fault(error) {
        Fault::Constraint | Fault::Unfit => true,
        // A plain error (code 1): a table that was dropped.
        Fault::Other => {
            error.as_database_error().is_some_and(|error| error.code().is_some_and(|code| code.as_ref() == "1"))
        }
        Fault::Busy | Fault::Full | Fault::ReadOnly | Fault::Damaged | Fault::Io => false,
    }
}

async fn write_one(connection: &mut SqliteConnection, batch: &Batch, opening: &str) -> Result<BatchDone, Refused> {
    crate::fail_point::reached("batch.begun");
    let mut script = Script::default();
    script.add(opening);
    if goes_back(batch) {
        script.run(connection).await?;
        return Err(BatchError::Fenced.into());
    }
    if !batch.parked.is_empty() {
        script.run(connection).await?;
        check_parked(connection, batch).await?;
        script = Script::default();
    }
    let claims = Claims::add(&mut script, batch);
    match &batch.work {
        BatchWork::Rows(set) => rows::write_set(&mut script, set),
        BatchWork::Fold { projector, events } => {
            claims.check(&script.run(connection).await?)?;
            let (table, changes) = fold(connection, &batch.id, &**projector, events).await?;
            script = Script::default();
            rows::write(&mut script, table, &changes);
            forget_watermarks(&mut script, batch);
            script.run(connection).await?;
            return finish(connection, batch).await;
        }
        // Of a projection whose commits write rows, too: a page without events that it takes.
        BatchWork::Nothing | BatchWork::Connected { .. } => forget_watermarks(&mut script, batch),
    }
    claims.check(&script.run(connection).await?)?;
    finish(connection, batch).await
}

/// A checkpoint goes forward only; back it is moved by hand.
pub(super) fn goes_back(batch: &Batch) -> bool {
    batch.to.is_some_and(|to| to.get() < batch.from)
}

/// What a batch stands on, and where in its statements this is looked at.
pub(super) struct Claims {
    checkpoint: usize,
    settled: Option<usize>,
}

impl Claims {
    /// Moves the checkpoint (that of a partition that was paused stays where it is), takes the letter that is dealt with, adds new ones.
    pub(super) fn add(script: &mut Script, batch: &Batch) -> Self {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let checkpoint = script.add(
            "UPDATE subscriptions SET position = ? WHERE name = ? AND version = ? AND partition = ? \
             AND position = ? AND epoch = ? AND (status = 'running' OR position = ?)",
        );
        script.bind(number(batch.to.map_or(batch.from, SafePosition::get).get()));
        script.bind(batch.id.name.to_string()).bind(batch.id.version).bind(batch.id.partition);
        script.bind(number(batch.from.get())).bind(number(batch.epoch));
        script.bind(number(batch.to.map_or(batch.from, SafePosition::get).get()));
        let settled = batch.settles.map(|position| letters::add_take(script, &batch.id, position));
        if !batch.letters.is_empty() {
            letters::put(script, &batch.id, &batch.letters);
        }
        Self { checkpoint, settled }
    }

    pub(super) fn check(&self, changed: &[u64]) -> Result<(), BatchError> {
        let rows = |place: usize| changed.get(place).copied().unwrap_or_default();
        if rows(self.checkpoint) != 1 {
            return Err(BatchError::Fenced);
        }
        if self.settled.is_some_and(|place| rows(place) == 0) {
            return Err(BatchError::LettersChanged);
        }
        Ok(())
    }
}

/// Looks whether keys that the worker takes for parked still are.
pub(super) async fn check_parked(connection: &mut SqliteConnection, batch: &Batch) -> Result<(), Refused> {
    let mut script = Script::default();
    script.add(
        "SELECT count(*) FROM json_each(?) AS e WHERE NOT EXISTS (SELECT 1 FROM dead_letters AS d \
         WHERE d.name = ? AND d.version = ? AND d.key = e.value AND d.partition = ?)",
    );
    script.bind(serde_json::to_string(&batch.parked).unwrap_or_default());
    script.bind(batch.id.name.to_string()).bind(batch.id.version).bind(batch.id.partition);
    let free = read(connection, script, |row| Ok(row.try_get::<i64, _>(0)?)).await?;
    if free == [0] { Ok(()) } else { Err(BatchError::LettersChanged.into()) }
}

/// Makes the version the active one where that is asked for and nothing is left to be done.
pub(super) async fn finish(connection: &mut SqliteConnection, batch: &Batch) -> Result<BatchDone, Refused> {
    if !batch.switch {
        return Ok(BatchDone::default());
    }
    // The write lock keeps every append off.
    let mut script = Script::default();
    script.add(
        "SELECT (SELECT coalesce(max(position), 0) FROM event_log) = ? AND NOT EXISTS (SELECT 1 FROM subscriptions \
         WHERE name = ? AND version = ? AND position < ?)",
    );
    let to = batch.to.map_or(batch.from, SafePosition::get).get();
    let to = i64::try_from(to).unwrap_or(i64::MAX);
    script.bind(to).bind(batch.id.name.to_string()).bind(batch.id.version).bind(to);
    let at_head = read(connection, script, |row| Ok(row.try_get::<bool, _>(0)?)).await?;
    let (name, version) = (&batch.id.name, batch.id.version);
    let switched = at_head == [true] && activate(connection, name, version).await?;
    let folds = !switched && fold_again(connection, name, version).await?;
    crate::fail_point::reached("switch.written");
    Ok(BatchDone { switched, folds })
}
