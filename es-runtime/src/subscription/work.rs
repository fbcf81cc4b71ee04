//! The work of a batch that is done outside of the store: folding rows, calling external functions.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::FutureExt as _;
use rustc_hash::FxHashMap;
use tokio::sync::watch;
use tokio::time::Instant;

use super::health::StopReason;
use super::machine::Machine;
use super::plan::Plan;
use super::subscriber::Mine;
use crate::event::{AnyEvent, Recorded};
use crate::handler::Dependencies;
use crate::private::panic_message;
use crate::projection::{ExternalProjector, FoldSession, ProjectionFailure, Projector};
use crate::read_model::{ColumnError, RowKey, TableRef, WriteSet};
use crate::store::{BatchWork, PartitionId, RowStore, StoreError};

/// What came of folding.
pub(crate) enum Made {
    /// A batch to be stored.
    Batch(Plan, BatchWork),
    /// The subscription stops here.
    Stop(StopReason),
    /// A row cannot be stored.
    Unstorable(Plan, ProjectionFailure),
}

/// How many rows are kept in memory from batch to batch while a worker catches up.
const KEPT_ROWS: usize = 16_384;
/// How many at the live tail, where looking through them costs more than loading.
const KEPT_ROWS_LIVE: usize = 64;

/// Folds events over rows, and keeps the rows for the next batch.
#[derive(Default)]
pub(crate) struct Folding {
    session: Option<Box<dyn FoldSession>>,
    rows: usize,
}

impl Folding {
    /// Forgets the rows: somebody else may have changed them, or what was folded is not stored.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Keeps the memory bounded after a batch.
    pub(crate) fn trim(&mut self, live: bool) {
        if self.rows > if live { KEPT_ROWS_LIVE } else { KEPT_ROWS } {
            self.forget();
        }
    }

    /// Folds the events of a plan. One that fails is dealt with at once, and those behind it that wait for it with it.
    pub(crate) async fn fold(
        &mut self,
        store: &impl RowStore,
        projector: &dyn Projector,
        machine: &Machine,
        plan: &Plan,
        items: &Mine<'_>,
    ) -> Result<Made, StoreError> {
        let projection = projector.descriptor();
        let Some(table) = projection.table.map(|table| TableRef { table, version: projection.version }) else {
            return Ok(Made::Batch(plan.clone(), BatchWork::Nothing));
        };
        // Taken out, so that a fold that is dropped half-way leaves nothing behind.
        let mut session = self.session.take().unwrap_or_else(|| projector.begin());
        let wanted: Vec<_> = plan.handled.iter().filter_map(|item| items.events.get(*item)).cloned().collect();
        let missing = session.missing(&wanted);
        let mut damaged = FxHashMap::default();
        if !missing.is_empty() {
            let rows = store.rows(table, &missing).await?;
            self.rows += missing.len();
            for (key, row) in missing.into_iter().zip(rows) {
                if let Err(error) = session.supply(key.clone(), row) {
                    damaged.insert(key, error);
                }
            }
        }
        let (done, stop) = apply(&mut *session, projector, machine, plan, items, &damaged);
        if let Some(reason) = stop.filter(|_| done.range.is_empty()) {
            return Ok(Made::Stop(reason));
        }
        match session.changes() {
            Ok(changes) if changes.is_empty() => {
                self.session = Some(session);
                Ok(Made::Batch(done, BatchWork::Nothing))
            }
            Ok(changes) => {
                self.session = Some(session);
                crate::fail_point::reached("batch.folded");
                Ok(Made::Batch(done, BatchWork::Rows(WriteSet { table, changes })))
            }
            Err(error) => {
                self.forget();
                Ok(Made::Unstorable(done, error.into()))
            }
        }
    }
}

/// Applies the events of a plan in their order. Gives what came of it, and the reason where it ended early.
fn apply(
    session: &mut dyn FoldSession,
    projector: &dyn Projector,
    machine: &Machine,
    plan: &Plan,
    items: &Mine<'_>,
    damaged: &FxHashMap<RowKey, ColumnError>,
) -> (Plan, Option<StopReason>) {
    let mut done = machine.begin();
    for item in plan.range.clone() {
        let Some(event) = items.events.get(item) else { break };
        let applied = match machine.admit(&mut done, item, items) {
            Ok(true) => apply_one(session, projector, event, damaged),
            Ok(false) => Ok(()),
            Err(reason) => return (done, Some(reason)),
        };
        if let Err(failure) = applied {
            let failure = items.subscriber.failure(event, &failure);
            tracing::debug!(position = %event.position(), stream = %event.stream(), cause = %failure.cause, "an event failed");
            if let Err(reason) = machine.give_up(&mut done, item, &failure, items) {
                done.cut(item);
                return (done, Some(reason));
            }
        }
    }
    (done, None)
}

