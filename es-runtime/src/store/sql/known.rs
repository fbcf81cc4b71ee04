//! Versions of projections as they are stored, and what is decided on them.

use crate::projection::ProjectionDescriptor;
use crate::read_model::difference;
use crate::store::{ProjectionVersion, RegisterError, VersionState};

/// What comes of registering a projection.
pub(in crate::store) type Registered = Result<(), RegisterError>;

/// A version as it is stored.
#[derive(Debug)]
pub(in crate::store) struct Known {
    pub(in crate::store) name: String,
    pub(in crate::store) version: u32,
    pub(in crate::store) state: VersionState,
    pub(in crate::store) table: String,
    pub(in crate::store) shape: String,
    pub(in crate::store) partitions: u32,
    /// What its commits have to fold, a kind of event a line; empty where they need not.
    pub(in crate::store) kinds: String,
    /// Whether only workers write its rows at present.
    pub(in crate::store) follows: bool,
}

impl Known {
    pub(in crate::store) fn into_version(self) -> ProjectionVersion {
        let Self { name, version, state, shape, partitions, follows, .. } = self;
        ProjectionVersion { name, version, table: shape, partitions, state, follows }
    }

    /// Compares the version with the one that a program declares.
    pub(in crate::store) fn compare(&self, projection: &'static ProjectionDescriptor) -> Registered {
        let (projection_name, version) = (projection.name.to_owned(), projection.version);
        let (table, shape) = table_of(projection);
        if (self.table.as_str(), self.shape.as_str()) != (table, shape.as_str()) {
            let difference = difference(&described(&self.table, &self.shape), &described(table, &shape));
            let changed = difference.lines().filter(|line| !line.starts_with(' '));
            let difference = changed.flat_map(|line| [line, "\n"]).collect();
            return Err(RegisterError::TableChanged { projection: projection_name, version, difference });
        }
        if self.partitions != projection.partitions {
            let (stored, declared) = (self.partitions, projection.partitions);
            return Err(RegisterError::PartitionsChanged { projection: projection_name, version, stored, declared });
        }
        Ok(())
    }
}

/// Gives the kinds of events that commits have to fold, a line each.
pub(in crate::store) fn kinds_text(projection: &ProjectionDescriptor) -> String {
    projection.kinds_of_commits().join("\n")
}

/// Reads the word that a state is stored as.
pub(in crate::store) fn state(word: &str) -> Result<VersionState, String> {
    match word {
        "building" => Ok(VersionState::Building),
        "active" => Ok(VersionState::Active),
        "retired" => Ok(VersionState::Retired),
        other => Err(format!("`{other}` is no state")),
    }
}

/// Gives the name and the columns of a projection's table; empty where it has none.
pub(in crate::store) fn table_of(projection: &'static ProjectionDescriptor) -> (&'static str, String) {
    projection.table.map_or(("", String::new()), |table| (table.name, table.describe()))
}

fn described(table: &str, shape: &str) -> String {
    if table.is_empty() { String::new() } else { format!("table {table}\n{shape}") }
}

/// Finds the version that serves.
pub(in crate::store) fn active(known: &[Known]) -> Option<&Known> {
    known.iter().find(|known| known.state == VersionState::Active)
}

/// Decides whether a projection takes over what another name has, from what is registered under both names and from the name that stands for its
/// own by now.
pub(in crate::store) fn renaming(
    projection: &'static ProjectionDescriptor,
    is_known: bool,
    is_old_known: bool,
    renamed_to: Option<String>,
) -> Result<bool, RegisterError> {
    let named = || projection.name.to_owned();
    match projection.renamed_from.filter(|_| is_old_known) {
        Some(renamed_from) if is_known => Err(RegisterError::BothNames { projection: named(), renamed_from }),
        Some(_) => Ok(true),
        None => match renamed_to.filter(|_| !is_known) {
            Some(renamed_to) => Err(RegisterError::Renamed { projection: named(), renamed_to }),
            None => Ok(false),
        },
    }
}

/// Decides what can be decided without making anything: `None` for a version that is to be made.
pub(in crate::store) fn decided(known: &[Known], projection: &'static ProjectionDescriptor) -> Option<Registered> {
    if let Some(known) = known.iter().find(|known| known.version == projection.version) {
        return Some(known.compare(projection));
    }
    let newer = active(known).filter(|active| active.version > projection.version)?;
    let (name, version, active) = (projection.name.to_owned(), projection.version, newer.version);
    Some(Err(RegisterError::Dropped { projection: name, version, active }))
}

/// Finds a version that is being built and may become the active one.
pub(in crate::store) fn may_serve(known: &[Known], version: u32) -> Option<&Known> {
    let built = known.iter().find(|known| known.version == version && known.state == VersionState::Building)?;
    active(known).is_none_or(|active| active.version <= version).then_some(built)
}

/// Names the stored table of a version that this program need not know.
pub(in crate::store) fn stored_name(table: &str, version: u32) -> String {
    format!("{table}_v{version}")
}
