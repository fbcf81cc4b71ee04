//! A read model, its projection and a worker, for the checks of the read side.

use std::sync::Arc;
use std::time::Duration;

use super::fixture::*;
use crate::event::{AnyEvent, GlobalPosition, Recorded, StreamId};
use crate::private::{codec_or_broken, column, pick_codec, read_column, write_column};
use crate::projection::{
    Fold, FoldHandler, HandlerMode, HandlerOptions, ProjectionDescriptor, ProjectionFailure, ProjectionHandler,
    ProjectionStyle, Projector, Step,
};
use crate::read_model::{Column, ColumnCodec, ColumnError, ReadModel, RowKey, TableDescriptor, TableRef, Value};
use crate::store::{
    Batch, BatchDone, BatchError, BatchWork, Checkpoint, LeaseRequest, NewCommit, NewLetter, PartitionId, ProcessId,
    SafePosition, Store, SyncProjections,
};
use crate::subscription::assign::partition_of;

/// A lease that does not run out.
pub const LONG: Duration = Duration::from_hours(1);

/// A row: what the events of an account came to, and which they were.
#[derive(Clone, Debug, PartialEq)]
pub struct Balance {
    /// The account.
    pub account: String,
    /// What is on it.
    pub cents: i64,
    /// The events that were projected: their versions.
    pub history: String,
    /// A number; NaN cannot be stored.
    pub rate: f64,
}

const fn codec<T: Column>() -> ColumnCodec<T> {
    let codec = ColumnCodec { ty: T::TYPE, nullable: T::NULLABLE, to_value: T::to_value, from_value: T::from_value };
    codec_or_broken(pick_codec(Some(codec), None, None))
}

/// The table of [`Balance`].
pub static BALANCES: TableDescriptor = TableDescriptor {
    name: "balances",
    columns: &[
        column("account", &codec::<String>(), true, false),
        column("cents", &codec::<i64>(), false, true),
        column("history", &codec::<String>(), false, false),
        column("rate", &codec::<f64>(), false, false),
    ],
};

/// The same columns in another table.
static PARTED_BALANCES: TableDescriptor = TableDescriptor { name: "parted_balances", columns: BALANCES.columns };
static OTHER_BALANCES: TableDescriptor = TableDescriptor { name: "other_balances", columns: BALANCES.columns };

impl ReadModel for Balance {
    const TABLE: &'static TableDescriptor = &BALANCES;
    type Key = String;

    fn key(&self) -> String {
        self.account.clone()
    }

    fn key_values(key: &String) -> Result<Vec<Value>, ColumnError> {
        Ok(vec![write_column("account", &codec(), key)?])
    }

    fn to_values(&self) -> Result<Vec<Value>, ColumnError> {
        Ok(vec![
            write_column("account", &codec(), &self.account)?,
            write_column("cents", &codec(), &self.cents)?,
            write_column("history", &codec(), &self.history)?,
            write_column("rate", &codec(), &self.rate)?,
        ])
    }

    fn from_values(values: Vec<Value>) -> Result<Self, ColumnError> {
        let values = &mut values.into_iter();
        Ok(Self {
            account: read_column("account", &codec(), values)?,
            cents: read_column("cents", &codec(), values)?,
            history: read_column("history", &codec(), values)?,
            rate: read_column("rate", &codec(), values)?,
        })
    }
}

impl Balance {
    /// A row on which nothing happened yet.
    #[must_use]
    pub fn new(account: &str) -> Self {
        Self { account: account.to_owned(), cents: 0, history: String::new(), rate: 0.5 }
    }

    fn note(mut self, event: &Recorded<AnyEvent>) -> Self {
        self.history.push_str(&format!("{} ", event.version()));
        self
    }
}

type Stepped = Result<Step<Balance>, ProjectionFailure>;

fn cents(event: &Recorded<AnyEvent>) -> i64 {
    body(event)["cents"].as_i64().unwrap_or(1)
}

fn body(event: &Recorded<AnyEvent>) -> serde_json::Value {
    serde_json::from_slice(&event.event().body).unwrap_or_default()
}

