//! Runs one partition under one lease: does what the [`Machine`] says.

mod batch;
mod report;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::health::{StopReason, SubscriptionState};
use super::machine::{Action, Machine};
use super::options::SubscriptionOptions;
use super::plan::{Parked, Plan};
use super::reader::{ReadError, Reader};
use super::shared::Shared;
use super::subscriber::{Mine, Subscriber};
use super::work::{Folding, Meters};
use crate::event::{AnyEvent, GlobalPosition, Recorded};
use crate::handler::Dependencies;
use crate::store::{History, PartitionId, SafePosition, Store, StoreError, SubscriptionStatus};

/// Why a worker ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It was asked to, and has finished the batch at hand.
    Drained,
    /// The partition is another's, or was moved.
    Fenced,
    /// It will not go on by itself.
    Stopped(StopReason),
}

type Flow = ControlFlow<Ended>;

/// What a worker is given.
pub(crate) struct Task<S> {
    pub(crate) store: S,
    pub(crate) subscriber: Arc<Subscriber>,
    pub(crate) id: PartitionId,
    pub(crate) epoch: u64,
    pub(crate) shared: Arc<Shared>,
    pub(crate) options: Arc<SubscriptionOptions>,
    pub(crate) dependencies: Arc<Dependencies>,
    pub(crate) tail: watch::Receiver<GlobalPosition>,
    /// Turns true, or is gone, when the worker is to end.
    pub(crate) stop: watch::Receiver<bool>,
    /// Changes when letters may have been taken away.
    pub(crate) refresh: watch::Receiver<()>,
    /// Until when the lease holds.
    pub(crate) lease: watch::Receiver<Instant>,
}

pub(crate) struct Worker<S> {
    task: Task<S>,
    machine: Machine,
    reader: Reader<S>,
    /// The events of the page that concern the partition.
    events: Vec<Recorded<AnyEvent>>,
    /// The end of the page.
    page_end: SafePosition,
    position: GlobalPosition,
    at_head: bool,
    /// What everything here was read in.
    history: History,
    folding: Folding,
    meters: Meters,
    started: Instant,
}

/// How long a worker that is told of news goes without a look of its own.
const WITH_TAIL: Duration = Duration::from_secs(30);

impl<S: Store> Worker<S> {
    pub(crate) fn new(task: Task<S>) -> Self {
        let mut limits = task.options.limits(&task.subscriber);
        if task.store.poll_interval().is_some() {
            // One task of the application asks for the head as often as that: its workers need not ask, too.
            limits.idle = limits.idle.max(WITH_TAIL);
        }
        let start = GlobalPosition::START;
        Self {
            machine: Machine::new(limits, task.shared.switching(&task.id.name)),
            reader: Reader::new(task.store.clone(), start, task.options.batch.max(1)),
            events: Vec::new(),
            page_end: SafePosition(start),
            position: start,
            at_head: false,
            history: task.store.history(),
            folding: Folding::default(),
            meters: Meters::new(&task.id),
            started: Instant::now(),
            task,
        }
    }

    /// Runs until it is stopped, loses its lease, or cannot go on.
    pub(crate) async fn run(mut self) -> Ended {
        self.task.shared.update(&self.task.id, |health| health.state = SubscriptionState::Running);
        loop {
            if *self.task.stop.borrow() || self.task.stop.has_changed().is_err() {
                return Ended::Drained;
            }
            if Instant::now() >= *self.task.lease.borrow() {
                tracing::warn!(subscription = %self.task.id.name, partition = self.task.id.partition, "the lease was not renewed in time");
                return Ended::Fenced;
            }
            if self.history.is_over() {
                // What was read may be missing from the log, and the lease may be another's.
                tracing::warn!(subscription = %self.task.id.name, partition = self.task.id.partition, "the store's history is another one; beginning again at the checkpoint");
                return Ended::Fenced;
            }
            if self.task.refresh.has_changed().unwrap_or(false) {
                self.task.refresh.mark_unchanged();
                self.machine.refresh();
            }
            self.machine.set_switching(self.task.shared.switching(&self.task.id.name));
            match self.step().await {
                ControlFlow::Continue(()) => {}
                // Pages of two histories do not fit each other. That says nothing of either.
                ControlFlow::Break(Ended::Stopped(_)) if self.history.is_over() => return Ended::Fenced,
                ControlFlow::Break(ended) => return ended,
            }
        }
    }

    async fn step(&mut self) -> Flow {
        let items = Mine { subscriber: &self.task.subscriber, events: &self.events };
        let action = self.machine.next(self.started.elapsed(), &items);
        self.act(action).await
    }

