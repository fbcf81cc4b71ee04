//! Carries a group of commits through one transaction and tells everybody what became of theirs.

use sqlx::sqlite::SqliteConnection;
use tokio::sync::MutexGuard;

use super::append::Wrap;
use super::error::{DbError, Fault, disconnected, fault, store_error};
use super::lookup::look_up;
use super::outcome::{SendError, send};
use super::pending::Question;
use super::sync;
use super::writer::Writer;
use crate::event::{GlobalPosition, Version};
use crate::store::group::plan::{Fate, Plan, State};
use crate::store::group::sync::{Syncs, is_connected};
use crate::store::{AppendError, Committed, LedgerRecord, NewCommit, StoreError, TicketSender};

/// A commit in line, and who waits for it.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) commit: NewCommit,
    pub(super) ticket: TicketSender,
}

/// A group that went through.
pub(super) struct Done {
    pub(super) fates: Vec<Fate>,
    /// The position of the group's first event, if it has events.
    pub(super) first: Option<u64>,
    pub(super) events: usize,
}

/// A group that did not go through.
pub(super) enum Failed {
    /// No commit of it is stored, or nobody knows.
    Together(AppendError),
    /// No commit of it is stored, and one commit may be the cause: each is tried alone.
    Separable(StoreError),
}

impl Writer {
    /// Stores a group and answers its tickets. A commit that shares no transaction with others is stored between those before it and those
    /// behind it.
    pub(super) async fn store(&mut self, group: Vec<Pending>) {
        if !group.iter().any(|pending| is_connected(&pending.commit)) {
            return self.store_group(group).await;
        }
        let mut before = Vec::new();
        for pending in group {
            if !is_connected(&pending.commit) {
                before.push(pending);
                continue;
            }
            if !before.is_empty() {
                self.store_group(std::mem::take(&mut before)).await;
            }
            match self.attempt_connected(&pending.commit).await {
                Ok(done) => self.answer(vec![pending], &done),
                Err(failed) => refuse(vec![pending], &failed),
            }
        }
        if !before.is_empty() {
            self.store_group(before).await;
        }
    }

    async fn store_group(&mut self, group: Vec<Pending>) {
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
        match self.write(slot, Wrap::Whole, plan, &state, commits, None).await {
            Ok(done) => {
                self.cache.confirm();
                Ok(Some(done))
            }
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
        let (mut state, mut syncs) = match read(connection, commits, begin).await {
            Ok(read) => read,
            Err(DbError::Database(error)) => {
                self.end_transaction(slot, &error).await;
                return Err(self.failed(error, "reading what a commit touches"));
            }
            Err(DbError::Store(error)) => {
                self.roll_back(slot).await;
                return Err(Failed::Separable(error));
            }
        };
        let plan = match &mut syncs {
            Some(syncs) => Plan::decide_at(syncs, &mut state, commits.iter().copied()),
            None => Plan::decide(&mut state, commits.iter().copied()),
        };
        if plan.writes.is_empty() && begin {
            self.roll_back(slot).await;
        }
        self.write(slot, Wrap::Begun, plan, &state, commits, syncs).await
    }

    /// Writes what a plan says and commits it. Afterwards no transaction is open.
    async fn write(
        &mut self,
        slot: &mut MutexGuard<'_, Option<SqliteConnection>>,
        wrap: Wrap,
        plan: Plan,
        state: &State,
        commits: &[&NewCommit],
        syncs: Option<Syncs>,
    ) -> Result<Done, Failed> {
        let mut first = None;
        if !plan.writes.is_empty() {
            let request = match &syncs {
                Some(syncs) => {
                    crate::fail_point::reached("append.folded");
                    self.texts.request_with(wrap, &plan, state, commits, |more| sync::write(syncs, more, state))
                }
                None => self.texts.request(wrap, &plan, state, commits),
            };
            let connection = self.ensure_connected(slot).await.map_err(together)?;
            let sent = send(connection, request, plan.writes.events.len()).await;
            crate::fail_point::reached("append.stored");
            first = match sent {
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

    pub(super) fn explain(&self, error: sqlx::Error, doing: &str) -> StoreError {
        store_error(error, doing, self.place.busy_timeout)
    }

    pub(super) fn failed(&self, error: sqlx::Error, doing: &str) -> Failed {
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

/// Reads, and keeps the write lock where it was asked for, what commits and their synchronous projections stand on.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    commits: &[&NewCommit],
    begin: bool,
) -> Result<(State, Option<Syncs>), DbError> {
    let Some(mut syncs) = Syncs::of(commits) else {
        return Ok((look_up(connection, commits, begin, None).await?, None));
    };
    let mut question = Question::new(syncs.asked());
    let state = look_up(connection, commits, begin, Some(&mut question)).await?;
    sync::load(&mut syncs, connection, question, commits).await?;
    Ok((state, Some(syncs)))
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
