//! Carries a group of commits through one transaction and tells everybody what became of theirs.
//!
//! A group goes on trust first: it is decided on what the writer remembers, and one call stores it, if the unique constraints let it. Where
//! they do not, another process was faster: the group is decided anew on what is stored, some times over. What still does not get through is
//! tried commit by commit, each of which then either fits or is a conflict.

use super::append::append;
use super::error::{DbError, fault, store_error};
use super::lookup::look_up;
use super::outcome::Wrote;
use super::writer::Writer;
use crate::event::{GlobalPosition, Version};
use crate::store::group::answer::{Failed, Pending, answer, raise, refuse};
use crate::store::group::plan::{Fate, Open, Plan, State};
use crate::store::group::sync::is_connected;
use crate::store::{NewCommit, StoreError};

/// How often a group is decided anew before its commits are tried one by one; and how often one commit is.
const ROUNDS: usize = 3;
const ROUNDS_ALONE: usize = 8;

/// A group that went through.
pub(super) struct Done {
    pub(super) fates: Vec<Fate>,
    /// The positions of the group's events, in the order of its plan.
    pub(super) positions: Vec<i64>,
}

/// What one attempt came to.
pub(super) enum Attempt {
    Done(Done),
    /// Nothing is stored. What it was decided on has changed meanwhile, or the connection broke before it went through.
    Again(StoreError),
}

impl Writer {
    /// Stores a group and answers its tickets. A commit that shares no transaction with others is stored between those before it and those
    /// behind it.
    pub(super) async fn store(&mut self, group: Vec<Pending>) {
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
        let rounds = if group.len() > 1 { ROUNDS } else { ROUNDS_ALONE };
        match self.attempt(&commits, rounds).await {
            Ok(done) => self.answer(group, &done),
            Err(Failed::Separable(_)) if group.len() > 1 => {
                // Whatever a single commit brought with it must not fail its neighbours.
                for pending in group {
                    match self.attempt(&[&pending.commit], ROUNDS_ALONE).await {
                        Ok(done) => self.answer(vec![pending], &done),
                        Err(failed) => refuse(vec![pending], &failed),
                    }
                }
            }
            Err(failed) => refuse(group, &failed),
        }
    }

    async fn attempt(&mut self, commits: &[&NewCommit], rounds: usize) -> Result<Done, Failed> {
        self.line().await.map_err(Failed::store)?;
        if let Some(done) = self.write_on_trust(commits).await? {
            return Ok(done);
        }
        let synced = commits.iter().any(|commit| commit.projections.is_some());
        let mut round = 0;
        loop {
            let attempt =
                if synced { self.write_synced(commits).await? } else { self.write_with_care(commits).await? };
            round += 1;
            match attempt {
                Attempt::Done(done) => return Ok(done),
                // Somebody else's transaction stays open. Those whom it does not concern are not to wait for it again and again.
                Attempt::Again(error @ StoreError::Locked { .. }) => return Err(Failed::Separable(error)),
                Attempt::Again(error) if round >= rounds => return Err(Failed::Separable(error)),
                Attempt::Again(_) => {}
            }
        }
    }

    /// Makes sure that there are numbers for the streams that a group may begin.
    pub(super) async fn number_for(&mut self, commits: &[&NewCommit]) -> Result<(), Failed> {
        let new = commits.iter().filter(|commit| commit.expected == Version::NONE).count();
        let numbered = self.number(new).await;
        numbered.map_err(|error| self.failed(error, "numbering streams"))
    }

    /// Writes the group with one call, if nothing needs to be asked first. `None`: it must be; nothing is stored.
    async fn write_on_trust(&mut self, commits: &[&NewCommit]) -> Result<Option<Done>, Failed> {
        self.number_for(commits).await?;
        self.cache.number_behind(self.numbers.last);
        let Some(mut state) = self.cache.trusted_state(commits) else { return Ok(None) };
        let plan = Plan::draft(&mut Open, &mut state, commits.iter().copied());
        match self.write(plan, &state, commits).await? {
            Attempt::Done(done) => {
                self.cache.confirm();
                Ok(Some(done))
            }
            Attempt::Again(_) => {
                self.cache.doubt(commits);
                Ok(None)
            }
        }
    }

    /// Reads what is stored, decides, writes what passed, with nothing held in between: the constraints refuse what has changed by then.
    async fn write_with_care(&mut self, commits: &[&NewCommit]) -> Result<Attempt, Failed> {
        self.line().await.map_err(Failed::store)?;
        self.number_for(commits).await?;
        let (last_stream, patience) = (self.numbers.last, self.place.patience.clone());
        let line = self.line().await.map_err(Failed::store)?;
        let mut state = match patience.answered(look_up(&mut line.connection, commits)).await {
            Ok(state) => State { last_stream, ..state },
            Err(DbError::Store(error)) => return Err(Failed::Separable(error)),
            Err(DbError::Database(error)) => return self.read_failed(error, "reading what a commit touches"),
        };
        let plan = Plan::draft(&mut Open, &mut state, commits.iter().copied());
        self.write(plan, &state, commits).await
    }

    /// Writes what a plan says, in a transaction of its own.
    async fn write(&mut self, plan: Plan, state: &State, commits: &[&NewCommit]) -> Result<Attempt, Failed> {
        let mut positions = Vec::new();
        if !plan.writes.is_empty() {
            // What is on its way may be stored, whatever comes back: its numbers are given to no other stream.
            self.numbers.last = self.numbers.last.max(state.last_stream);
            let patience = self.place.patience.clone();
            let line = self.line().await.map_err(Failed::store)?;
            let sent = patience.answered(append(&mut line.connection, &plan, state, commits, None)).await;
            crate::fail_point::reached("append.stored");
            positions = match sent {
                Ok(positions) => positions,
                Err(error) => match self.after_error(error, &plan, commits).await? {
                    Wrote::Stored(positions) => positions,
                    Wrote::Nothing(error) => return Ok(Attempt::Again(error)),
                },
            };
        }
        Ok(Attempt::Done(self.finished(plan, state, commits, positions)))
    }

    /// Takes note that a plan went through.
    pub(super) fn finished(&mut self, plan: Plan, state: &State, commits: &[&NewCommit], positions: Vec<i64>) -> Done {
        plan.seal();
        self.numbers.last = self.numbers.last.max(state.last_stream);
        self.cache.learn(state, commits);
        Done { fates: plan.fates, positions }
    }

    /// Nothing was written yet, so a connection that broke can be made again.
    pub(super) fn read_failed(&mut self, error: sqlx::Error, doing: &str) -> Result<Attempt, Failed> {
        let kind = fault(&error);
        if kind.breaks_connection() {
            tracing::warn!(%error, "the connection that appends failed; it is made again");
            self.lose();
            return Ok(Attempt::Again(store_error(error, doing)));
        }
        if kind.is_contention() {
            return Ok(Attempt::Again(store_error(error, doing)));
        }
        Err(Failed::Separable(store_error(error, doing)))
    }

    pub(super) fn failed(&mut self, error: sqlx::Error, doing: &str) -> Failed {
        if fault(&error).breaks_connection() {
            self.lose();
        }
        Failed::store(store_error(error, doing))
    }

    fn answer(&self, group: Vec<Pending>, done: &Done) {
        let positions = &done.positions;
        if let Some(last) = positions.iter().max() {
            let last = GlobalPosition::new(last.cast_unsigned());
            raise(&self.head, last);
            raise(&self.stored, last);
        }
        answer(group, &done.fates, |event| {
            GlobalPosition::new(positions.get(event).copied().unwrap_or_default().cast_unsigned())
        });
    }
}
