//! Runs one partition under one lease: does what the [`Machine`] says.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::health::{StopReason, SubscriptionState};
use super::machine::{Action, Machine, Outcome};
use super::options::SubscriptionOptions;
use super::plan::{Parked, Plan};
use super::reader::{ReadError, Reader};
use super::shared::Shared;
use super::subscriber::{Mine, Subscriber};
use super::work::{Folding, Made, Meters, run_external};
use crate::event::{AnyEvent, GlobalPosition, Recorded};
use crate::handler::Dependencies;
use crate::projection::{FailurePolicy, ProjectionFailure, Registered};
use crate::store::{
    Batch, BatchDone, BatchError, BatchWork, NewLetter, PartitionId, SafePosition, Store, StoreError,
    SubscriptionStatus,
};

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
    folding: Folding,
    meters: Meters,
    started: Instant,
}

impl<S: Store> Worker<S> {
    pub(crate) fn new(task: Task<S>) -> Self {
        let limits = task.options.limits(matches!(task.subscriber.registered, Registered::Connected(_)));
        let start = GlobalPosition::START;
        Self {
            machine: Machine::new(limits, task.shared.is_building(&task.id.name)),
            reader: Reader::new(task.store.clone(), start, task.options.batch.max(1)),
            events: Vec::new(),
            page_end: SafePosition(start),
            position: start,
            at_head: false,
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
            self.machine.set_building(self.task.shared.is_building(&self.task.id.name));
            if let ControlFlow::Break(ended) = self.step().await {
                return ended;
            }
        }
    }

