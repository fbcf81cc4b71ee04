//! Projections and their versions.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rustc_hash::FxHashMap;

use super::checkpoints::PartitionRow;
use super::rows::StoredTable;
use super::{MemoryStore, Tables};
use crate::event::{GlobalPosition, StreamId, Version};
use crate::projection::{ConnectedProjector, ProjectionDescriptor, ProjectionStyle, kind_of};
use crate::read_model::{TableRef, difference};
use crate::store::{FOLLOWS_FOR, ProjectionRegistry, ProjectionVersion, RegisterError, StoreError, VersionState};
use crate::time;

/// One version of a projection.
#[derive(Debug)]
pub(super) struct VersionRow {
    pub(super) table: Option<TableRef>,
    pub(super) state: VersionState,
    pub(super) partitions: Vec<PartitionRow>,
    /// Up to where commits have folded streams themselves, where the workers are not that far.
    pub(super) watermarks: FxHashMap<StreamId, Watermark>,
    /// What its commits have to fold.
    kinds: Vec<String>,
    /// Since when only workers write its rows; `None` where commits fold what they append.
    followed_at: Option<DateTime<Utc>>,
}

/// The last event of a stream that a commit has folded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watermark {
    pub(super) version: Version,
    pub(super) position: GlobalPosition,
}

impl VersionRow {
    fn new(projection: &'static ProjectionDescriptor, state: VersionState) -> Self {
        Self {
            table: table_of(projection),
            state,
            partitions: (0..projection.partitions.max(1)).map(|_| PartitionRow::default()).collect(),
            watermarks: FxHashMap::default(),
            kinds: Vec::new(),
            followed_at: None,
        }
    }

    /// Takes the kinds of events that a program's commits fold. Where they were others, nobody knows what was left out.
    fn take_kinds(&mut self, projection: &ProjectionDescriptor) {
        let kinds = projection.kinds_of_commits();
        if self.kinds != kinds {
            self.followed_at = (!kinds.is_empty()).then_some(DateTime::UNIX_EPOCH);
            self.kinds = kinds;
        }
    }

    /// Tells whether the kinds of events that commits fold are those that a program knows.
    pub(super) fn has_kinds_of(&self, projection: &ProjectionDescriptor) -> bool {
        self.kinds == projection.kinds_of_commits()
    }

    /// Tells whether commits have to fold such an event.
    pub(super) fn has_kind(&self, category: &str, event: &str) -> bool {
        self.kinds.contains(&kind_of(category, event))
    }

    /// Tells whether commits fold what they append.
    pub(super) fn folds(&self) -> bool {
        self.state == VersionState::Active && self.followed_at.is_none()
    }

    /// From here on only workers write the rows, if the commit has an event that has to be folded.
    pub(super) fn leave(&mut self, kinds: &[String]) {
        if self.folds() && self.kinds.iter().any(|kind| kinds.contains(kind)) {
            self.followed_at = Some(time::now());
        }
    }

    /// Lets commits fold what they append, where everything is done. Gives whether they did not before.
    pub(super) fn fold_again(&mut self) -> bool {
        let long = self.followed_at.is_some_and(|since| since + FOLLOWS_FOR <= time::now());
        let letters = self.partitions.iter().any(|partition| !partition.letters.is_empty());
        let folds = self.state == VersionState::Active && long && !letters;
        if folds {
            self.followed_at = None;
        }
        folds
    }

    fn describe(&self) -> String {
        self.table.map(|table| table.table.describe()).unwrap_or_default()
    }

    fn partition_count(&self) -> u32 {
        u32::try_from(self.partitions.len()).unwrap_or(u32::MAX)
    }