fn apply_one(
    session: &mut dyn FoldSession,
    projector: &dyn Projector,
    event: &Recorded<AnyEvent>,
    damaged: &FxHashMap<RowKey, ColumnError>,
) -> Result<(), ProjectionFailure> {
    if !damaged.is_empty()
        && let Some(error) = projector.sequence_keys(event).iter().find_map(|key| damaged.get(key))
    {
        return Err(error.clone().into());
    }
    session.apply(event)
}

/// Calls the functions of an external projection for events, in their order. `false`: the lease ran out. On a failure: which event's,
/// everything before it is done.
pub(crate) async fn run_external(
    projector: &dyn ExternalProjector,
    dependencies: &Dependencies,
    events: &[Recorded<AnyEvent>],
    timeout: Duration,
    lease: &watch::Receiver<Instant>,
) -> Result<bool, (usize, ProjectionFailure)> {
    let projection = projector.descriptor();
    let handlers = |event: &Recorded<AnyEvent>| -> Vec<usize> {
        projection.handlers_of(event.stream().category(), &event.event().name).map(|(place, _)| place).collect()
    };
    let mut start = 0;
    while let Some(first) = events.get(start) {
        let places = handlers(first);
        // Together only where every function that takes them takes slices, else the order would be lost.
        let slices = places.iter().all(|place| projector.takes_slices(*place));
        let same = |event: &&Recorded<AnyEvent>| slices && handlers(event) == places;
        let length = 1 + events[start + 1..].iter().take_while(same).count();
        let run = &events[start..start + length];
        for place in places {
            if Instant::now() >= *lease.borrow() {
                return Ok(false);
            }
            call(projector, place, dependencies, run, timeout).await.map_err(|failure| (start, failure))?;
        }
        start += length;
    }
    Ok(true)
}

async fn call(
    projector: &dyn ExternalProjector,
    place: usize,
    dependencies: &Dependencies,
    events: &[Recorded<AnyEvent>],
    timeout: Duration,
) -> Result<(), ProjectionFailure> {
    let handler = projector.descriptor().handlers.get(place).map_or("", |handler| handler.name);
    // Making the future may panic too.
    let running = AssertUnwindSafe(async { projector.run(place, dependencies, events).await }).catch_unwind();
    match tokio::time::timeout(timeout, running).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(ProjectionFailure::Panicked { handler, message: panic_message(&*panic) }),
        Err(_) => Err(ProjectionFailure::TimedOut { handler, after: timeout }),
    }
}

/// The metrics of one partition.
pub(crate) struct Meters {
    handled: metrics::Counter,
    retried: metrics::Counter,
    parked: metrics::Counter,
    skipped: metrics::Counter,
    lag: metrics::Gauge,
    lag_seconds: metrics::Gauge,
    /// The last age, in milliseconds.
    age: AtomicU64,
}

impl Meters {
    pub(crate) fn new(id: &PartitionId) -> Self {
        let labels = [("subscription", id.name.to_string()), ("partition", id.partition.to_string())];
        Self {
            handled: metrics::counter!("es_subscription_events_total", &labels),
            retried: metrics::counter!("es_subscription_retries_total", &labels),
            parked: metrics::counter!("es_subscription_parked_total", &labels),
            skipped: metrics::counter!("es_subscription_skipped_total", &labels),
            lag: metrics::gauge!("es_subscription_lag_events", &labels),
            lag_seconds: metrics::gauge!("es_subscription_lag_seconds", &labels),
            age: AtomicU64::new(0),
        }
    }

    pub(crate) fn handled(&self, events: usize) {
        self.handled.increment(events as u64);
    }

    pub(crate) fn retried(&self) {
        self.retried.increment(1);
    }

    pub(crate) fn parked(&self, letters: usize) {
        self.parked.increment(letters as u64);
    }

    pub(crate) fn skipped(&self, events: usize) {
        self.skipped.increment(events as u64);
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge need not be exact")]
    pub(crate) fn lag(&self, events: u64) {
        self.lag.set(events as f64);
    }

    /// Notes how old the last event was that was handled; `None` at the head.
    pub(crate) fn age(&self, age: Option<TimeDelta>) {
        let age = age.and_then(|age| u64::try_from(age.num_milliseconds()).ok()).unwrap_or(0);
        self.age.store(age, Ordering::Relaxed);
        self.lag_seconds.set(self.lag_seconds());
    }

    pub(crate) fn lag_seconds(&self) -> f64 {
        Duration::from_millis(self.age.load(Ordering::Relaxed)).as_secs_f64()
    }
}

/// Counts a stop.
pub(crate) fn count_stop(id: &PartitionId) {
    let labels = [("subscription", id.name.to_string()), ("partition", id.partition.to_string())];
    metrics::counter!("es_subscription_stopped_total", &labels).increment(1);
}
