//! Batches of subscriptions: all of one is stored, or none.

use super::Tables;
use super::checkpoints::PartitionRow;
use super::fold::fold;
use super::registry::VersionRow;
use crate::event::{AnyEvent, Recorded};
use crate::projection::{ProjectionFailure, Projector};
use crate::read_model::{RowChange, TableRef};
use crate::store::{
    Batch, BatchDone, BatchError, BatchWork, NewLetter, PartitionId, StoreError, SubscriptionStatus, VersionState,
};

/// What is written into which table.
type Writes = Option<(TableRef, Vec<RowChange>)>;

impl Tables {
    pub(super) fn project(&mut self, batch: Batch) -> Result<BatchDone, BatchError> {
        self.open()?;
        self.partition(&batch.id).ok_or(BatchError::Fenced)?.check(&batch)?;
        let Batch { id, to, work, letters, settles, switch, .. } = batch;
        // Nothing is written before everything is known to fit.
        if let Some((table, changes)) = self.work(&id, work)? {
            let name = table.stored_name();
            self.rows.get_mut(&name).ok_or_else(|| gone(&name))?.write(changes);
        }
        let Some(row) = self.version_row_mut(&id.name, id.version) else { return Err(BatchError::Fenced) };
        // What a commit has folded meanwhile is done and no letter.
        let folded = |letter: &NewLetter| {
            row.watermarks.get(&letter.stream).is_some_and(|watermark| letter.position <= watermark.position)
        };
        let letters: Vec<_> = letters.into_iter().filter(|letter| !folded(letter)).collect();
        if let Some(partition) = row.partitions.get_mut(id.partition as usize) {
            if let Some(position) = settles {
                partition.settle(position);
            }
            for letter in letters {
                partition.put_aside(letter);
            }
            if let Some(to) = to {
                partition.position = to.get();
            }
        }
        row.forget_watermarks();
        let switched = switch && self.may_switch(&id);
        if switched {
            self.switch(&id.name, id.version);
        }
        let folds = !switched && switch && self.fold_again(&id);
        Ok(BatchDone { switched, folds })
    }

    /// Finds out what is to be written.
    fn work(&self, id: &PartitionId, work: BatchWork) -> Result<Writes, BatchError> {
        match work {
            BatchWork::Nothing => Ok(None),
            BatchWork::Rows(rows) => {
                self.table(rows.table)?;
                Ok(Some((rows.table, rows.changes)))
            }
            BatchWork::Fold { projector, events } => self.fold_batch(id, &*projector, &events),
            BatchWork::Connected { .. } => {
                let cause = "this store has no connections".to_owned();
                Err(BatchError::Failed { index: 0, failure: ProjectionFailure::Failed { handler: "", cause } })
            }
        }
    }

    /// Folds those events that no commit has folded.
    fn fold_batch(
        &self,
        id: &PartitionId,
        projector: &dyn Projector,
        events: &[Recorded<AnyEvent>],
    ) -> Result<Writes, BatchError> {
        let row = self.version_row(&id.name, id.version).ok_or(BatchError::Fenced)?;
        let Some(table) = row.table else { return Ok(None) };
        let (places, left): (Vec<_>, Vec<_>) =
            events.iter().enumerate().filter(|(_, event)| !row.is_folded(event)).unzip();
        let changes = fold(projector, self.table(table)?, left.into_iter()).map_err(|(index, failure)| {
            BatchError::Failed { index: places.get(index).copied().unwrap_or(index), failure }
        })?;
        Ok(Some((table, changes)))
    }

    /// Lets commits fold what they append to a version, if nothing is left to do.
    fn fold_again(&mut self, id: &PartitionId) -> bool {
        let Some(row) = self.version_row(&id.name, id.version) else { return false };
        // Positions count from 1, places from 0.
        let behind = usize::try_from(row.done().get()).unwrap_or(usize::MAX);
        let mut left = self.log.iter().skip(behind);
        if left.any(|event| row.has_kind(event.stream.category(), &event.event.name)) {
            return false;
        }
        self.version_row_mut(&id.name, id.version).is_some_and(VersionRow::fold_again)
    }

    /// Tells whether a version that is being built has nothing left to do.
    fn may_switch(&self, id: &PartitionId) -> bool {
        self.version_row(&id.name, id.version)
            .is_some_and(|row| row.state == VersionState::Building && row.done() == self.head())
    }
}

impl PartitionRow {
    /// Looks whether a batch stands on what is there.
    fn check(&self, batch: &Batch) -> Result<(), BatchError> {
        let back = batch.to.is_some_and(|to| to.get() < batch.from);
        // One that was paused stays where it is, whatever its worker has in hand.
        let held = self.status != SubscriptionStatus::Running && batch.to.is_some_and(|to| to.get() != batch.from);
        if self.position != batch.from || self.epoch != batch.epoch || back || held {
            return Err(BatchError::Fenced);
        }
        if batch.settles.is_some_and(|position| !self.has_letter(position)) {
            return Err(BatchError::LettersChanged);
        }
        if !batch.parked.is_empty() {
            let parked = self.parked_keys();
            if !batch.parked.iter().all(|key| parked.contains(key.as_str())) {
                return Err(BatchError::LettersChanged);
            }
        }
        Ok(())
    }
}

impl VersionRow {
    fn is_folded(&self, event: &Recorded<AnyEvent>) -> bool {
        self.watermarks.get(event.stream()).is_some_and(|watermark| event.version() <= watermark.version)
    }

    /// What every partition has passed needs no watermark.
    fn forget_watermarks(&mut self) {
        let done = self.done();
        self.watermarks.retain(|_, watermark| watermark.position > done);
    }
}

fn gone(name: &str) -> StoreError {
    StoreError::Gone { what: format!("the table `{name}`") }
}
