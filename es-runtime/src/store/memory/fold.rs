//! Folding events over stored rows.

use rustc_hash::FxHashMap;

use super::rows::StoredTable;
use crate::event::{AnyEvent, Recorded};
use crate::projection::{FoldSession, ProjectionFailure, Projector};
use crate::read_model::{ColumnError, RowChange, RowKey};

/// Folds events and gives the rows that change; or which event failed, and why.
pub(super) fn fold<'a>(
    projector: &dyn Projector,
    table: &StoredTable,
    events: impl Iterator<Item = &'a Recorded<AnyEvent>> + Clone,
) -> Result<Vec<RowChange>, (usize, ProjectionFailure)> {
    let mut session = projector.begin();
    for (index, event) in events.clone().enumerate() {
        apply(&mut *session, table, event).map_err(|failure| (index, failure))?;
    }
    // A row that cannot be stored does not say which event made it.
    session.changes().or_else(|_| one_by_one(projector, table, events))
}

fn one_by_one<'a>(
    projector: &dyn Projector,
    table: &StoredTable,
    events: impl Iterator<Item = &'a Recorded<AnyEvent>>,
) -> Result<Vec<RowChange>, (usize, ProjectionFailure)> {
    let mut session = projector.begin();
    let mut changes: FxHashMap<RowKey, RowChange> = FxHashMap::default();
    for (index, event) in events.enumerate() {
        apply(&mut *session, table, event).map_err(|failure| (index, failure))?;
        let touched = session.changes().map_err(|error: ColumnError| (index, error.into()))?;
        changes.extend(touched.into_iter().map(|change| (change.key.clone(), change)));
    }
    Ok(changes.into_values().collect())
}

/// Loads what one event needs, and folds it. Nothing is waited for, so rows need not be loaded for many at once.
fn apply(
    session: &mut dyn FoldSession,
    table: &StoredTable,
    event: &Recorded<AnyEvent>,
) -> Result<(), ProjectionFailure> {
    for key in session.missing(std::slice::from_ref(event)) {
        let row = table.row(&key);
        session.supply(key, row)?;
    }
    session.apply(event)
}
