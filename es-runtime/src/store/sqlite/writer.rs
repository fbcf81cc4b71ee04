//! The one task that writes: it takes what stands in line, makes groups of it, and stores each group with one flush.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::append::Texts;
use super::batch::PendingBatch;
use super::error::disconnected;
use super::job::Job;
use super::open::Place;
use super::options::SqliteOptions;
use super::readers::SharedConnection;
use super::{identity, ledger};
use crate::event::GlobalPosition;
use crate::store::group::answer::Pending;
use crate::store::group::cache::StreamCache;
use crate::store::group::limits::{GroupLimits, Size};
use crate::store::{ExternalId, StoreError};

/// How many batches of projections share one transaction at most: commits wait meanwhile.
const BATCHES_AT_ONCE: usize = 16;

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Work {
    Commit(Pending),
    Identify(Identify),
    Forget(Forget),
    Batch(PendingBatch),
    Job(Box<dyn Job>),
    Close(oneshot::Sender<()>),
}

/// An id of another system that needs a key.
#[derive(Debug)]
pub(super) struct Identify {
    pub(super) external: ExternalId,
    pub(super) candidate: String,
    pub(super) answer: oneshot::Sender<Result<String, StoreError>>,
}

/// A request to forget entries of the ledger.
#[derive(Debug)]
pub(super) struct Forget {
    pub(super) before: DateTime<Utc>,
    pub(super) forgotten: u64,
    pub(super) answer: oneshot::Sender<Result<u64, StoreError>>,
}

#[derive(Debug)]
pub(super) struct Writer {
    pub(super) place: Place,
    pub(super) connection: SharedConnection,
    pub(super) cache: StreamCache,
    pub(super) texts: Texts,
    pub(super) head: Arc<watch::Sender<GlobalPosition>>,
    queue: mpsc::Receiver<Work>,
    limits: GroupLimits,
    linger: Duration,
}

/// What was taken out of the line for one turn.
#[derive(Default)]
struct Turn {
    commits: Vec<Pending>,
    size: Size,
    identities: Vec<Identify>,
    batches: Vec<PendingBatch>,
    jobs: Vec<Box<dyn Job>>,
    closing: Vec<oneshot::Sender<()>>,
}

impl Turn {
    fn take(&mut self, work: Work, forgetting: &mut Vec<Forget>) {
        match work {
            Work::Commit(pending) => {
                self.size.add(&pending.commit);
                self.commits.push(pending);
            }
            Work::Identify(identify) => self.identities.push(identify),
            Work::Forget(forget) => forgetting.push(forget),
            Work::Batch(batch) => self.batches.push(batch),
            Work::Job(job) => self.jobs.push(job),
            Work::Close(closed) => self.closing.push(closed),
        }
    }
}

impl Writer {
    pub(super) fn new(
        place: Place,
        options: &SqliteOptions,
        connection: SharedConnection,
        head: Arc<watch::Sender<GlobalPosition>>,
        queue: mpsc::Receiver<Work>,
    ) -> Self {
        Self {
            place,
            connection,
            cache: StreamCache::new(options.cached_streams, options.sole_owner),
            texts: Texts::default(),
            head,
            queue,
            limits: options.group,
            linger: options.linger,
        }
    }

