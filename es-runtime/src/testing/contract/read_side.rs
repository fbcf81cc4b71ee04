//! Short ways to project, and a worker, for the checks of the read side.

use std::sync::Arc;
use std::time::Duration;

use super::balance::folds;
pub use super::balance::{
    BALANCES, Balance, FIRST, OTHER, PARTED, PARTED_SECOND, SECOND, SHARED, SHARED_LESS, SHARED_SECOND,
};
use super::fixture::*;
use crate::event::{AnyEvent, GlobalPosition, Recorded, StreamId};
use crate::projection::{Fold, ProjectionDescriptor, Projector};
use crate::read_model::{ReadModel, RowKey, TableRef};
use crate::store::{
    Batch, BatchDone, BatchError, BatchWork, Checkpoint, LeaseRequest, NewCommit, NewLetter, PartitionId, ProcessId,
    SafePosition, Store, SyncProjections,
};
use crate::subscription::assign::partition_of;

/// A lease that does not run out.
pub const LONG: Duration = Duration::from_hours(1);

/// Gives a descriptor's projector.
#[must_use]
pub fn projector(projection: &'static ProjectionDescriptor) -> Arc<dyn Projector> {
    Arc::new(Fold::new(projection, folds(projection)))
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
            history: self.store.history(),
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
        let head = self.store.head().await.expect("readable");
        let (events, to) = loop {
            let events = self.store.read_all(self.position, usize::MAX).await.expect("readable");
            let to = events.last().map_or(self.position, Recorded::position);
            if to >= head {
                break (events, to);
            }
            // What stands behind a gap in the positions comes a little later.
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        let events = events.into_iter().filter(|event| self.takes(event)).collect();
        self.batch(BatchWork::Fold { projector: projector(self.projection), events }, Some(to.get()))
    }

    fn takes(&self, event: &Recorded<AnyEvent>) -> bool {
        let keys = projector(self.projection).sequence_keys(event);
        let key = keys.first().map_or_else(|| event.stream().sequence_key(), |key| key.as_str().to_owned());
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