/// Changes the row of the event's stream.
fn change(event: &Recorded<AnyEvent>, change: impl FnOnce(&mut Balance) + Send + 'static) -> Stepped {
    let (event, key) = (event.clone(), event.stream().key().to_owned());
    let fold = move |row: Option<Balance>| {
        let key = event.stream().to_string();
        let mut row = row.ok_or(ProjectionFailure::RowMissing { handler: "change", table: "balances", key })?;
        change(&mut row);
        Ok(Some(row.note(&event)))
    };
    Ok(Step { key, fold: Box::new(fold) })
}

fn opened(event: &Recorded<AnyEvent>) -> Stepped {
    let (event, key) = (event.clone(), event.stream().key().to_owned());
    let fold = move |row: Option<Balance>| match row {
        None => Ok(Some(Balance::new(event.stream().key()).note(&event))),
        Some(row) => Err(ProjectionFailure::RowExists { handler: "opened", table: "balances", key: row.account }),
    };
    Ok(Step { key, fold: Box::new(fold) })
}

fn deposited(event: &Recorded<AnyEvent>) -> Stepped {
    let cents = cents(event);
    change(event, move |row| row.cents += cents)
}

fn withdrawn(event: &Recorded<AnyEvent>) -> Stepped {
    let cents = cents(event);
    change(event, move |row| row.cents -= cents)
}

/// What leaves the account of the stream, and what comes to another: two functions that take one event.
fn received(event: &Recorded<AnyEvent>) -> Stepped {
    let (event, cents) = (event.clone(), cents(event));
    let key = body(&event)["to"].as_str().unwrap_or_default().to_owned();
    let account = key.clone();
    let fold = move |row: Option<Balance>| {
        let mut row = row.unwrap_or_else(|| Balance::new(&account)).note(&event);
        row.cents += cents;
        Ok(Some(row))
    };
    Ok(Step { key, fold: Box::new(fold) })
}

fn closed(event: &Recorded<AnyEvent>) -> Stepped {
    Ok(Step { key: event.stream().key().to_owned(), fold: Box::new(|_| Ok(None)) })
}

fn spoiled(event: &Recorded<AnyEvent>) -> Stepped {
    let fold = |_| Err(ProjectionFailure::Failed { handler: "spoiled", cause: "it is spoiled".to_owned() });
    Ok(Step { key: event.stream().key().to_owned(), fold: Box::new(fold) })
}

fn panicked(event: &Recorded<AnyEvent>) -> Stepped {
    Ok(Step { key: event.stream().key().to_owned(), fold: Box::new(|_| panic!("a fold panics")) })
}

fn slow(event: &Recorded<AnyEvent>) -> Stepped {
    change(event, |_| std::thread::sleep(Duration::from_millis(30)))
}

fn immeasurable(event: &Recorded<AnyEvent>) -> Stepped {
    change(event, |row| row.rate = f64::NAN)
}

fn measured(event: &Recorded<AnyEvent>) -> Stepped {
    change(event, |row| row.rate = 0.5)
}

const fn handler(name: &'static str, event: &'static str, timeout_ms: Option<u32>) -> ProjectionHandler {
    let mode = match timeout_ms {
        Some(timeout_ms) => HandlerMode::Sync { priority: 5, timeout_ms },
        None => HandlerMode::Async,
    };
    ProjectionHandler {
        name,
        category: "account",
        event,
        mode,
        by_stream: true,
        options: HandlerOptions { monitor: false, retries: None, on_failure: None },
        dependencies: &[],
    }
}

static HANDLERS: [ProjectionHandler; 12] = [
    handler("opened", "opened", Some(2_000)),
    handler("deposited", "deposited", None),
    handler("withdrawn", "withdrawn", Some(2_000)),
    handler("sent", "moved", None),
    handler("received", "moved", None),
    handler("closed", "closed", Some(2_000)),
    handler("spoiled", "spoiled", None),
    handler("refused", "refused", Some(2_000)),
    handler("panicked", "panicked", Some(2_000)),
    handler("slow", "slow", Some(5)),
    handler("immeasurable", "immeasurable", Some(2_000)),
    handler("measured", "measured", Some(2_000)),
];
static FOLDS: [FoldHandler<Balance>; 12] = [
    opened,
    deposited,
    withdrawn,
    withdrawn,
    received,
    closed,
    spoiled,
    spoiled,
    panicked,
    slow,
    immeasurable,
    measured,
];

