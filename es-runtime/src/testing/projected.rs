//! Given events, then rows.

use std::convert::Infallible;
use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;

use super::diff;
use crate::aggregate::{Aggregate, AggregateEvent as _, IntoEvents};
use crate::app::{Clock as _, ManualClock};
use crate::event::{AnyEvent, EventId, GlobalPosition, Metadata, Recorded, StreamId, Version};
use crate::projection::{ProjectionFailure, ProjectionOn, Projections, Projector, Registered};
use crate::read_model::{ReadModel, Selection, TableRef};
use crate::store::{
    Batch, BatchError, BatchWork, CheckpointStore as _, DecisionChain, EventStore as _, LeaseRequest, LeaseStore as _,
    MemoryStore, NewCommit, NewEvent, PartitionId, ProcessId, ProjectionRegistry as _, RowStore as _, SafePosition,
};
use crate::time::whole_micros;

/// Begins a scenario of the projection of read model `R`: events come, then rows are there.
///
/// The events go through a real store in memory twice: each in a batch of its own, and all in one. Every batch is delivered twice. The rows must be the
/// same, so what is tested is also that they do not depend on how events are put into batches.
///
/// ```
/// # use es_runtime::prelude::*;
/// # #[domain_event] pub struct Opened {}
/// # #[domain_event] pub struct Deposited { pub cents: i64 }
/// # #[command(aggregate = Account)] pub struct Open { #[id] pub account: Uuid }
/// # #[aggregate(name = "account", id = Uuid, events(Opened, Deposited))] pub struct Account {}
/// # #[aggregate] impl Account {
/// #     #[apply] fn opened(_: &Opened) -> Self { Self {} }
/// #     #[apply] fn deposited(&mut self, _: &Deposited) {}
/// #     #[command_handler] fn open(_: Open) -> Opened { Opened {} }
/// # }
/// #[read_model(table = "balances")]
/// pub struct Balance { #[key] pub account: Uuid, pub cents: i64 }
///
/// #[projection(name = "balances", version = 1)]
/// impl Balance {
///     #[async_projection]
///     fn opened(event: &Recorded<Opened>) -> Self { Self { account: event.id_of::<Account>(), cents: 0 } }
///     #[async_projection]
///     fn deposited(&mut self, event: &Recorded<Deposited>) { self.cents += event.cents; }
/// }
/// # domain! { pub Bank = "bank"; aggregates: [Account]; commands: [Open]; projections: [Balance] }
///
/// # fn main() {
/// use es_runtime::testing::projected;
/// let account = Uuid::nil();
/// projected::<Balance>()
///     .given::<Account>(account, (Opened {}, Deposited { cents: 5 }))
///     .given::<Account>(account, Deposited { cents: 2 })
///     .then([Balance { account, cents: 7 }]);
/// # }
/// ```
#[must_use]
pub fn projected<R: ReadModel + ProjectionOn<MemoryStore>>() -> Projected<R> {
    Projected { events: Vec::new(), tenant: String::new(), now: ManualClock::default().now(), row: PhantomData }
}

/// Events on their way into a projection.
pub struct Projected<R> {
    events: Vec<Recorded<AnyEvent>>,
    tenant: String,
    now: DateTime<Utc>,
    row: PhantomData<fn() -> R>,
}

impl<R> Debug for Projected<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Projected").field("events", &self.events.len()).finish_non_exhaustive()
    }
}

/// The rows of one way through the store, or what went wrong on it.
type Way<R> = Result<Vec<R>, ProjectionFailure>;

