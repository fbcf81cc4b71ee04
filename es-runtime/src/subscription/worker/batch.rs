//! Batches: made, stored, and what follows from a failure.

use std::sync::Arc;

use chrono::Utc;

use super::{Ended, Flow, Task, Worker};
use crate::event::Recorded;
use crate::projection::{FailurePolicy, ProjectionFailure, Registered};
use crate::store::{Batch, BatchDone, BatchError, BatchWork, NewLetter, SafePosition, Store, StoreError};
use crate::subscription::machine::{Action, Outcome};
use crate::subscription::plan::{Plan, PlannedLetter};
use crate::subscription::subscriber::Mine;
use crate::subscription::work::{Made, run_external};
use crate::time;

impl<S: Store> Worker<S> {
    pub(super) async fn batch(&mut self, plan: Plan) -> Flow {
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
                    Ok(Made::Stop(reason)) => match self.machine.stop(reason) {
                        Action::Stop(reason) => Flow::Break(Ended::Stopped(reason)),
                        _ => Flow::Continue(()),
                    },
                    Ok(Made::Unstorable(plan, failure)) => self.unstorable(&plan, &failure),
                    Err(StoreError::Refused { reason }) => {
                        self.unstorable(&plan, &ProjectionFailure::Failed { handler: "", cause: reason })
                    }
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
        let at = time::now();
        let letter = |planned: &PlannedLetter| {
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
            history: self.history.clone(),
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
        self.machine.stored(plan, done.switched || done.folds, self.started.elapsed());
        self.folding.trim(self.at_head);
        self.meters.age(age.filter(|_| !self.is_at_head()));
        self.publish();
        if done.switched {
            self.switched();
        } else if done.folds {
            let Task { id, shared, .. } = &self.task;
            tracing::info!(subscription = %id.name, version = id.version, "commits fold what they append again");
            shared.folds_again(&id.name);
        }
    }

    fn switched(&mut self) {
        let Task { id, shared, .. } = &self.task;
        tracing::info!(subscription = %id.name, version = id.version, "the new version serves");
        shared.switched(&id.name, id.version);
        // The keeper drops older versions when no living process runs them any more.
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
            BatchError::Unstorable { reason } | BatchError::Store(StoreError::Refused { reason }) => {
                self.unstorable(plan, &ProjectionFailure::Failed { handler: "", cause: reason })
            }
            BatchError::Store(error) => self.store_failed(&error),
            BatchError::Uncertain { reason } => {
                self.machine.store_failed(self.started.elapsed());
                self.machine.reload();
                if plan.switch {
                    // Whether it serves is for the keeper to find out.
                    self.task.shared.nudge.notify_one();
                }
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
    fn unstorable(&mut self, plan: &Plan, failure: &ProjectionFailure) -> Flow {
        if self.machine.narrow(plan) {
            return Flow::Continue(());
        }
        let item = plan.handled.first().copied().unwrap_or(plan.range.start);
        self.event_failed(item, true, failure)
    }
}
