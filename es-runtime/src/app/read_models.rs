//! The read models of an application: which stored table serves which row type, and how far each projection is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::watch;

use super::query_route::QueryRoutes;
use crate::projection::{BoxFuture, ProjectionDescriptor};
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
    /// The projections whose own version has served: it is what queries read, unless it is dropped.
    active: RwLock<FxHashSet<&'static str>>,
}

/// The rows of a store, with the knowledge of which version of a table serves.
pub(crate) struct Serving<S> {
    store: S,
    /// The projections, by their tables.
    by_table: FxHashMap<&'static str, &'static ProjectionDescriptor>,
    /// When it was found out, too: another process may have begun to build a version anew.
    known: RwLock<FxHashMap<&'static str, (TableRef, Instant)>>,
    /// What this process knows of the versions.
    control: Control<S>,
}

/// How long a program relies on what it knows of a table.
const RELIABLE: Duration = Duration::from_secs(1);

impl<S: Store> ReadModels<S> {
    pub(crate) fn new(
        store: S,
        projections: Vec<&'static ProjectionDescriptor>,
        queries: QueryRoutes<S>,
        subscriptions: Subscriptions<S>,
    ) -> Self {
        let by_table =
            projections.iter().filter_map(|projection| Some((projection.table?.name, *projection))).collect();
        let control = subscriptions.control().clone();
        let rows = Serving { store, by_table, known: RwLock::default(), control };
        let projections = projections.into_iter().map(|projection| (projection.name, projection)).collect();
        Self { projections, queries, rows: Arc::new(rows), subscriptions, active: RwLock::default() }
    }

    pub(crate) fn store(&self) -> &S {
        &self.rows.store
    }

    /// Watches the workers of this process: changes when a checkpoint has moved.
    pub(crate) fn moved(&self) -> watch::Receiver<Health> {
        self.subscriptions.control().health()
    }

    pub(crate) fn is_active(&self, projection: &ProjectionDescriptor) -> bool {
        self.active.read().contains(projection.name)
    }

    pub(crate) fn activated(&self, projection: &ProjectionDescriptor) {
        self.active.write().insert(projection.name);
    }

    /// Names the projections that write these tables, each once.
    pub(crate) fn projections_of(&self, tables: &[Option<&'static str>]) -> Vec<&'static ProjectionDescriptor> {
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
    /// Gives what is known of a table and can be relied on.
    fn known(&self, table: &'static TableDescriptor) -> Option<TableRef> {
        let is_built = |name| self.control.version_state(name) == Some(VersionState::Building);
        if self.by_table.get(table.name).is_some_and(|projection| is_built(projection.name)) {
            return None;
        }
        let (known, since) = self.known.read().get(table.name).copied()?;
        (since.elapsed() < RELIABLE).then_some(known)
    }

    async fn resolve(&self, table: &'static TableDescriptor) -> Result<TableRef, ReadModelError> {
        let Some(projection) = self.by_table.get(table.name) else {
            return Err(ReadModelError::Unknown { table: table.name });
        };
        let stored = self.store.projections().await?;
        let mine = stored.into_iter().filter(|version| version.name == projection.name);
        serving(projection, table, &mine.collect::<Vec<_>>())
    }
}

/// Decides which stored table a program reads: its own version's; or, while that one is built, the one that serves, if its
/// columns are the same.
fn serving(
    projection: &ProjectionDescriptor,
    table: &'static TableDescriptor,
    stored: &[ProjectionVersion],
) -> Result<TableRef, ReadModelError> {
    let (name, version) = (table.name, projection.version);
    let active = stored.iter().find(|known| known.state == VersionState::Active);
    match stored.iter().find(|known| known.version == version).map(|known| known.state) {
        Some(VersionState::Active | VersionState::Retired) => Ok(TableRef { table, version }),
        Some(VersionState::Building) => match active {
            Some(active) if active.table == table.describe() => Ok(TableRef { table, version: active.version }),
            _ => Err(ReadModelError::Building { table: name, version }),
        },
        None if active.is_some_and(|active| active.version > version) => {
            Err(ReadModelError::Dropped { table: name, version })
        }
        None => Err(ReadModelError::Building { table: name, version }),
    }
}

impl<S: Store> Rows for Serving<S> {
    fn table(&self, table: &'static TableDescriptor, fresh: bool) -> BoxFuture<'_, Result<TableRef, ReadModelError>> {
        let known = if fresh { None } else { self.known(table) };
        Box::pin(async move {
            if let Some(known) = known {
                return Ok(known);
            }
            let since = Instant::now();
            let found = self.resolve(table).await?;
            // Only the program's own version stays readable until somebody drops it; the others change with the switch.
            let own = self.by_table.get(table.name).is_some_and(|projection| projection.version == found.version);
            if own {
                self.known.write().insert(table.name, (found, since));
            } else {
                self.known.write().remove(table.name);
            }
            Ok(found)
        })
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
        resets: false,
        handlers: &[],
    };

    fn stored(version: u32, state: VersionState, table: &str) -> ProjectionVersion {
        ProjectionVersion { name: "balances".into(), version, table: table.to_owned(), partitions: 1, state }
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