const fn projection(
    name: &'static str,
    version: u32,
    table: &'static TableDescriptor,
    partitions: u32,
) -> ProjectionDescriptor {
    ProjectionDescriptor {
        name,
        version,
        type_name: "Balance",
        style: ProjectionStyle::Folded,
        table: Some(table),
        partitions,
        resets: false,
        handlers: &HANDLERS,
    }
}

/// A projection with synchronous and asynchronous functions.
pub static FIRST: ProjectionDescriptor = projection("balances", 1, &BALANCES, 1);
/// Its second version.
pub static SECOND: ProjectionDescriptor = projection("balances", 2, &BALANCES, 1);
/// The same in four partitions.
pub static PARTED: ProjectionDescriptor = projection("parted", 1, &PARTED_BALANCES, 4);
/// Its second version.
pub static PARTED_SECOND: ProjectionDescriptor = projection("parted", 2, &PARTED_BALANCES, 4);
/// Another projection.
pub static OTHER: ProjectionDescriptor = projection("other", 1, &OTHER_BALANCES, 1);

/// Gives a descriptor's projector.
#[must_use]
pub fn projector(projection: &'static ProjectionDescriptor) -> Arc<dyn Projector> {
    Arc::new(Fold::new(projection, &FOLDS))
}

/// Names a partition.
#[must_use]
pub fn partition(projection: &ProjectionDescriptor, partition: u32) -> PartitionId {
    PartitionId { name: projection.name.into(), version: projection.version, partition }
}

/// Names a descriptor's table.
#[must_use]
pub fn table(projection: &'static ProjectionDescriptor) -> TableRef {
    TableRef { table: projection.table.expect("it is folded"), version: projection.version }
}

/// Registers a projection that must fit.
pub async fn register<S: Store>(store: &S, projection: &'static ProjectionDescriptor) {
    store.register(projection, None).await.expect("it fits");
}

