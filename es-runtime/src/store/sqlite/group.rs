//! Carries a group of commits through one transaction and tells everybody what became of theirs.

use futures_util::TryStreamExt as _;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Either, Executor as _};
use tokio::sync::MutexGuard;

use super::append::{Request, Wrap};
use super::error::{Fault, disconnected, fault, store_error};
use super::lookup::{LookupError, look_up};
use super::plan::{Fate, Plan, State};
use super::writer::Writer;
use crate::event::{EventId, GlobalPosition, Version};
use crate::store::{AppendError, Committed, LedgerRecord, NewCommit, StoreError, TicketSender};

/// A commit in line, and who waits for it.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) commit: NewCommit,
    pub(super) ticket: TicketSender,
}

/// A group that went through.
struct Done {
    fates: Vec<Fate>,
    /// The position of the group's first event, if it has events.
    first: Option<u64>,
    events: usize,
}

/// A group that did not go through.
enum Failed {
    /// No commit of it is stored, or nobody knows.
    Together(AppendError),
    /// No commit of it is stored, and one commit may be the cause: each is tried alone.
    Separable(StoreError),
}

/// Why a request failed, and whether it had come as far as the commit.
struct SendError {
    error: sqlx::Error,
    at_commit: bool,
}

impl Writer {
    /// Stores a group and answers its tickets.
    pub(super) async fn store(&mut self, group: Vec<Pending>) {
        let commits: Vec<&NewCommit> = group.iter().map(|pending| &pending.commit).collect();
        match self.attempt(&commits).await {
            Ok(done) => self.answer(group, &done),
            Err(Failed::Separable(_)) if group.len() > 1 => {
                // Whatever a single commit brought with it must not fail its neighbours.
                for pending in group {
                    match self.attempt(&[&pending.commit]).await {
                        Ok(done) => self.answer(vec![pending], &done),
                        Err(failed) => refuse(vec![pending], &failed),
                    }
                }
            }
            Err(failed) => refuse(group, &failed),
        }
    }

    async fn attempt(&mut self, commits: &[&NewCommit]) -> Result<Done, Failed> {
        // The lock is free but for a database in memory, where readers take turns with the writer. It is held until the
        // transaction is over.
        let shared = std::sync::Arc::clone(&self.connection);
        let mut slot = shared.lock().await;
        if let Some(done) = self.write_on_trust(&mut slot, commits).await? {
            return Ok(done);
        }
        self.write_with_care(&mut slot, commits).await
    }