    async fn step(&mut self) -> Flow {
        let items = Mine { subscriber: &self.task.subscriber, events: &self.events };
        match self.machine.next(self.started.elapsed(), &items) {
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
        let Task { stop, tail, .. } = &mut self.task;
        let woken = tokio::select! {
            // An error says that the keeper is gone: `run` sees it.
            _ = stop.changed() => false,
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

    async fn batch(&mut self, plan: Plan) -> Flow {
        let Task { store, subscriber, dependencies, options, .. } = &self.task;
        let items = Mine { subscriber, events: &self.events };
        let events = || plan.handled.iter().filter_map(|item| self.events.get(*item)).cloned().collect::<Vec<_>>();
        if plan.handled.is_empty() {
            return self.store_batch(plan, BatchWork::Nothing).await;
        }
        match &subscriber.registered {
            // Where a letter's rows are not known, its retry may change any row: then it is folded inside the store, on what is there.
            Registered::Folded(projector) if subscriber.projection.has_sync() || self.machine.parks_streams() => {
                let work = BatchWork::Fold { projector: Arc::clone(projector), events: events() };
                self.store_batch(plan, work).await
            }
            Registered::Folded(projector) => {
                let made = self.folding.fold(store, &**projector, &self.machine, &plan, &items).await;
                match made {
                    Ok(Made::Batch(plan, work)) => self.store_batch(plan, work).await,
                    Ok(Made::Stop(reason)) => Flow::Break(Ended::Stopped(reason)),
                    Ok(Made::Unstorable(plan, failure)) => self.unstorable(&plan, failure),
                    Err(error) => self.store_failed(&error),
                }
            }
            Registered::Connected(projector) => {
                let (projector, timeout) = (Arc::clone(projector), options.connected_timeout);
                let work = BatchWork::Connected { projector, events: events(), timeout };
                self.store_batch(plan, work).await
            }
            Registered::External(projector) => {
                let done =
                    run_external(&**projector, dependencies, &events(), options.external_timeout, &self.task.lease)
                        .await;
                match done {
                    Ok(true) => self.store_batch(plan, BatchWork::Nothing).await,
                    Ok(false) => Flow::Break(Ended::Fenced),
                    Err((place, failure)) => self.external_failed(plan, place, failure).await,
                }
            }
        }
    }

    /// What an external function did before one that failed is done: its checkpoint moves.
    async fn external_failed(&mut self, mut plan: Plan, place: usize, failure: ProjectionFailure) -> Flow {
        let item = plan.handled.get(place).copied().unwrap_or(plan.range.start);
        if place > 0 {
            plan.cut(item);
            let before = self.position;
            self.store_batch(plan, BatchWork::Nothing).await?;
            if self.position == before {
                return Flow::Continue(());
            }
        }
        self.event_failed(item, true, &failure)
    }

    async fn store_batch(&mut self, plan: Plan, work: BatchWork) -> Flow {
        let batch = self.make(&plan, work);
        let to = batch.to;
        match self.task.store.project(batch).await {
            Ok(done) => {
                self.stored(plan, done, to);
                Flow::Continue(())
            }
            Err(error) => {
                self.folding.forget();
                self.not_stored(&plan, error)
            }
        }
    }

    fn make(&self, plan: &Plan, work: BatchWork) -> Batch {
        let at = Utc::now();
        let letter = |planned: &super::plan::PlannedLetter| {
            let event = self.events.get(planned.item)?;
            Some(NewLetter {
                key: planned.key.clone(),
                stream: event.stream().clone(),
                position: event.position(),
                event: event.id(),
                cause: planned.cause.clone(),
                attempts: planned.attempts,
                at,
            })
        };
        Batch {
            id: self.task.id.clone(),
            epoch: self.task.epoch,
            from: self.position,
            to: Some(self.end_of(plan)),
            work,
            letters: plan.letters.iter().filter_map(letter).collect(),
            parked: plan.relied.iter().cloned().collect(),
            settles: None,
            switch: plan.switch,
        }
    }

    /// The position up to which everything is dealt with once a plan is stored.
    fn end_of(&self, plan: &Plan) -> SafePosition {
        if plan.range.end >= self.events.len() {
            return self.page_end;
        }
        let last = plan.range.end.checked_sub(1).and_then(|last| self.events.get(last));
        SafePosition(last.map_or(self.position, Recorded::position))
    }

    fn stored(&mut self, plan: Plan, done: BatchDone, to: Option<SafePosition>) {
        self.position = to.map_or(self.position, SafePosition::get);
        self.meters.handled(plan.handled.len());
        let causes = plan.letters.iter().filter(|letter| letter.cause.is_some()).count();
        self.meters.parked(plan.letters.len());
        self.meters.skipped(plan.skipped);
        if causes + plan.skipped > 0 {
            tracing::warn!(
                subscription = %self.task.id.name, partition = self.task.id.partition,
                parked = causes, skipped = plan.skipped, position = %self.position, "events failed"
            );
        }
        let last = plan.range.end.checked_sub(1).and_then(|last| self.events.get(last));
        let age = last.map(|event| Utc::now() - event.recorded_at());
        self.machine.stored(plan, done.switched, self.started.elapsed());
        self.folding.trim(self.at_head);
        self.meters.age(age.filter(|_| !self.is_at_head()));
        self.publish();
        if done.switched {
            self.switched();
        }
    }

    fn switched(&self) {
        let Task { id, shared, .. } = &self.task;
        tracing::info!(subscription = %id.name, version = id.version, "the new version serves");
        shared.switched(&id.name, id.version);
        // The keeper drops older versions, as far as nobody runs them.
        shared.nudge.notify_one();
        self.publish();
    }

    fn not_stored(&mut self, plan: &Plan, error: BatchError) -> Flow {
        match error {
            BatchError::Fenced => Flow::Break(Ended::Fenced),
            BatchError::LettersChanged => {
                self.machine.reload();
                Flow::Continue(())
            }
            BatchError::Failed { index, failure } => {
                let item = plan.handled.get(index).copied().unwrap_or(plan.range.start);
                self.event_failed(item, index == 0, &failure)
            }
            BatchError::Store(error) => self.store_failed(&error),
            BatchError::Uncertain { reason } => {
                self.machine.store_failed(self.started.elapsed());
                self.machine.reload();
                self.retrying(1, reason);
                Flow::Continue(())
            }
        }
    }

    fn event_failed(&mut self, item: usize, first: bool, failure: &ProjectionFailure) -> Flow {
        let Some(event) = self.events.get(item) else {
            self.machine.reload();
            return Flow::Continue(());
        };
        let failure = self.task.subscriber.failure(event, failure);
        match self.machine.failed(item, first, &failure, self.started.elapsed()) {
            Outcome::Cut | Outcome::Decided(FailurePolicy::Stop) => {}
            Outcome::Retry(attempt) => {
                self.meters.retried();
                self.retrying(attempt, failure.cause);
            }
            Outcome::Decided(policy) => {
                tracing::warn!(
                    subscription = %self.task.id.name, position = %event.position(), stream = %event.stream(),
                    event = %event.id(), ?policy, cause = %failure.cause, "an event failed for good"
                );
            }
        }
        Flow::Continue(())
    }

    /// A row cannot be stored, and it is not known which event made it so: the batch is halved until it is one event.
    fn unstorable(&mut self, plan: &Plan, failure: ProjectionFailure) -> Flow {
        if self.machine.narrow(plan) {
            return Flow::Continue(());
        }
        let item = plan.handled.first().copied().unwrap_or(plan.range.start);
        self.event_failed(item, true, &failure)
    }

    fn store_failed(&mut self, error: &StoreError) -> Flow {
        self.folding.forget();
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

    fn retrying(&self, attempt: u32, cause: String) {
        self.show(SubscriptionState::Retrying { attempt, cause });
    }

    fn is_at_head(&self) -> bool {
        self.at_head && self.position >= self.page_end.get()
    }

    fn publish(&self) {
        let head = self.head();
        let (done, total) = (self.position.get(), head.get());
        let state = if self.task.shared.is_building(&self.task.id.name) {
            SubscriptionState::Building
        } else if self.position >= head {
            SubscriptionState::CaughtUp
        } else if self.at_head {
            SubscriptionState::Running
        } else {
            SubscriptionState::CatchingUp { done, total }
        };
        self.show(state);
        if self.task.shared.is_building(&self.task.id.name) {
            self.task.shared.measure(&self.task.id.name, self.task.id.version);
        }
    }

    fn head(&self) -> GlobalPosition {
        (*self.task.tail.borrow()).max(self.position).max(self.page_end.get())
    }

    fn show(&self, state: SubscriptionState) {
        let (head, position, parked) = (self.head(), self.position, self.machine.parked());
        if !self.machine.is_loaded() {
            // It knows no position yet, or not any more.
            self.task.shared.update(&self.task.id, |health| health.state = state);
            return;
        }
        let lag = head.get() - position.get();
        self.meters.lag(lag);
        let seconds = if lag == 0 { 0.0 } else { self.meters.lag_seconds() };
        self.task.shared.update(&self.task.id, |health| {
            health.position = position;
            health.head = head;
            health.state = state;
            health.lag_events = lag;
            health.lag_seconds = seconds;
            (health.parked_keys, health.letters) = (parked.keys.len(), parked.letters);
        });
    }
}
