//! Folding a batch over rows that the store loads.

use rustc_hash::FxHashMap;

use crate::event::{AnyEvent, Recorded, StreamId};
use crate::projection::{FoldSession, ProjectionFailure, Projector};
use crate::read_model::{ColumnError, RowChange, RowKey, TableRef, Value};
use crate::store::BatchError;

/// Events that are left to be done, and the place of each in its batch.
pub(in crate::store) struct Fresh {
    pub(in crate::store) places: Vec<usize>,
    pub(in crate::store) events: Vec<Recorded<AnyEvent>>,
}

impl Fresh {
    /// Leaves out what commits have folded themselves: up to each stream's mark.
    pub(in crate::store) fn of(events: &[Recorded<AnyEvent>], marks: &FxHashMap<StreamId, u64>) -> Self {
        let is_fresh =
            |event: &Recorded<AnyEvent>| marks.get(event.stream()).is_none_or(|mark| event.version().get() > *mark);
        let fresh = events.iter().enumerate().filter(|(_, event)| is_fresh(event));
        let (places, events) = fresh.map(|(place, event)| (place, event.clone())).unzip();
        Self { places, events }
    }

    /// Keeps the events that fulfil a condition.
    pub(in crate::store) fn retain(&mut self, keeps: impl Fn(&Recorded<AnyEvent>) -> bool) {
        let mut kept = self.events.iter().map(&keeps).collect::<Vec<_>>().into_iter();
        self.places.retain(|_| kept.next().unwrap_or_default());
        self.events.retain(keeps);
    }

    /// Gives the place in the batch of one of these events.
    pub(in crate::store) fn place(&self, index: usize) -> usize {
        self.places.get(index).copied().unwrap_or_default()
    }
}

/// A batch that is being folded.
pub(in crate::store) struct Folding<'a> {
    projector: &'a dyn Projector,
    pub(in crate::store) table: TableRef,
    fresh: Fresh,
    session: Box<dyn FoldSession>,
}

impl<'a> Folding<'a> {
    pub(in crate::store) fn begin(projector: &'a dyn Projector, fresh: Fresh) -> Result<Self, BatchError> {
        let projection = projector.descriptor();
        let Some(table) = projection.table else {
            let cause = "the projection has no table".to_owned();
            return Err(failed(0, ProjectionFailure::Failed { handler: "", cause }));
        };
        let table = TableRef { table, version: projection.version };
        Ok(Self { projector, table, fresh, session: projector.begin() })
    }

    /// Says which rows are to be loaded.
    pub(in crate::store) fn missing(&mut self) -> Vec<RowKey> {
        self.session.missing(&self.fresh.events)
    }

    /// Takes them and folds; gives what changes.
    pub(in crate::store) fn finish(
        mut self,
        keys: Vec<RowKey>,
        rows: Vec<Option<Vec<Value>>>,
    ) -> Result<Vec<RowChange>, BatchError> {
        let rows: Vec<_> = keys.into_iter().zip(rows).collect();
        let Self { projector, fresh, session, .. } = &mut self;
        for (key, row) in &rows {
            if let Err(error) = session.supply(key.clone(), row.clone()) {
                let index = fresh.events.iter().position(|event| projector.sequence_keys(event).contains(key));
                return Err(failed(fresh.place(index.unwrap_or_default()), error.into()));
            }
        }
        for (index, event) in fresh.events.iter().enumerate() {
            session.apply(event).map_err(|failure| failed(fresh.place(index), failure))?;
        }
        let changes = session.changes();
        changes.map_err(|error| failed(fresh.place(culprit(*projector, &rows, &fresh.events)), error.into()))
    }
}

fn failed(index: usize, failure: ProjectionFailure) -> BatchError {
    BatchError::Failed { index, failure }
}

/// Finds the first event after which a row cannot be stored.
fn culprit(projector: &dyn Projector, rows: &[(RowKey, Option<Vec<Value>>)], events: &[Recorded<AnyEvent>]) -> usize {
    let mut session = projector.begin();
    let step = |session: &mut Box<dyn FoldSession>, event| -> Result<(), ProjectionFailure> {
        session.apply(event)?;
        session.changes()?;
        Ok(())
    };
    let supplied: Result<(), ColumnError> =
        rows.iter().try_for_each(|(key, row)| session.supply(key.clone(), row.clone()));
    if supplied.is_err() {
        return 0;
    }
    events.iter().position(|event| step(&mut session, event).is_err()).unwrap_or_default()
}