    async fn act(&mut self, action: Action) -> Flow {
        match action {
            Action::Load => self.load().await,
            Action::Read => self.read().await,
            Action::Run(plan) => {
                let span = self.span(&plan);
                self.batch(plan).instrument(span).await
            }
            Action::Wait { until, news } => {
                self.wait(until, news).await;
                Flow::Continue(())
            }
            Action::Stop(reason) => Flow::Break(Ended::Stopped(reason)),
        }
    }

    fn span(&self, plan: &Plan) -> tracing::Span {
        let (id, events) = (&self.task.id, plan.handled.len());
        if self.task.subscriber.is_monitored() {
            tracing::info_span!("subscription_batch", subscription = %id.name, version = id.version, partition = id.partition, events)
        } else {
            tracing::debug_span!("subscription_batch", subscription = %id.name, version = id.version, partition = id.partition, events)
        }
    }

    async fn wait(&mut self, until: Duration, news: bool) {
        let Task { stop, tail, refresh, .. } = &mut self.task;
        let woken = tokio::select! {
            // An error says that the keeper is gone: `run` sees it.
            _ = stop.changed() => false,
            // Marked as unseen, for `run`.
            changed = refresh.changed() => {
                if changed.is_ok() {
                    refresh.mark_changed();
                }
                false
            }
            changed = tail.changed(), if news => changed.is_ok(),
            () = tokio::time::sleep_until(self.started + until) => news,
        };
        if woken {
            self.machine.woken();
        }
    }

    async fn load(&mut self) -> Flow {
        match self.try_load().await {
            Ok(flow) => flow,
            Err(error) => self.store_failed(&error),
        }
    }

    async fn try_load(&mut self) -> Result<Flow, StoreError> {
        let Task { store, id, epoch, options, .. } = &self.task;
        let checkpoints = store.checkpoints(&id.name, id.version).await?;
        let Some(checkpoint) = checkpoints.into_iter().find(|checkpoint| checkpoint.id.partition == id.partition)
        else {
            return Ok(Flow::Break(Ended::Stopped(StopReason::Dropped)));
        };
        if checkpoint.epoch != *epoch {
            return Ok(Flow::Break(Ended::Fenced));
        }
        if checkpoint.status != SubscriptionStatus::Running {
            return Ok(Flow::Break(Ended::Drained));
        }
        let head = store.head().await?;
        if checkpoint.position > head {
            let position = checkpoint.position;
            return Ok(Flow::Break(Ended::Stopped(StopReason::AheadOfLog { position, head })));
        }
        let keys = store.parked_keys(id).await?;
        let letters = usize::try_from(checkpoint.letters).unwrap_or(usize::MAX);
        self.position = checkpoint.position;
        self.reader = Reader::new(store.clone(), checkpoint.position, options.batch.max(1));
        self.events.clear();
        self.folding.forget();
        self.machine.loaded(Parked { keys: keys.into_iter().collect(), letters });
        self.publish();
        Ok(Flow::Continue(()))
    }

    async fn read(&mut self) -> Flow {
        // What comes after this look wakes the worker again.
        self.task.tail.borrow_and_update();
        let page = match self.reader.page().await {
            Ok(page) => page,
            Err(ReadError::Gap(gap)) => return Flow::Break(Ended::Stopped(StopReason::Gap(gap))),
            Err(ReadError::Store(error)) => return self.store_failed(&error),
        };
        self.events.clear();
        for event in page.events {
            match self.task.subscriber.concerns(&event, self.task.id.partition) {
                Ok(true) => self.events.push(event),
                Ok(false) => {}
                Err(reason) => return self.stop_before(&event, reason),
            }
        }
        self.page_end = page.to;
        let moves = page.to.get() > self.position;
        self.at_head = !page.full;
        self.machine.read(self.events.len(), moves, page.full, self.started.elapsed());
        if !moves {
            self.publish();
        }
        Flow::Continue(())
    }

    /// What stands in the page before an event that cannot be dealt with is not lost: it is read again after a resume.
    fn stop_before(&self, event: &Recorded<AnyEvent>, reason: StopReason) -> Flow {
        tracing::error!(subscription = %self.task.id.name, position = %event.position(), "an event cannot be dealt with");
        Flow::Break(Ended::Stopped(reason))
    }

    fn store_failed(&mut self, error: &StoreError) -> Flow {
        match error {
            StoreError::Closed => Flow::Break(Ended::Stopped(StopReason::Closed)),
            StoreError::Gone { .. } => Flow::Break(Ended::Stopped(StopReason::Dropped)),
            error => {
                let attempt = self.machine.store_failed(self.started.elapsed());
                tracing::warn!(subscription = %self.task.id.name, partition = self.task.id.partition, attempt, %error, "the store failed; trying again");
                self.meters.retried();
                self.retrying(attempt, error.to_string());
                Flow::Continue(())
            }
        }
    }
}
