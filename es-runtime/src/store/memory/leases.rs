//! Leases: which process runs which partition.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;

use super::checkpoints::PartitionRow;
use super::{MemoryStore, Tables};
use crate::store::{Lease, LeaseRequest, LeaseStore, PartitionId, ProcessId, StoreError};
use crate::subscription::assign::{Wants, fair_share};

/// A process that has asked for partitions.
#[derive(Debug)]
pub(super) struct ProcessRow {
    /// When it counts as dead; `None` for never.
    until: Option<Instant>,
    wanted: BTreeSet<PartitionId>,
}

impl ProcessRow {
    fn lives(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

impl Tables {
    pub(super) fn lives(&self, process: ProcessId) -> bool {
        self.processes.get(&process).is_some_and(|row| row.lives(Instant::now()))
    }

    fn lease(&mut self, request: &LeaseRequest) -> Vec<Lease> {
        let now = Instant::now();
        self.processes.retain(|_, row| row.lives(now));
        let wanted = request.wanted.iter().cloned().collect();
        self.processes.insert(request.process, ProcessRow { until: now.checked_add(request.timeout), wanted });
        let wants: Wants = self.processes.iter().map(|(process, row)| (*process, row.wanted.clone())).collect();
        let share = fair_share(request.process, &wants, &self.owners());
        for id in share.give_up {
            if let Some(partition) = self.partition_mut(&id) {
                partition.owner = None;
            }
        }
        for id in share.take {
            if let Some(partition) = self.partition_mut(&id) {
                partition.owner = Some(request.process);
                partition.epoch += 1;
            }
        }
        self.leases(request.process)
    }

    fn partitions(&self) -> impl Iterator<Item = (PartitionId, &PartitionRow)> {
        let versions = self.projections.iter().flat_map(|(name, versions)| {
            let name: Arc<str> = name.as_str().into();
            versions.iter().map(move |(version, row)| (Arc::clone(&name), *version, row))
        });
        versions.flat_map(|(name, version, row)| {
            let id = move |partition| PartitionId { name: Arc::clone(&name), version, partition };
            (0..).zip(&row.partitions).map(move |(partition, row)| (id(partition), row))
        })
    }

    fn owners(&self) -> BTreeMap<PartitionId, ProcessId> {
        self.partitions().filter_map(|(id, row)| Some((id, row.owner?))).collect()
    }

    fn leases(&self, process: ProcessId) -> Vec<Lease> {
        let mine = self.partitions().filter(|(_, row)| row.owner == Some(process));
        mine.map(|(id, row)| Lease { id, epoch: row.epoch, position: row.position, status: row.status.clone() })
            .collect()
    }
}

impl LeaseStore for MemoryStore {
    async fn lease(&self, request: &LeaseRequest) -> Result<Vec<Lease>, StoreError> {
        let mut tables = self.0.tables.write();
        tables.open()?;
        let unknown = request.wanted.iter().find(|id| tables.partition(id).is_none());
        unknown.map_or(Ok(()), |id| Err(id.gone()))?;
        Ok(tables.lease(request))
    }

    async fn leave(&self, process: ProcessId) -> Result<(), StoreError> {
        let mut tables = self.0.tables.write();
        tables.open()?;
        tables.processes.remove(&process);
        let versions = tables.projections.values_mut().flat_map(|versions| versions.values_mut());
        for partition in versions.flat_map(|row| &mut row.partitions).filter(|row| row.owner == Some(process)) {
            partition.owner = None;
        }
        Ok(())
    }
}