    /// Makes the connection again if it was lost. The one in memory was the database.
    pub(super) async fn ensure_connected<'a>(
        &self,
        slot: &'a mut MutexGuard<'_, Option<SqliteConnection>>,
    ) -> Result<&'a mut SqliteConnection, StoreError> {
        if slot.is_none() && !self.place.is_in_memory() {
            let connection = self.place.connect_writer(false).await;
            **slot = Some(connection.map_err(|error| self.explain(error, "connecting again"))?);
        }
        slot.as_mut().ok_or_else(disconnected)
    }

    /// Writes the group in one message, if nothing needs to be asked first. `None`: it must be; nothing is stored.
    async fn write_on_trust(
        &mut self,
        slot: &mut MutexGuard<'_, Option<SqliteConnection>>,
        commits: &[&NewCommit],
    ) -> Result<Option<Done>, Failed> {
        let Some(mut state) = self.cache.trusted_state(commits) else { return Ok(None) };
        let plan = Plan::decide(&mut state, commits.iter().copied());
        match self.write(slot, Wrap::Whole, plan, &state, commits).await {
            Ok(done) => Ok(Some(done)),
            Err(Failed::Separable(_)) => {
                // Another process was faster, or a key is taken. The constraints said so; now ask.
                self.cache.doubt(commits);
                Ok(None)
            }
            Err(failed) => Err(failed),
        }
    }

    /// Takes the write lock, reads what is stored, decides, writes what passed.
    async fn write_with_care(
        &mut self,
        slot: &mut MutexGuard<'_, Option<SqliteConnection>>,
        commits: &[&NewCommit],
    ) -> Result<Done, Failed> {
        // Confirmations alone need no lock: the version they are given was true at the time of the read.
        let begin = commits.iter().any(|commit| !commit.events.is_empty() || commit.ledger.is_some());
        let connection = self.ensure_connected(slot).await.map_err(together)?;
        let mut state = match look_up(connection, commits, begin).await {
            Ok(state) => state,
            Err(LookupError::Database(error)) => {
                self.end_transaction(slot, &error).await;
                return Err(self.failed(error, "reading what a commit touches"));
            }
            Err(LookupError::Store(error)) => {
                self.roll_back(slot).await;
                return Err(Failed::Separable(error));
            }
        };
        let plan = Plan::decide(&mut state, commits.iter().copied());
        if plan.writes.is_empty() && begin {
            self.roll_back(slot).await;
        }
        self.write(slot, Wrap::Begun, plan, &state, commits).await
    }

    /// Writes what a plan says and commits it. Afterwards no transaction is open.
    async fn write(
        &mut self,
        slot: &mut MutexGuard<'_, Option<SqliteConnection>>,
        wrap: Wrap,
        plan: Plan,
        state: &State,
        commits: &[&NewCommit],
    ) -> Result<Done, Failed> {
        let mut first = None;
        if !plan.writes.is_empty() {
            let request = self.texts.request(wrap, &plan, state, commits);
            let connection = self.ensure_connected(slot).await.map_err(together)?;
            first = match send(connection, request, plan.writes.events.len()).await {
                Ok(first) => first,
                Err(SendError { error, at_commit }) => {
                    self.end_transaction(slot, &error).await;
                    let certain = matches!(fault(&error), Fault::Constraint | Fault::Busy | Fault::TooBig);
                    if certain || !at_commit {
                        return Err(self.failed(error, "writing a commit"));
                    }
                    self.find_out(slot, error, &plan, commits).await?
                }
            };
        }
        self.cache.learn(state, commits);
        Ok(Done { fates: plan.fates, first, events: plan.writes.events.len() })
    }

    /// After an error, makes sure that no transaction is open. A connection that is not worth keeping is closed: that rolls
    /// back whatever it had not committed.
    async fn end_transaction(&self, slot: &mut MutexGuard<'_, Option<SqliteConnection>>, error: &sqlx::Error) {
        let keep = matches!(fault(error), Fault::Constraint | Fault::Busy | Fault::TooBig);
        if keep || self.place.is_in_memory() {
            self.roll_back(slot).await;
        } else if let Some(connection) = slot.take() {
            // Waits until the connection's thread has let go of the file.
            let _ = connection.close_hard().await;
        }
    }

    async fn roll_back(&self, slot: &mut MutexGuard<'_, Option<SqliteConnection>>) {
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
    async fn find_out(
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
                match connection.execute("PRAGMA user_version = 0").await {
                    Ok(_) => Err(self.failed(error, "committing")),
                    Err(second) => Err(uncertain(format!("{error}; then {second}"))),
                }
            }
            Err(second) => Err(uncertain(format!("{error}; then {second}"))),
        }
    }

    pub(super) fn explain(&self, error: sqlx::Error, doing: &str) -> StoreError {
        store_error(error, doing, self.place.busy_timeout)
    }

    fn failed(&self, error: sqlx::Error, doing: &str) -> Failed {
        let separable = matches!(fault(&error), Fault::Constraint | Fault::TooBig);
        let error = self.explain(error, doing);
        if separable { Failed::Separable(error) } else { together(error) }
    }

    fn answer(&self, group: Vec<Pending>, done: &Done) {
        let committed = |version: u64, last_event: Option<usize>| Committed {
            version: Version::new(version),
            position: match (done.first, last_event) {
                (Some(first), Some(event)) => GlobalPosition::new(first + event as u64),
                _ => GlobalPosition::START,
            },
        };
        let answers: Vec<_> = done
            .fates
            .iter()
            .map(|fate| match fate {
                Fate::Stored { version, last_event } => Ok(committed(*version, *last_event)),
                Fate::Refused(error) => Err(error.clone()),
                Fate::Repeats(first) => match (done.fates.get(*first), group.get(*first)) {
                    (Some(Fate::Stored { version, last_event }), Some(first)) => {
                        Err(recorded(&first.commit, committed(*version, *last_event)))
                    }
                    // Only stored commits get an entry, so there is always a first one.
                    _ => Err(AppendError::ChainBroken),
                },
            })
            .collect();
        if let Some(first) = done.first {
            let last = GlobalPosition::new(first + done.events.saturating_sub(1) as u64);
            self.head.send_if_modified(|head| {
                last > *head && {
                    *head = last;
                    true
                }
            });
        }
        for (pending, answer) in group.into_iter().zip(answers) {
            pending.ticket.answer(answer);
        }
    }
}

fn together(error: StoreError) -> Failed {
    Failed::Together(AppendError::Store(error))
}

fn refuse(group: Vec<Pending>, failed: &Failed) {
    let error = match failed {
        Failed::Together(error) => error.clone(),
        Failed::Separable(error) => AppendError::Store(error.clone()),
    };
    // All chains first: whoever hears of a failure finds every chain of the group broken.
    for pending in &group {
        pending.commit.chain.break_off();
    }
    for pending in group {
        pending.ticket.answer(Err(error.clone()));
    }
}

/// Makes the ledger's record of a commit of this group, for another commit with the same key.
fn recorded(commit: &NewCommit, committed: Committed) -> AppendError {
    let Some(entry) = &commit.ledger else { return AppendError::ChainBroken };
    AppendError::KeyRecorded(Box::new(LedgerRecord {
        command: entry.command.clone(),
        hash: entry.hash,
        output: entry.output.clone(),
        stream: commit.stream.clone(),
        committed,
        events: commit.events.iter().map(|event| event.id).collect(),
    }))
}

/// Sends a group in one message. Gives the position of its first event, if it has events.
async fn send(connection: &mut SqliteConnection, request: Request, events: usize) -> Result<Option<u64>, SendError> {
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