    /// Compares what is stored with what a program declares.
    fn check(&self, projection: &'static ProjectionDescriptor) -> Result<(), RegisterError> {
        let (stored, declared) = (lines(self.table), lines(table_of(projection)));
        let (projection, version, partitions) = (projection.name.to_owned(), projection.version, projection.partitions);
        if stored != declared {
            let difference = difference(&stored, &declared);
            return Err(RegisterError::TableChanged { projection, version, difference });
        }
        let (stored, declared) = (self.partition_count(), partitions.max(1));
        if stored != declared {
            return Err(RegisterError::PartitionsChanged { projection, version, stored, declared });
        }
        Ok(())
    }

    /// Makes the version wait for nothing and know nothing: all partitions stand at a position under a new epoch.
    pub(super) fn restart(&mut self, at: GlobalPosition) {
        // What was folded by commits stays folded where the workers go forward only; else everything after the position is done again.
        let back = self.partitions.iter().any(|partition| at < partition.position);
        self.watermarks.retain(|_, watermark| !back && watermark.position > at);
        if !self.kinds.is_empty() {
            self.followed_at = Some(DateTime::UNIX_EPOCH);
        }
        for partition in &mut self.partitions {
            partition.position = at;
            partition.epoch += 1;
            partition.letters.clear();
        }
    }
}

fn table_of(projection: &'static ProjectionDescriptor) -> Option<TableRef> {
    Some(TableRef { table: projection.table?, version: projection.version })
}

/// The table's name and columns.
fn lines(table: Option<TableRef>) -> String {
    table.map(|table| format!("table {}\n{}", table.table.name, table.table.describe())).unwrap_or_default()
}

impl Tables {
    pub(super) fn version_row(&self, name: &str, version: u32) -> Option<&VersionRow> {
        self.projections.get(name)?.get(&version)
    }

    pub(super) fn version_row_mut(&mut self, name: &str, version: u32) -> Option<&mut VersionRow> {
        self.projections.get_mut(name)?.get_mut(&version)
    }

    pub(super) fn known_row_mut(&mut self, name: &str, version: u32) -> Result<&mut VersionRow, StoreError> {
        let gone = || StoreError::Gone { what: format!("version {version} of projection `{name}`") };
        self.version_row_mut(name, version).ok_or_else(gone)
    }

    pub(super) fn active(&self, name: &str) -> Option<u32> {
        let mut versions = self.projections.get(name)?.iter();
        versions.find(|(_, row)| row.state == VersionState::Active).map(|(version, _)| *version)
    }

    fn register(&mut self, projection: &'static ProjectionDescriptor) -> Result<(), RegisterError> {
        self.open()?;
        let (name, version) = (projection.name, projection.version);
        if projection.style == ProjectionStyle::Connected {
            return Err(RegisterError::NoConnections { projection: name.to_owned() });
        }
        self.rename(projection)?;
        if let Some(known) = self.version_row_mut(name, version) {
            known.check(projection)?;
            known.take_kinds(projection);
            return Ok(());
        }
        self.check_newer(name, projection)?;
        if let Some(table) = table_of(projection) {
            let stored = table.stored_name();
            if self.rows.contains_key(&stored) {
                return Err(RegisterError::TableExists { projection: name.to_owned(), table: stored });
            }
            self.rows.insert(stored, StoredTable::new(table.table));
        }
        let mut row = VersionRow::new(projection, VersionState::Building);
        row.take_kinds(projection);
        self.projections.entry(name.to_owned()).or_default().insert(version, row);
        if self.log.is_empty() {
            // Without a history there is nothing to build.
            self.switch(name, version);
        }
        Ok(())
    }

    /// Refuses a version that is older than the one that serves under a name.
    fn check_newer(&self, name: &str, projection: &'static ProjectionDescriptor) -> Result<(), RegisterError> {
        let version = projection.version;
        match self.active(name).filter(|active| *active > version) {
            Some(active) => Err(RegisterError::Dropped { projection: projection.name.to_owned(), version, active }),
            None => Ok(()),
        }
    }

