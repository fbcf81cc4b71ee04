//! Rows, checkpoints, leases and letters in memory.

use std::sync::Arc;

use crate::event::{AnyEvent, GlobalPosition, Recorded, StreamId, Version};
use crate::projection::{ConnectedProjector, ProjectionDescriptor};
use crate::read_model::{RowKey, Selection, TableRef, Value};
use crate::store::{
    Batch, BatchDone, BatchError, Checkpoint, CheckpointStore, Lease, LeaseRequest, LeaseStore, Letter, PartitionId,
    ProcessId, ProjectionRegistry, ProjectionVersion, RegisterError, RowStore, StoreError, SubscriptionStatus,
};

use super::MemoryStore;

fn todo<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable { reason: "not yet".to_owned(), source: None })
}

impl RowStore for MemoryStore {
    async fn rows(&self, _: TableRef, _: &[RowKey]) -> Result<Vec<Option<Vec<Value>>>, StoreError> {
        todo()
    }
    async fn select(&self, _: TableRef, _: &Selection) -> Result<Vec<Vec<Value>>, StoreError> {
        todo()
    }
    async fn count(&self, _: TableRef, _: &Selection) -> Result<u64, StoreError> {
        todo()
    }
}

impl ProjectionRegistry for MemoryStore {
    async fn register(
        &self,
        _: &'static ProjectionDescriptor,
        _: Option<Arc<dyn ConnectedProjector>>,
    ) -> Result<(), RegisterError> {
        Ok(todo()?)
    }
    async fn projections(&self) -> Result<Vec<ProjectionVersion>, StoreError> {
        todo()
    }
    async fn reset(
        &self,
        _: &'static ProjectionDescriptor,
        _: Option<Arc<dyn ConnectedProjector>>,
    ) -> Result<(), StoreError> {
        todo()
    }
    async fn drop_retired(&self, _: &str) -> Result<u64, StoreError> {
        todo()
    }
}

impl CheckpointStore for MemoryStore {
    async fn project(&self, _: Batch) -> Result<BatchDone, BatchError> {
        Ok(todo()?)
    }
    async fn checkpoints(&self, _: &str, _: u32) -> Result<Vec<Checkpoint>, StoreError> {
        todo()
    }
    async fn set_status(&self, _: &str, _: u32, _: Option<u32>, _: SubscriptionStatus) -> Result<(), StoreError> {
        todo()
    }
    async fn rewind(&self, _: &str, _: u32, _: GlobalPosition) -> Result<(), StoreError> {
        todo()
    }
    async fn letters(&self, _: &str, _: u32, _: Option<&str>, _: usize) -> Result<Vec<Letter>, StoreError> {
        todo()
    }
    async fn parked_keys(&self, _: &PartitionId) -> Result<Vec<String>, StoreError> {
        todo()
    }
    async fn touch_letter(&self, _: &PartitionId, _: GlobalPosition, _: &str) -> Result<(), StoreError> {
        todo()
    }
    async fn skip_letter(&self, _: &PartitionId, _: GlobalPosition) -> Result<bool, StoreError> {
        todo()
    }
    async fn versions_at(&self, _: &[StreamId], _: GlobalPosition) -> Result<Vec<Version>, StoreError> {
        todo()
    }
    async fn events_at(&self, _: &[GlobalPosition]) -> Result<Vec<Recorded<AnyEvent>>, StoreError> {
        todo()
    }
}

impl LeaseStore for MemoryStore {
    async fn lease(&self, _: &LeaseRequest) -> Result<Vec<Lease>, StoreError> {
        todo()
    }
    async fn leave(&self, _: ProcessId) -> Result<(), StoreError> {
        todo()
    }
}
