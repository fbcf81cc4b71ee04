//! Snapshots of states.

use bytes::Bytes;

use super::MemoryStore;
use crate::event::{StreamId, Version};
use crate::store::{SnapshotStore, StoreError};

#[derive(Debug)]
pub(super) struct SnapshotRow {
    pub(super) version: Version,
    pub(super) fingerprint: u64,
    pub(super) state: Bytes,
}

impl SnapshotStore for MemoryStore {
    async fn snapshot(&self, stream: &StreamId, fingerprint: u64) -> Result<Option<(Version, Bytes)>, StoreError> {
        let tables = self.0.tables.read();
        let row = tables.open()?.snapshots.get(stream).filter(|row| row.fingerprint == fingerprint);
        Ok(row.map(|row| (row.version, row.state.clone())))
    }
}
