//! Carries a group of commits through one transaction and tells everybody what became of theirs.

use sqlx::sqlite::SqliteConnection;
use tokio::sync::MutexGuard;

use super::append::Wrap;
use super::error::{DbError, Fault, disconnected, fault, store_error};
use super::lookup::look_up;
use super::outcome::{SendError, send};
use super::pending::Question;
use super::script::Script;
use super::sync;
use super::writer::Writer;
use crate::event::GlobalPosition;
use crate::store::group::answer::{Failed, Pending, answer, raise, refuse};
use crate::store::group::plan::{Fate, Plan, State};
use crate::store::group::sync::{Syncs, is_connected};
use crate::store::{AppendError, NewCommit, StoreError};

/// A group that went through.
pub(super) struct Done {
    pub(super) fates: Vec<Fate>,
    /// The position of the group's first event, if it has events.
    pub(super) first: Option<u64>,
    pub(super) events: usize,
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
        let done = match self.write_on_trust(&mut slot, commits).await? {
            Some(done) => done,
            None => self.write_with_care(&mut slot, commits).await?,
        };
        // What is stored in a file that nobody finds any more is not acknowledged.
        let found = self.place.check_file();
        found.map_err(|error| Failed::Together(AppendError::Uncertain { reason: error.to_string() }))?;
        Ok(done)
    }

    /// Makes the connection again if it was lost. The one in memory was the database.
    pub(super) async fn ensure_connected<'a>(
        &self,
        slot: &'a mut MutexGuard<'_, Option<SqliteConnection>>,
    ) -> Result<&'a mut SqliteConnection, StoreError> {
        self.place.check_file()?;
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
        // What they fold has to be read under the write lock.
        if commits.iter().any(|commit| commit.projections.is_some()) {
            return Ok(None);
        }
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
        let connection = self.ensure_connected(slot).await.map_err(Failed::store)?;
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
                    let more = |more: &mut Script| sync::write(syncs, more, state);
                    self.texts.request_with(wrap, &plan, state, commits, &syncs.brought(), more)
                }
                None => self.texts.request(wrap, &plan, state, commits, &[]),
            };
            let connection = self.ensure_connected(slot).await.map_err(Failed::store)?;
            let sent = send(connection, request, plan.writes.events.len()).await;
            crate::fail_point::reached("append.stored");
            first = match sent {
                Ok(first) => first,
                Err(SendError { error, at_commit }) => {
                    self.end_transaction(slot, &error).await;
                    let certain = matches!(fault(&error), Fault::Constraint | Fault::Busy | Fault::Unfit);
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
        let separable = matches!(fault(&error), Fault::Constraint | Fault::Unfit);
        let error = self.explain(error, doing);
        if separable { Failed::Separable(error) } else { Failed::store(error) }
    }

    fn answer(&self, group: Vec<Pending>, done: &Done) {
        // A group without events has no first one, and nobody asks for the place of an event.
        let position =
            |event: usize| done.first.map_or(GlobalPosition::START, |first| GlobalPosition::new(first + event as u64));
        if done.first.is_some() {
            raise(&self.head, position(done.events.saturating_sub(1)));
        }
        answer(group, &done.fates, position);
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
