//! Carries a group of commits through one transaction and tells everybody what became of theirs.
//!
//! A group goes on trust first: it is decided on what the writer remembers, and one call stores it, if the unique constraints let it. Where
//! they do not, another process was faster: the group is decided anew on what is stored, some times over. What still does not get through is
//! tried commit by commit, each of which then either fits or is a conflict.

use std::time::Duration;

use tokio::time::Instant;

use super::again::Trouble;
use super::append::append;
use super::aside;
use super::error::{DbError, Fault, fault, store_error};
use super::lookup::look_up;
use super::open::LOCK_TIMEOUT;
use super::sync::Trusted;
use super::writer::{GROUP_WAITS, Writer};
use crate::event::{GlobalPosition, Version};
use crate::store::group::answer::{Failed, Pending, answer, raise, refuse};
use crate::store::group::plan::{Fate, Open, Plan, State};
use crate::store::group::sync::{Syncs, is_connected};
use crate::store::{NewCommit, StoreError};

/// How often a group is decided anew before its commits are tried one by one; and how often one commit is.
const ROUNDS: usize = 3;
const ROUNDS_ALONE: usize = 8;

/// How long a group is halved, to find the commits that wait for somebody else's transaction.
const HALVING: Duration = Duration::from_millis(500);

/// A group that went through.
pub(super) struct Done {
    pub(super) fates: Vec<Fate>,
    /// The positions of the group's events, in the order of its plan.
    pub(super) positions: Vec<i64>,
}

/// What one attempt came to.
pub(super) enum Attempt {
    Done(Done),
    /// Nothing is stored. What it was decided on has changed meanwhile, or the server takes no writes.
    Again(StoreError),
    /// Nothing is stored. The connection is gone, and is made again.
    Lost(StoreError),
}

/// The attempts that are left for a group.
pub(super) struct Attempts {
    /// Those on a connection that lives.
    left: usize,
    trouble: Trouble,
}

impl Attempts {
    /// Returns what was done, or `None` if the group is to be tried again.
    pub(super) async fn after(&mut self, attempt: Attempt) -> Result<Option<Done>, Failed> {
        match attempt {
            Attempt::Done(done) => Ok(Some(done)),
            // Somebody else's transaction stays open. Those whom it does not concern are not to wait for it again and again.
            Attempt::Again(error @ StoreError::Locked { .. }) => Err(Failed::Separable(error)),
            Attempt::Again(error) => {
                self.left = self.left.saturating_sub(1);
                if self.left == 0 { Err(Failed::Separable(error)) } else { Ok(None) }
            }
            // It says nothing of the commits: they are not tried one by one.
            Attempt::Lost(error) => {
                if self.trouble.again().await {
                    Ok(None)
                } else {
                    Err(Failed::store(error))
                }
            }
        }
    }
}

impl Writer {
    /// Stores a group and answers its tickets. A commit that shares no transaction with others is stored between those before it and those
    /// behind it.
    pub(super) async fn store(&mut self, group: Vec<Pending>) {
        let group = self.without_those_aside(group);
        let mut before = Vec::new();
        for pending in group {
            if !is_connected(&pending.commit) {
                before.push(pending);
                continue;
            }
            if !before.is_empty() {
                self.store_group(std::mem::take(&mut before)).await;
            }
            if let Some((pending, _)) = self.try_one(pending).await {
                self.set_aside(pending);
            }
        }
        if !before.is_empty() {
            self.store_group(before).await;
        }
    }

    async fn store_group(&mut self, group: Vec<Pending>) {
        if let Some((group, _)) = self.try_group(group).await {
            self.halve(group).await;
        }
    }