impl<R: ReadModel + ProjectionOn<MemoryStore>> Projected<R> {
    /// Lets events of the aggregate with this id happen, after those that were given before.
    ///
    /// # Panics
    ///
    /// Where an event cannot be written as JSON.
    #[track_caller]
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "a scenario reads better without `&`")]
    pub fn given<A: Aggregate>(mut self, id: A::Id, events: impl IntoEvents<A, Error = Infallible>) -> Self {
        let stream = A::stream(&id).with_tenant(self.tenant.as_str());
        let mut happened = Vec::new();
        let Ok(()) = events.into_events(&mut happened);
        for event in happened {
            let mut body = Vec::new();
            if let Err(error) = event.encode(&mut body) {
                panic!("the given event cannot be written as JSON: {error}\n{event:#?}");
            }
            let stored = AnyEvent { name: event.name().into(), version: event.schema_version(), body: body.into() };
            let version = self.events.iter().filter(|event| *event.stream() == stream).count() as u64 + 1;
            let position = GlobalPosition::new(self.events.len() as u64 + 1);
            let (id, version) = (EventId::new_v7(), Version::new(version));
            let metadata = Arc::new(Metadata::default());
            self.events.push(Recorded::new(
                stored,
                id,
                stream.clone(),
                version,
                position,
                whole_micros(self.now),
                metadata,
            ));
        }
        self
    }

    /// Sets the time at which the events that follow are recorded; the beginning of the year 2000 without it.
    #[must_use]
    pub const fn at(mut self, now: DateTime<Utc>) -> Self {
        self.now = now;
        self
    }

    /// Sets the tenant of the events that follow.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// Asserts which rows are there, of all tenants; their order does not matter.
    ///
    /// # Panics
    ///
    /// Where other rows are there, the projection fails, or the rows depend on the batches.
    #[track_caller]
    pub fn then(self, rows: impl IntoIterator<Item = R>) {
        let expected = sorted(rows.into_iter().collect());
        match self.run() {
            Err(failure) => panic!("the projection failed: {failure}"),
            Ok(found) if found == expected => {}
            Ok(found) => panic!("the rows differ (- expected, + found):\n{}", diff::values(&expected, &found)),
        }
    }

    /// Asserts that the projection fails on one of the events, and looks at the failure.
    ///
    /// # Panics
    ///
    /// Where it does not fail, or `check` says no.
    #[track_caller]
    pub fn then_fails(self, check: impl FnOnce(&ProjectionFailure) -> bool) {
        match self.run() {
            Ok(rows) => panic!("the projection did not fail; the rows are {rows:#?}"),
            Err(failure) => assert!(check(&failure), "the projection failed otherwise: {failure}"),
        }
    }

    #[track_caller]
    fn run(self) -> Way<R> {
        let mut projections = Projections::default();
        R::register(&mut projections);
        let Some(Registered::Folded(projector)) = projections.0.pop() else {
            panic!("`{}` is not a folded projection: test it in an application", R::TABLE.name)
        };
        let singly = self.through_a_store(&projector, 1);
        let at_once = self.through_a_store(&projector, self.events.len().max(1));
        let same = match (&singly, &at_once) {
            (Ok(one), Ok(other)) => one == other,
            (Err(one), Err(other)) => one.to_string() == other.to_string(),
            _ => false,
        };
        assert!(
            same,
            "the rows depend on the batches (- each event alone, + all at once):\n{}",
            diff::values(&singly, &at_once)
        );
        singly
    }

    /// Projects all events through a store of its own, each batch delivered twice.
    fn through_a_store(&self, projector: &Arc<dyn Projector>, size: usize) -> Way<R> {
        let store = MemoryStore::new();
        let descriptor = projector.descriptor();
        now(store.register(descriptor, None)).unwrap_or_else(|error| panic!("{error}"));
        for event in &self.events {
            let committed = now(now(store.submit(commit(event))));
            committed.unwrap_or_else(|error| panic!("{error}"));
        }
        let partitions = descriptor.partitions.max(1);
        let id = |partition| PartitionId { name: descriptor.name.into(), version: descriptor.version, partition };
        let request = LeaseRequest {
            process: ProcessId::new(),
            timeout: std::time::Duration::from_mins(1),
            wanted: (0..partitions).map(id).collect(),
        };
        let leases = now(store.lease(&request)).unwrap_or_else(|error| panic!("{error}"));
        // One partition does the work of all: what is in which is the engine's affair.
        let Some(lease) = leases.first() else { panic!("the store gave no lease") };
        let mut from = GlobalPosition::START;
        for events in self.events.chunks(size) {
            let Some(to) = events.last().map(Recorded::position) else { break };
            let work = BatchWork::Fold { projector: Arc::clone(projector), events: events.to_vec() };
            let batch = Batch {
                id: lease.id.clone(),
                epoch: lease.epoch,
                history: store.history(),
                from,
                to: Some(SafePosition(to)),
                work,
                letters: Vec::new(),
                parked: Vec::new(),
                settles: None,
                switch: false,
            };
            match now(store.project(batch.clone())) {
                Ok(_) => {}
                Err(BatchError::Failed { failure, .. }) => return Err(failure),
                Err(error) => panic!("{error}"),
            }
            let again = now(store.project(batch));
            assert!(matches!(again, Err(BatchError::Fenced)), "a batch that came twice was taken twice: {again:?}");
            from = to;
        }
        let Some(table) = descriptor.table else { return Ok(Vec::new()) };
        let table = TableRef { table, version: descriptor.version };
        let mut rows = Vec::new();
        for tenant in self.tenants() {
            let selection = Selection { tenant, ..Selection::default() };
            let found = now(store.select(table, &selection)).unwrap_or_else(|error| panic!("{error}"));
            for values in found {
                rows.push(R::from_values(values).map_err(ProjectionFailure::Column)?);
            }
        }
        Ok(sorted(rows))
    }

    fn tenants(&self) -> std::collections::BTreeSet<String> {
        self.events.iter().map(|event| event.tenant().to_owned()).collect()
    }
}

fn commit(event: &Recorded<AnyEvent>) -> NewCommit {
    let AnyEvent { name, version, body } = event.event().clone();
    let stream: StreamId = event.stream().clone();
    NewCommit {
        stream,
        expected: Version::new(event.version().get() - 1),
        events: vec![NewEvent { id: event.id(), name, schema_version: version, body, rules: &[] }],
        metadata: Arc::new(Metadata::default()),
        recorded_at: event.recorded_at(),
        claims: Vec::new(),
        ledger: None,
        snapshot: None,
        chain: DecisionChain::new(),
        projections: None,
    }
}

/// Rows by the texts of their keys.
fn sorted<R: ReadModel>(mut rows: Vec<R>) -> Vec<R> {
    rows.sort_by_cached_key(|row| R::row_key("", &row.key()).map(|key| key.to_string()).unwrap_or_default());
    rows
}

/// The store in memory never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match future.now_or_never() {
        Some(value) => value,
        None => panic!("the store in memory waited"),
    }
}