/// Adds synchronous projections to a commit.
pub trait Projected: Sized {
    /// With these, and a backlog of 100 events.
    #[must_use]
    fn projected(self, projections: &[&'static ProjectionDescriptor]) -> Self;
}

impl Projected for NewCommit {
    fn projected(mut self, projections: &[&'static ProjectionDescriptor]) -> Self {
        let folded = projections.iter().map(|projection| projector(projection)).collect();
        self.projections = Some(Arc::new(SyncProjections { folded, connected: Vec::new(), backlog: 100 }));
        self
    }
}

/// Makes a commit of named events; `deposited:5` has five cents, `moved:5:b` moves them to `b`.
#[must_use]
pub fn commit_of(stream: &StreamId, expected: u64, events: &[&'static str]) -> NewCommit {
    let events = events.iter().map(|event| {
        let mut parts = event.split(':');
        let name = parts.next().unwrap_or_default();
        let cents: i64 = parts.next().and_then(|cents| cents.parse().ok()).unwrap_or(1);
        let to = parts.next().unwrap_or_default();
        event_of(name, serde_json::json!({ "cents": cents, "to": to }).to_string())
    });
    commit(stream, expected, 0).with_events(events.collect())
}

/// Appends named events that no projection takes with the commit.
pub async fn record<S: Store>(store: &S, stream: &StreamId, expected: u64, events: &[&'static str]) {
    store_one(store, commit_of(stream, expected, events)).await.expect("stored");
}

/// Reads a row of the default tenant.
pub async fn balance<S: Store>(store: &S, projection: &'static ProjectionDescriptor, account: &str) -> Option<Balance> {
    balance_of(store, projection, "", account).await
}

/// Reads a row.
pub async fn balance_of<S: Store>(
    store: &S,
    projection: &'static ProjectionDescriptor,
    tenant: &str,
    account: &str,
) -> Option<Balance> {
    let key = key_of(tenant, account);
    let rows = store.rows(table(projection), &[key]).await.expect("readable");
    let [row] = rows.try_into().expect("an answer a key");
    row.map(|values| Balance::from_values(values).expect("what was written"))
}

/// Reads a row's cents and history.
pub async fn state<S: Store>(
    store: &S,
    projection: &'static ProjectionDescriptor,
    account: &str,
) -> Option<(i64, String)> {
    balance(store, projection, account).await.map(|row| (row.cents, row.history.trim_end().to_owned()))
}

/// What [`state`] is expected to give.
#[must_use]
pub fn seen(cents: i64, history: &str) -> Option<(i64, String)> {
    Some((cents, history.to_owned()))
}

/// Names a row.
#[must_use]
pub fn key_of(tenant: &str, account: &str) -> RowKey {
    Balance::row_key(tenant, &account.to_owned()).expect("a text is a key")
}

/// Makes a letter for an event of the log.
#[must_use]
pub fn letter(event: &Recorded<AnyEvent>, key: &str, cause: Option<&str>) -> NewLetter {
    NewLetter {
        key: key.to_owned(),
        stream: event.stream().clone(),
        position: event.position(),
        event: event.id(),
        cause: cause.map(str::to_owned),
        attempts: u32::from(cause.is_some()),
        at: now(),
    }
}

/// Reads where a version stands.
pub async fn checkpoints<S: Store>(store: &S, projection: &ProjectionDescriptor) -> Vec<Checkpoint> {
    store.checkpoints(projection.name, projection.version).await.expect("readable")
}

/// Gives the positions at which a version's partitions stand.
pub async fn positions<S: Store>(store: &S, projection: &ProjectionDescriptor) -> Vec<u64> {
    checkpoints(store, projection).await.iter().map(|checkpoint| checkpoint.position.get()).collect()
}

/// One that follows the log for one partition.
#[derive(Clone, Debug)]
pub struct Worker<S> {
    store: S,
    projection: &'static ProjectionDescriptor,
    /// The process that has the lease.
    pub process: ProcessId,
    /// The partition.
    pub id: PartitionId,
    /// The lease's epoch.
    pub epoch: u64,
    /// Where it stands.
    pub position: GlobalPosition,
}

impl<S: Store> Worker<S> {
    /// Registers a projection and leases its first partition.
    pub async fn start(store: &S, projection: &'static ProjectionDescriptor) -> Self {
        Self::of_partition(store, projection, 0).await
    }

    /// Registers a projection and leases one of its partitions.
    pub async fn of_partition(store: &S, projection: &'static ProjectionDescriptor, number: u32) -> Self {
        register(store, projection).await;
        let (process, id) = (ProcessId::new(), partition(projection, number));
        let request = LeaseRequest { process, timeout: LONG, wanted: vec![id.clone()] };
        let leases = store.lease(&request).await.expect("readable");
        let lease = leases.into_iter().next().expect("nobody else wants it");
        Self { store: store.clone(), projection, process, id, epoch: lease.epoch, position: lease.position }
    }

    /// Makes a batch from where it stands.
    #[must_use]
    pub fn batch(&self, work: BatchWork, to: Option<u64>) -> Batch {
        Batch {
            id: self.id.clone(),
            epoch: self.epoch,
            from: self.position,
            to: to.map(|to| SafePosition(GlobalPosition::new(to))),
            work,
            letters: Vec::new(),
            parked: Vec::new(),
            settles: None,
            switch: false,
        }
    }

    /// Makes a batch of its events behind where it stands.
    pub async fn next(&self) -> Batch {
        let events = self.store.read_all(self.position, usize::MAX).await.expect("readable");
        let to = events.last().map_or(self.position, Recorded::position);
        let events = events.into_iter().filter(|event| self.takes(event)).collect();
        self.batch(BatchWork::Fold { projector: projector(self.projection), events }, Some(to.get()))
    }

    fn takes(&self, event: &Recorded<AnyEvent>) -> bool {
        let keys = projector(self.projection).sequence_keys(event);
        let key = keys.first().map_or_else(|| event.stream().to_string(), |key| key.as_str().to_owned());
        partition_of(&key, self.projection.partitions) == self.id.partition
    }

    /// Projects a batch, and follows its checkpoint where it is stored.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn project(&mut self, batch: Batch) -> Result<BatchDone, BatchError> {
        let to = batch.to;
        let done = self.store.project(batch).await?;
        if let Some(to) = to {
            self.position = to.get();
        }
        Ok(done)
    }

    /// Projects everything there is.
    pub async fn catch_up(&mut self) -> BatchDone {
        let batch = self.next().await;
        self.project(batch).await.expect("projected")
    }
}
