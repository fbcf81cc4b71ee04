//! The read models of an application: which stored table serves which row type, and how far each projection is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use tokio::sync::watch;

use super::query_route::QueryRoutes;
use crate::projection::{BoxFuture, ProjectionDescriptor};
use crate::query::EVERY_TABLE;
use crate::read_model::{ReadModelError, RowKey, Rows, Selection, TableDescriptor, TableRef, Value};
use crate::store::{ProjectionVersion, Store, StoreError, VersionState};
use crate::subscription::{Control, Health, Subscriptions};

/// The read models of an application.
pub(crate) struct ReadModels<S> {
    /// The projections, by their names.
    pub(crate) projections: FxHashMap<&'static str, &'static ProjectionDescriptor>,
    pub(crate) queries: QueryRoutes<S>,
    pub(crate) rows: Arc<Serving<S>>,
    /// What follows the log in this process. Dropped with the application, its workers end.
    pub(crate) subscriptions: Subscriptions<S>,
}

/// The rows of a store, with the knowledge of which version of a table serves.
pub(crate) struct Serving<S> {
    store: S,
    /// The projections, by their tables.
    by_table: FxHashMap<&'static str, &'static ProjectionDescriptor>,
    control: Control<S>,
    known: RwLock<Option<Known>>,
}

/// Which versions of projections there are, as the store said a moment ago.
struct Known {
    versions: Arc<[ProjectionVersion]>,
    at: Instant,
    generation: u64,
}

/// For how long it is believed which version serves. This process's own rebuilds and switches end it at once, those of others are noticed
/// after this time.
const BELIEVED: Duration = Duration::from_millis(250);

impl<S: Store> ReadModels<S> {
    pub(crate) fn new(
        store: S,
        projections: Vec<&'static ProjectionDescriptor>,
        queries: QueryRoutes<S>,
        subscriptions: Subscriptions<S>,
    ) -> Self {
        let by_table =
            projections.iter().filter_map(|projection| Some((projection.table?.name, *projection))).collect();
        let rows = Serving { store, by_table, control: subscriptions.control().clone(), known: RwLock::default() };
        let projections = projections.into_iter().map(|projection| (projection.name, projection)).collect();
        Self { projections, queries, rows: Arc::new(rows), subscriptions }
    }

    pub(crate) fn store(&self) -> &S {
        &self.rows.store
    }

    /// Watches the workers of this process: changes when a checkpoint has moved.
    pub(crate) fn moved(&self) -> watch::Receiver<Health> {
        self.subscriptions.control().health()
    }