    /// Stores a group and answers its tickets. Returns those commits, with the error, that somebody else's transaction keeps waiting: nothing of them
    /// is stored.
    pub(super) async fn try_group(&mut self, group: Vec<Pending>) -> Option<(Vec<Pending>, StoreError)> {
        let commits: Vec<&NewCommit> = group.iter().map(|pending| &pending.commit).collect();
        let rounds = if group.len() > 1 { ROUNDS } else { ROUNDS_ALONE };
        match self.attempt(&commits, rounds).await {
            Ok(done) => self.answer(group, &done),
            Err(Failed::Separable(error @ StoreError::Locked { .. })) => return Some((group, error)),
            // Whatever a single commit brought with it must not fail its neighbours.
            Err(Failed::Separable(_)) if group.len() > 1 => return self.try_one_by_one(group).await,
            Err(failed) => refuse(group, &failed),
        }
        None
    }

    async fn try_one_by_one(&mut self, group: Vec<Pending>) -> Option<(Vec<Pending>, StoreError)> {
        let (mut waiting, mut why) = (Vec::new(), None);
        for pending in group {
            // What comes behind one that waits, on its stream, waits with it.
            if waiting.iter().any(|before: &Pending| before.commit.stream == pending.commit.stream) {
                waiting.push(pending);
                continue;
            }
            match self.attempt(&[&pending.commit], ROUNDS_ALONE).await {
                Ok(done) => self.answer(vec![pending], &done),
                Err(Failed::Separable(error @ StoreError::Locked { .. })) => {
                    waiting.push(pending);
                    why = Some(error);
                }
                Err(failed) => refuse(vec![pending], &failed),
            }
        }
        Some((waiting, why?))
    }

    /// Stores one commit, of whatever kind. Returns it with the error if somebody else's transaction keeps it waiting.
    pub(super) async fn try_one(&mut self, pending: Pending) -> Option<(Pending, StoreError)> {
        if !is_connected(&pending.commit) {
            let (group, error) = self.try_group(vec![pending]).await?;
            return Some((group.into_iter().next()?, error));
        }
        match self.attempt_connected(&pending.commit).await {
            Ok(done) => self.answer(vec![pending], &done),
            Err(Failed::Separable(error @ StoreError::Locked { .. })) => return Some((pending, error)),
            Err(failed) => refuse(vec![pending], &failed),
        }
        None
    }

    /// Halves a group that waits for somebody else's transaction until it is known whose commits wait, and sets those aside.
    async fn halve(&mut self, group: Vec<Pending>) {
        let until = Instant::now() + HALVING;
        self.wait_for_locks(aside::TRY).await;
        // The last one comes next.
        let mut parts = halves(group);
        while let Some(part) = parts.pop() {
            let part = self.without_those_aside(part);
            if part.is_empty() {
                continue;
            }
            let tried =
                if Instant::now() < until { self.try_group(part).await.map(|(part, _)| part) } else { Some(part) };
            let Some(waits) = tried else { continue };
            if waits.len() == 1 || Instant::now() >= until {
                // If it took too long to find out, all of them wait.
                for pending in waits {
                    self.set_aside(pending);
                }
            } else {
                parts.extend(halves(waits));
            }
        }
        self.wait_for_locks(GROUP_WAITS).await;
    }

    /// Hands the commits over that wait for the same as others aside. Returns the rest.
    fn without_those_aside(&self, group: Vec<Pending>) -> Vec<Pending> {
        match &self.aside {
            Some(aside) => aside.take(group),
            None => group,
        }
    }

    fn set_aside(&self, pending: Pending) {
        match &self.aside {
            Some(aside) => aside.hand_over(pending),
            None => refuse(vec![pending], &Failed::store(StoreError::Locked { waited: LOCK_TIMEOUT })),
        }
    }

    async fn attempt(&mut self, commits: &[&NewCommit], rounds: usize) -> Result<Done, Failed> {
        if let Some(done) = self.write_on_trust(commits).await? {
            return Ok(done);
        }
        let synced = commits.iter().any(|commit| commit.projections.is_some());
        let mut attempts = self.attempts(rounds);
        loop {
            let attempt =
                if synced { self.write_synced(commits).await? } else { self.write_with_care(commits).await? };
            if let Some(done) = attempts.after(attempt).await? {
                return Ok(done);
            }
        }
    }

