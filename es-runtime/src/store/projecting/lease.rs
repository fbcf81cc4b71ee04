//! Partitions shared among processes.

use std::future::Future;
use std::time::Duration;

use uuid::Uuid;

use super::{PartitionId, SubscriptionStatus};
use crate::event::GlobalPosition;
use crate::store::StoreError;

/// Names one running program, for the time it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(pub Uuid);

impl ProcessId {
    /// Makes a new one.
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for ProcessId {
    fn default() -> Self {
        Self::new()
    }
}

/// Asks for partitions.
#[derive(Clone, Debug)]
pub struct LeaseRequest {
    /// Who asks.
    pub process: ProcessId,
    /// How long its leases hold without another request.
    pub timeout: Duration,
    /// Every partition it can run.
    pub wanted: Vec<PartitionId>,
}

/// A partition that a process may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The partition.
    pub id: PartitionId,
    /// The epoch under which its checkpoint moves.
    pub epoch: u64,
    /// Where the checkpoint stands.
    pub position: GlobalPosition,
    /// Whether it may run.
    pub status: SubscriptionStatus,
}

/// Shares partitions among processes.
///
/// A process that dies is noticed when its time-out has passed without a request; where the store can find out sooner, sooner.
pub trait LeaseStore: Send + Sync + 'static {
    /// Notes that the process lives, gives up what it has beyond its fair share, takes what nobody has; and gives everything that
    /// it owns then. What was owned before keeps its epoch.
    ///
    /// The fair share is the number of wanted partitions divided by the number of living processes that want any, rounded up.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Gone`] if one of the wanted partitions is not registered, and changes nothing then.
    fn lease(&self, request: &LeaseRequest) -> impl Future<Output = Result<Vec<Lease>, StoreError>> + Send;

    /// Gives everything up: others may take it at once.
    fn leave(&self, process: ProcessId) -> impl Future<Output = Result<(), StoreError>> + Send;
}