    /// Works until the store is closed or its last handle is gone, and everything that was in line is done.
    pub(super) async fn run(mut self) {
        let mut closing = Vec::new();
        // What did not fit into the last group, and ledgers that are being forgotten piece by piece.
        let mut held: Option<Work> = None;
        let mut forgetting: Vec<Forget> = Vec::new();
        let mut target = 0;
        loop {
            let next = match held.take() {
                Some(work) => Some(work),
                // With something left to forget, a look is enough; else sleep until there is work.
                None if !forgetting.is_empty() => self.queue.try_recv().ok(),
                None => match self.queue.recv().await {
                    Some(work) => Some(work),
                    None => break,
                },
            };
            let mut turn = Turn::default();
            if let Some(work) = next {
                turn.take(work, &mut forgetting);
                held = self.fill(&mut turn, &mut forgetting, target).await;
            }
            if !turn.closing.is_empty() {
                // Nothing more comes in; what is in line is still handed out.
                self.queue.close();
                closing.append(&mut turn.closing);
            }
            let commits = turn.commits.len();
            if commits > 0 {
                self.store(turn.commits).await;
            }
            if !turn.identities.is_empty() {
                self.identify(turn.identities).await;
            }
            if !turn.batches.is_empty() {
                self.project(turn.batches).await;
            }
            for job in turn.jobs {
                self.run_job(job).await;
            }
            if let Some(forget) = forgetting.pop() {
                forgetting.extend(self.forget(forget).await);
            }
            // How many are worth waiting for next time: only if there was company.
            let company = commits + self.queue.len() + usize::from(held.is_some());
            target = if company > 1 { company } else { 0 };
        }
        if let Some(connection) = self.connection.lock().await.take() {
            // Closing the last connection moves the write-ahead log into the file. Should that fail, the next open does it.
            let _ = connection.close().await;
        }
        for closed in closing {
            let _nobody_waits = closed.send(());
        }
    }

    /// Fills a turn from the line, up to the limits. Gives back what did not fit.
    async fn fill(&mut self, turn: &mut Turn, forgetting: &mut Vec<Forget>, target: usize) -> Option<Work> {
        let mut until = None;
        loop {
            while turn.commits.len() < self.limits.commits && turn.batches.len() < BATCHES_AT_ONCE {
                let Ok(work) = self.queue.try_recv() else { break };
                if let Work::Commit(pending) = &work
                    && !self.limits.let_in(&turn.size, &pending.commit)
                {
                    return Some(work);
                }
                turn.take(work, forgetting);
            }
            let full = turn.commits.len() >= target.min(self.limits.commits) || turn.batches.len() >= BATCHES_AT_ONCE;
            if full || self.queue.is_closed() {
                return None;
            }
            // Those who were answered a moment ago are about to ask again. Without waiting for them, callers split into two
            // halves that take turns. A timer of tokio is too coarse for this: yielding lets them run.
            let until = *until.get_or_insert_with(|| Instant::now() + self.linger);
            if Instant::now() >= until {
                return None;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Gives all ids of a turn their keys, in one transaction.
    async fn identify(&mut self, wanted: Vec<Identify>) {
        let pairs: Vec<_> = wanted.iter().map(|wanted| (&wanted.external, wanted.candidate.as_str())).collect();
        let result = {
            let mut slot = self.connection.lock().await;
            match self.ensure_connected(&mut slot).await {
                Ok(connection) => identity::identify(connection, &pairs)
                    .await
                    .map_err(|error| self.explain(error, "storing an identity")),
                Err(error) => Err(error),
            }
        };
        match result {
            Ok(keys) => {
                for (wanted, key) in wanted.into_iter().zip(keys) {
                    let _nobody_waits = wanted.answer.send(key.ok_or_else(disconnected));
                }
            }
            Err(error) => {
                for wanted in wanted {
                    let _nobody_waits = wanted.answer.send(Err(error.clone()));
                }
            }
        }
    }

    /// Forgets a piece of the ledger. Gives the request back if there is more.
    async fn forget(&mut self, mut forget: Forget) -> Option<Forget> {
        let result = {
            let mut slot = self.connection.lock().await;
            match self.ensure_connected(&mut slot).await {
                Ok(connection) => ledger::forget_some(connection, forget.before)
                    .await
                    .map_err(|error| self.explain(error, "forgetting ledger entries")),
                Err(error) => Err(error),
            }
        };
        let answer = match result {
            Ok((forgotten, more)) => {
                forget.forgotten += forgotten;
                if more {
                    return Some(forget);
                }
                Ok(forget.forgotten)
            }
            Err(error) => Err(error),
        };
        let _nobody_waits = forget.answer.send(answer);
        None
    }
}