    /// Renames everything that is registered under the projection's old name. Workers that run it are fenced off.
    fn rename(&mut self, projection: &'static ProjectionDescriptor) -> Result<(), RegisterError> {
        let (name, named) = (projection.name, projection.name.to_owned());
        let is_known = self.projections.contains_key(name);
        let Some(old) = projection.renamed_from.filter(|old| self.projections.contains_key(*old)) else {
            return match self.renamed.get(name).filter(|_| !is_known).cloned() {
                Some(renamed_to) => Err(RegisterError::Renamed { projection: named, renamed_to }),
                None => Ok(()),
            };
        };
        if is_known {
            return Err(RegisterError::BothNames { projection: named, renamed_from: old });
        }
        // Nothing changes before everything is known to fit.
        match self.version_row(old, projection.version) {
            Some(row) => row.check(projection)?,
            None => self.check_newer(old, projection)?,
        }
        let Some(mut versions) = self.projections.remove(old) else { return Ok(()) };
        for partition in versions.values_mut().flat_map(|row| &mut row.partitions) {
            partition.owner = None;
            partition.epoch += 1;
        }
        self.projections.insert(named.clone(), versions);
        self.renamed.remove(name);
        self.renamed.insert(old.to_owned(), named);
        Ok(())
    }

    fn reset(&mut self, projection: &'static ProjectionDescriptor) -> Result<(), StoreError> {
        self.open()?;
        let (name, version) = (projection.name, projection.version);
        let row = self.known_row_mut(name, version)?;
        row.restart(GlobalPosition::START);
        row.watermarks.clear();
        row.state = VersionState::Building;
        if let Some(table) = row.table
            && let Some(rows) = self.rows.get_mut(&table.stored_name())
        {
            rows.clear();
        }
        Ok(())
    }

    fn drop_retired(&mut self, name: &str) -> Result<u64, StoreError> {
        self.open()?;
        let (Some(active), Some(versions)) = (self.active(name), self.projections.get(name)) else { return Ok(0) };
        let runs = |row: &VersionRow| row.partitions.iter().any(|row| row.owner.is_some_and(|owner| self.lives(owner)));
        let old = versions.range(..active).filter(|(_, row)| !runs(row)).map(|(version, _)| *version);
        let old: Vec<u32> = old.collect();
        for version in &old {
            let dropped = self.projections.get_mut(name).and_then(|versions| versions.remove(version));
            if let Some(table) = dropped.and_then(|row| row.table) {
                self.rows.remove(&table.stored_name());
            }
        }
        Ok(old.len() as u64)
    }

    /// Makes a version the active one, and those before it retired.
    pub(super) fn switch(&mut self, name: &str, version: u32) {
        for (other, row) in self.projections.get_mut(name).into_iter().flatten() {
            if *other < version {
                row.state = VersionState::Retired;
            } else if *other == version {
                row.state = VersionState::Active;
                row.fold_again();
            }
        }
    }
}

impl ProjectionRegistry for MemoryStore {
    async fn register(
        &self,
        projection: &'static ProjectionDescriptor,
        _reset: Option<Arc<dyn ConnectedProjector>>,
    ) -> Result<(), RegisterError> {
        self.0.tables.write().register(projection)
    }

    async fn projections(&self) -> Result<Vec<ProjectionVersion>, StoreError> {
        let tables = self.0.tables.read();
        let mut found = Vec::new();
        for (name, versions) in &tables.open()?.projections {
            found.extend(versions.iter().map(|(version, row)| ProjectionVersion {
                name: name.clone(),
                version: *version,
                table: row.describe(),
                partitions: row.partition_count(),
                state: row.state,
                follows: row.followed_at.is_some(),
            }));
        }
        Ok(found)
    }

    async fn reset(
        &self,
        projection: &'static ProjectionDescriptor,
        _connected: Option<Arc<dyn ConnectedProjector>>,
    ) -> Result<(), StoreError> {
        self.0.tables.write().reset(projection)
    }

    async fn drop_retired(&self, name: &str) -> Result<u64, StoreError> {
        self.0.tables.write().drop_retired(name)
    }
}