    /// Names the projections that write these tables, each once.
    pub(crate) fn projections_of(&self, tables: &[Option<&'static str>]) -> Vec<&'static ProjectionDescriptor> {
        if tables.contains(&Some(EVERY_TABLE)) {
            return self.projections.values().copied().collect();
        }
        let mut found: Vec<&'static ProjectionDescriptor> = Vec::new();
        for table in tables.iter().flatten() {
            if let Some(projection) = self.rows.by_table.get(table)
                && !found.iter().any(|known| known.name == projection.name)
            {
                found.push(projection);
            }
        }
        found
    }
}

impl<S: Store> Serving<S> {
    /// Gives which versions of projections there are; `fresh`: as the store says now.
    pub(crate) async fn versions(&self, fresh: bool) -> Result<Arc<[ProjectionVersion]>, StoreError> {
        // Before the store is asked: what changes meanwhile is noticed the next time.
        let (generation, at) = (self.control.generation(), Instant::now());
        let believed = |known: &&Known| !fresh && known.generation == generation && known.at + BELIEVED > at;
        if let Some(known) = self.known.read().as_ref().filter(believed) {
            return Ok(Arc::clone(&known.versions));
        }
        let versions: Arc<[ProjectionVersion]> = self.store.projections().await?.into();
        *self.known.write() = Some(Known { versions: Arc::clone(&versions), at, generation });
        Ok(versions)
    }

    async fn resolve(&self, table: &'static TableDescriptor, fresh: bool) -> Result<TableRef, ReadModelError> {
        let Some(projection) = self.by_table.get(table.name) else {
            return Err(ReadModelError::Unknown { table: table.name });
        };
        let stored = self.versions(fresh).await?;
        match serving(projection, table, &stored) {
            // It may have been built meanwhile.
            Err(ReadModelError::Building { .. }) if !fresh => serving(projection, table, &self.versions(true).await?),
            served => served,
        }
    }
}

/// Which version of a projection a program reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Version(u32),
    /// Its own is being built, and the one that serves has other columns.
    Building,
    /// Its own was dropped, and a newer one serves.
    Dropped,
}

/// Decides which version a program reads: its own; or, while that one is built, the one that serves, if its columns are the same.
pub(crate) fn read_version(projection: &ProjectionDescriptor, stored: &[ProjectionVersion]) -> Read {
    let stored = || stored.iter().filter(|known| known.name == projection.name);
    let active = stored().find(|known| known.state == VersionState::Active);
    match stored().find(|known| known.version == projection.version).map(|known| known.state) {
        Some(VersionState::Active | VersionState::Retired) => Read::Version(projection.version),
        Some(VersionState::Building) => {
            let columns = projection.table.map(TableDescriptor::describe).unwrap_or_default();
            active
                .filter(|active| active.table == columns)
                .map_or(Read::Building, |active| Read::Version(active.version))
        }
        None if active.is_some_and(|active| active.version > projection.version) => Read::Dropped,
        None => Read::Building,
    }
}

fn serving(
    projection: &ProjectionDescriptor,
    table: &'static TableDescriptor,
    stored: &[ProjectionVersion],
) -> Result<TableRef, ReadModelError> {
    match read_version(projection, stored) {
        Read::Version(version) => Ok(TableRef { table, version }),
        Read::Building => Err(ReadModelError::Building { table: table.name, version: projection.version }),
        Read::Dropped => Err(ReadModelError::Dropped { table: table.name, version: projection.version }),
    }
}

impl<S: Store> Rows for Serving<S> {
    fn table(&self, table: &'static TableDescriptor, fresh: bool) -> BoxFuture<'_, Result<TableRef, ReadModelError>> {
        Box::pin(self.resolve(table, fresh))
    }

    fn rows<'a>(
        &'a self,
        table: TableRef,
        keys: &'a [RowKey],
    ) -> BoxFuture<'a, Result<Vec<Option<Vec<Value>>>, StoreError>> {
        Box::pin(self.store.rows(table, keys))
    }

    fn select<'a>(
        &'a self,
        table: TableRef,
        selection: &'a Selection,
    ) -> BoxFuture<'a, Result<Vec<Vec<Value>>, StoreError>> {
        Box::pin(self.store.select(table, selection))
    }

    fn count<'a>(&'a self, table: TableRef, selection: &'a Selection) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(self.store.count(table, selection))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::ProjectionStyle;
    use crate::read_model::{ColumnDescriptor, ColumnType};

    const TABLE: &TableDescriptor = &TableDescriptor {
        name: "balances",
        columns: &[ColumnDescriptor { name: "id", ty: ColumnType::Uuid, nullable: false, key: true, index: false }],
    };

    const PROJECTION: ProjectionDescriptor = ProjectionDescriptor {
        name: "balances",
        version: 2,
        type_name: "Balance",
        style: ProjectionStyle::Folded,
        table: Some(TABLE),
        partitions: 1,
        renamed_from: None,
        resets: false,
        handlers: &[],
    };

    fn stored(version: u32, state: VersionState, table: &str) -> ProjectionVersion {
        ProjectionVersion {
            name: "balances".into(),
            version,
            table: table.to_owned(),
            partitions: 1,
            state,
            follows: false,
        }
    }

    fn served(stored: &[ProjectionVersion]) -> Result<u32, String> {
        serving(&PROJECTION, TABLE, stored).map(|table| table.version).map_err(|error| error.to_string())
    }

    #[test]
    fn a_version_in_building_is_served_by_the_active_one_of_the_same_columns() {
        let same = TABLE.describe();
        let building = stored(2, VersionState::Building, &same);
        assert_eq!(served(&[stored(1, VersionState::Active, &same), building.clone()]), Ok(1));
        let other = served(&[stored(1, VersionState::Active, "id: text key\n"), building]);
        assert_eq!(other.unwrap_err(), "version 2 of the table `balances` is still being built");
    }

    #[test]
    fn the_own_version_serves_once_it_is_built_and_until_it_is_dropped() {
        let same = TABLE.describe();
        assert_eq!(served(&[stored(2, VersionState::Active, &same)]), Ok(2));
        assert_eq!(served(&[stored(2, VersionState::Retired, &same), stored(3, VersionState::Active, &same)]), Ok(2));
        let dropped = served(&[stored(3, VersionState::Active, &same)]);
        assert_eq!(dropped.unwrap_err(), "version 2 of the table `balances` is dropped; use a newer program");
    }
}
