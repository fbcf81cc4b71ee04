//! Checkpoints and what hangs on them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::letters::LetterRow;
use super::{MemoryStore, Tables};
use crate::event::{AnyEvent, GlobalPosition, Recorded, StreamId, Version};
use crate::store::{
    Batch, BatchDone, BatchError, Checkpoint, CheckpointStore, Letter, PartitionId, ProcessId, StoreError,
    SubscriptionStatus,
};
use crate::time;

/// One partition of a projection's version.
#[derive(Debug)]
pub(super) struct PartitionRow {
    pub(super) position: GlobalPosition,
    pub(super) epoch: u64,
    pub(super) owner: Option<ProcessId>,
    pub(super) status: SubscriptionStatus,
    /// By position and key.
    pub(super) letters: BTreeMap<(GlobalPosition, String), LetterRow>,
}

impl Default for PartitionRow {
    fn default() -> Self {
        Self {
            position: GlobalPosition::START,
            epoch: 0,
            owner: None,
            status: SubscriptionStatus::Running,
            letters: BTreeMap::new(),
        }
    }
}

impl Tables {
    pub(super) fn partition(&self, id: &PartitionId) -> Option<&PartitionRow> {
        self.version_row(&id.name, id.version)?.partitions.get(id.partition as usize)
    }

    pub(super) fn partition_mut(&mut self, id: &PartitionId) -> Option<&mut PartitionRow> {
        self.version_row_mut(&id.name, id.version)?.partitions.get_mut(id.partition as usize)
    }

    /// Gives the partitions of a version with their names.
    fn partitions_of(&self, name: &str, version: u32) -> impl Iterator<Item = (PartitionId, &PartitionRow)> {
        let rows = self.version_row(name, version).map_or(&[][..], |row| &row.partitions);
        let name: Arc<str> = name.into();
        (0..).zip(rows).map(move |(partition, row)| (PartitionId { name: Arc::clone(&name), version, partition }, row))
    }

    fn letters(&self, name: &str, version: u32, key: Option<&str>, limit: usize) -> Vec<Letter> {
        let mut letters: Vec<Letter> = Vec::new();
        for (id, partition) in self.partitions_of(name, version) {
            let rows = partition.letters.values().filter(|row| key.is_none_or(|key| row.letter.key == key));
            let found = rows.take(limit).map(|row| (id.clone(), row));
            letters.extend(found.map(|(id, row)| Letter { id, letter: row.letter.clone(), touched: row.touched }));
        }
        // Each partition's stand in this order already.
        letters.sort_by(|a, b| (a.letter.position, &a.letter.key).cmp(&(b.letter.position, &b.letter.key)));
        letters.truncate(limit);
        letters
    }

    fn version_at(&self, stream: &StreamId, position: GlobalPosition) -> Version {
        // Places count from 0, positions from 1.
        let places = self.streams.get(stream).map_or(&[][..], Vec::as_slice);
        Version::new(places.partition_point(|place| (*place as u64) < position.get()) as u64)
    }
}

impl CheckpointStore for MemoryStore {
    async fn project(&self, batch: Batch) -> Result<BatchDone, BatchError> {
        if batch.history.is_over() {
            return Err(BatchError::Fenced);
        }
        self.0.tables.write().project(batch)
    }

    async fn checkpoints(&self, name: &str, version: u32) -> Result<Vec<Checkpoint>, StoreError> {
        let tables = self.0.tables.read();
        let tables = tables.open()?;
        let checkpoint = |(id, row): (PartitionId, &PartitionRow)| Checkpoint {
            id,
            position: row.position,
            epoch: row.epoch,
            owner: row.owner.filter(|owner| tables.lives(*owner)),
            status: row.status.clone(),
            letters: row.letters.len() as u64,
        };
        Ok(tables.partitions_of(name, version).map(checkpoint).collect())
    }

    async fn set_status(
        &self,
        name: &str,
        version: u32,
        partition: Option<u32>,
        mut status: SubscriptionStatus,
    ) -> Result<(), StoreError> {
        if let SubscriptionStatus::Stopped { at, .. } = &mut status {
            *at = time::whole_micros(*at);
        }
        let mut tables = self.0.tables.write();
        tables.open()?;
        let rows = &mut tables.known_row_mut(name, version)?.partitions;
        let Some(number) = partition else {
            for row in rows.iter_mut() {
                row.status = status.clone();
            }
            return Ok(());
        };
        let gone = || StoreError::Gone { what: format!("partition {number} of projection `{name}` version {version}") };
        rows.get_mut(number as usize).ok_or_else(gone)?.status = status;
        Ok(())
    }

    async fn rewind(&self, name: &str, version: u32, to: GlobalPosition) -> Result<(), StoreError> {
        let mut tables = self.0.tables.write();
        let head = tables.open()?.head();
        if to > head {
            return Err(StoreError::PastHead { to, head });
        }
        tables.known_row_mut(name, version)?.restart(to);
        Ok(())
    }

    async fn letters(
        &self,
        name: &str,
        version: u32,
        key: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Letter>, StoreError> {
        Ok(self.0.tables.read().open()?.letters(name, version, key, limit))
    }

    async fn first_letter(
        &self,
        name: &str,
        version: u32,
        streams: &[StreamId],
        to: GlobalPosition,
    ) -> Result<Option<GlobalPosition>, StoreError> {
        let tables = self.0.tables.read();
        let partitions = tables.open()?.partitions_of(name, version);
        let letters = partitions.flat_map(|(_, partition)| partition.letters.values());
        let of_streams = letters.map(|row| &row.letter).filter(|letter| streams.contains(&letter.stream));
        Ok(of_streams.map(|letter| letter.position).filter(|position| *position <= to).min())
    }

    async fn parked_keys(&self, id: &PartitionId) -> Result<Vec<String>, StoreError> {
        let tables = self.0.tables.read();
        let keys = tables.open()?.partition(id).map(PartitionRow::parked_keys).unwrap_or_default();
        Ok(keys.into_iter().map(str::to_owned).collect())
    }

    async fn touch_letter(&self, id: &PartitionId, position: GlobalPosition, cause: &str) -> Result<(), StoreError> {
        let mut tables = self.0.tables.write();
        tables.open()?;
        if let Some(partition) = tables.partition_mut(id) {
            partition.touch(position, cause, time::now());
        }
        Ok(())
    }

    async fn skip_letter(&self, id: &PartitionId, position: GlobalPosition) -> Result<bool, StoreError> {
        let mut tables = self.0.tables.write();
        tables.open()?;
        Ok(tables.partition_mut(id).is_some_and(|partition| partition.settle(position)))
    }

    async fn versions_at(&self, streams: &[StreamId], position: GlobalPosition) -> Result<Vec<Version>, StoreError> {
        let tables = self.0.tables.read();
        let tables = tables.open()?;
        Ok(streams.iter().map(|stream| tables.version_at(stream, position)).collect())
    }

    async fn events_at(&self, positions: &[GlobalPosition]) -> Result<Vec<Recorded<AnyEvent>>, StoreError> {
        let tables = self.0.tables.read();
        let tables = tables.open()?;
        let mut positions = positions.to_vec();
        positions.sort_unstable();
        positions.dedup();
        let places = positions.iter().filter_map(|position| usize::try_from(position.get().checked_sub(1)?).ok());
        Ok(places.filter_map(|place| tables.recorded(place)).collect())
    }
}
