//! Projections and their versions.

use std::future::Future;
use std::sync::Arc;

use chrono::TimeDelta;

use crate::projection::{ConnectedProjector, ProjectionDescriptor};
use crate::store::StoreError;

/// How long a version follows at least that a commit left events to its workers. A program that leaves them events again and again makes it
/// change that often at most, and each change holds the appends off for a moment.
pub(in crate::store) const FOLLOWS_FOR: TimeDelta = TimeDelta::seconds(5);

/// Keeps track of projections and their versions.
pub trait ProjectionRegistry: Send + Sync + 'static {
    /// Makes a projection's version known, and its tables where they are not there. On an empty log it is active
    /// from its start; else it is built first, beside the active one if there is one, until a batch that
    /// [switches](super::Batch::switch) makes it the active one.
    ///
    /// Several processes may call it at once.
    ///
    /// # Errors
    ///
    /// [`RegisterError`] where the version is known with another table, other partitions; or is older than the active one and
    /// its table is gone.
    fn register(
        &self,
        projection: &'static ProjectionDescriptor,
        reset: Option<Arc<dyn ConnectedProjector>>,
    ) -> impl Future<Output = Result<(), RegisterError>> + Send;

    /// Gives every known version of every projection.
    fn projections(&self) -> impl Future<Output = Result<Vec<ProjectionVersion>, StoreError>> + Send;

    /// Empties what a version wrote and sets its checkpoints back to the start; its letters are gone, and it is in building until it has caught up. Only for a version that runs folded or connected with
    /// a `#[reset]`. The subscription's epochs grow, so that a worker that is under way is fenced off.
    fn reset(
        &self,
        projection: &'static ProjectionDescriptor,
        connected: Option<Arc<dyn ConnectedProjector>>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Drops the tables, checkpoints and letters of the versions that are older than the active one and of which no living process
    /// runs a partition: its program still reads them. Says how many versions.
    fn drop_retired(&self, name: &str) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// One version of a projection, as a store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectionVersion {
    /// The projection's name.
    pub name: String,
    /// The version.
    pub version: u32,
    /// What the version's table looks like ([`TableDescriptor::describe`](crate::read_model::TableDescriptor::describe));
    /// empty where it has none of ours.
    pub table: String,
    /// In how many partitions it runs.
    pub partitions: u32,
    /// Where it stands.
    pub state: VersionState,
    /// Whether only workers write its rows at present, although its functions are synchronous: a commit left events to them, of which they
    /// have not done all. Only of versions whose rows are shared by streams.
    pub follows: bool,
}

/// Where a version of a projection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionState {
    /// It is being built; an older one serves.
    Building,
    /// It serves.
    Active,
    /// A newer one serves; it may still be read until it is dropped.
    Retired,
}

/// Says why a projection cannot run.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The table's columns differ from those that are stored for this version.
    #[error(
        "the table of projection `{projection}` version {version} is stored with other columns; raise the version:\n{difference}"
    )]
    TableChanged {
        /// The projection.
        projection: String,
        /// The version.
        version: u32,
        /// What differs: lines with `-` are stored, lines with `+` are the program's.
        difference: String,
    },
    /// The number of partitions differs from the one that is stored for this version.
    #[error(
        "projection `{projection}` version {version} is stored with {stored} partitions, not with {declared}; raise the version"
    )]
    PartitionsChanged {
        /// The projection.
        projection: String,
        /// The version.
        version: u32,
        /// What is stored.
        stored: u32,
        /// What is declared.
        declared: u32,
    },
    /// Another table of the database has the name that the projection's is to have.
    #[error(
        "there is a table `{table}` that is none of projection `{projection}`; if the projection was renamed, write `renamed_from = \"…\"` with its old name"
    )]
    TableExists {
        /// The projection.
        projection: String,
        /// The table.
        table: String,
    },
    /// The projection was renamed by a newer program: the program is too old.
    #[error("projection `{projection}` is called `{renamed_to}` now; use the newest program")]
    Renamed {
        /// The projection, as this program calls it.
        projection: String,
        /// The name that it has now.
        renamed_to: String,
    },
    /// The projection and the one that it is renamed from are both registered.
    #[error(
        "projection `{projection}` is renamed from `{renamed_from}`, and both are there; give it another name, or remove `renamed_from`"
    )]
    BothNames {
        /// The projection.
        projection: String,
        /// The name that it is renamed from.
        renamed_from: &'static str,
    },
    /// A name is longer than the database keeps names.
    #[error("projection `{projection}` needs a table or column `{name}`; the store takes names of {longest} bytes")]
    NameTooLong {
        /// The projection.
        projection: String,
        /// The name: that of the table with the projection's version, or of a column.
        name: String,
        /// How many bytes it may have.
        longest: usize,
    },
    /// A newer version serves and this one is dropped: the program is too old.
    #[error("projection `{projection}` is at version {active}, version {version} was dropped; use a newer program")]
    Dropped {
        /// The projection.
        projection: String,
        /// This program's version.
        version: u32,
        /// The version that serves.
        active: u32,
    },
    /// A projection that takes a connection runs on a store that has none.
    #[error("projection `{projection}` takes a connection, which this store does not have")]
    NoConnections {
        /// The projection.
        projection: String,
    },
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}