    pub(super) fn attempts(&self, rounds: usize) -> Attempts {
        Attempts { left: rounds, trouble: Trouble::new(self.place.connect_timeout) }
    }

    /// Makes sure that there is a connection, and that there are numbers for the streams that a group may begin. A connection that ended while it
    /// was idle shows here; numbers that were handed out and did not arrive are lost, which changes nothing.
    pub(super) async fn number_for(&mut self, commits: &[&NewCommit]) -> Result<(), Failed> {
        let new = commits.iter().filter(|commit| commit.expected == Version::NONE).count();
        let mut trouble = Trouble::new(self.place.connect_timeout);
        loop {
            self.line().await.map_err(Failed::store)?;
            let Err(error) = self.number(new).await else { return Ok(()) };
            let kind = fault(&error);
            if kind.breaks_connection() {
                self.lose();
            }
            if kind != Fault::Lost || !trouble.again().await {
                return Err(Failed::store(store_error(error, "numbering streams")));
            }
        }
    }

    /// Writes the group with one call, if nothing needs to be asked first. `None`: it must be; nothing is stored.
    async fn write_on_trust(&mut self, commits: &[&NewCommit]) -> Result<Option<Done>, Failed> {
        self.number_for(commits).await?;
        self.cache.number_behind(self.numbers.last);
        let Some(mut state) = self.cache.trusted_state(commits) else { return Ok(None) };
        let attempt = if let Some(syncs) = Syncs::of(commits) {
            let folded = self.cache.folded(&state, commits);
            let Some(attempt) = self.write_synced_on_trust(syncs, Trusted { state, folded }, commits).await? else {
                return Ok(None);
            };
            attempt
        } else {
            let plan = Plan::draft(&mut Open, &mut state, commits.iter().copied());
            self.write(plan, &state, commits).await?
        };
        match attempt {
            Attempt::Done(done) => {
                self.cache.confirm();
                Ok(Some(done))
            }
            // Somebody else's transaction stays open: with more care it would be waited for again.
            Attempt::Again(error @ StoreError::Locked { .. }) => {
                self.cache.doubt(commits);
                Err(Failed::Separable(error))
            }
            Attempt::Again(_) | Attempt::Lost(_) => {
                self.cache.doubt(commits);
                Ok(None)
            }
        }
    }

    /// Reads what is stored, decides, writes what passed, with nothing held in between: the constraints refuse what has changed by then.
    async fn write_with_care(&mut self, commits: &[&NewCommit]) -> Result<Attempt, Failed> {
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
            let sent = patience.answered(append(&mut line.connection, &plan, state, commits)).await;
            crate::fail_point::reached("append.stored");
            positions = match sent {
                Ok(positions) => positions,
                Err(error) => match self.after_error(error, &plan, commits).await?.positions() {
                    Ok(positions) => positions,
                    Err(again) => return Ok(again),
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
        }
        if kind == Fault::Lost {
            return Ok(Attempt::Lost(store_error(error, doing)));
        }
        if kind.is_contention() || kind.breaks_connection() {
            return Ok(Attempt::Again(store_error(error, doing)));
        }
        Err(Failed::Separable(store_error(error, doing)))
    }

    fn answer(&self, group: Vec<Pending>, done: &Done) {
        let positions = &done.positions;
        if let Some(last) = positions.iter().max() {
            let last = GlobalPosition::new(last.cast_unsigned());
            if let Some(era) = self.line.as_ref().and_then(|line| line.era.as_ref()) {
                self.place.histories.raise(era, last);
            }
            raise(&self.stored, last);
        }
        answer(group, &done.fates, |event| {
            GlobalPosition::new(positions.get(event).copied().unwrap_or_default().cast_unsigned())
        });
    }
}

/// Halves a group: the front half comes last.
fn halves(mut group: Vec<Pending>) -> Vec<Vec<Pending>> {
    let back = group.split_off(group.len() / 2);
    vec![back, group]
}
