//! Synchronous projections: folded with the commit, or the commit is refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Tables;
use super::fold::fold;
use super::log::LogRow;
use super::registry::{VersionRow, Watermark};
use crate::event::{AnyEvent, GlobalPosition, Recorded, Version};
use crate::projection::{ProjectionFailure, Projector};
use crate::read_model::{RowChange, TableRef};
use crate::store::commit::kinds_of;
use crate::store::projecting::put_aside;
use crate::store::{AppendError, NewCommit, SyncProjections};
use crate::subscription::assign::partition_of;

/// What one projection makes of a commit.
pub(super) struct Folded {
    name: &'static str,
    table: TableRef,
    changes: Vec<RowChange>,
    /// The last event that is folded.
    last: Recorded<AnyEvent>,
}

impl Tables {
    /// Lets versions follow whose rows are shared by streams and which the commit does not bring.
    pub(super) fn leave_to_workers(&mut self, commit: &NewCommit) {
        let kinds = kinds_of(&[commit]);
        for (name, versions) in &mut self.projections {
            for (version, row) in versions {
                let brings = |all: &Arc<SyncProjections>| {
                    let brought = all.folded.iter().map(|projector| projector.descriptor());
                    let mut brought = brought.filter(|own| own.name == name && own.version == *version);
                    brought.any(|own| row.has_kinds_of(own))
                };
                if !commit.projections.as_ref().is_some_and(brings) {
                    row.leave(&kinds);
                }
            }
        }
    }

    /// Folds a commit's events with the synchronous projections, in their order. Nothing is written.
    pub(super) fn fold_commit(&self, commit: &NewCommit) -> Result<Vec<Folded>, AppendError> {
        let Some(projections) = commit.projections.as_deref().filter(|_| !commit.events.is_empty()) else {
            return Ok(Vec::new());
        };
        let events = self.recorded_events(commit);
        let folded = projections.folded.iter();
        folded
            .filter_map(|projector| self.fold_projection(&**projector, &events, projections.backlog).transpose())
            .collect()
    }

    /// The commit's events as they will stand in the log.
    fn recorded_events(&self, commit: &NewCommit) -> Vec<Recorded<AnyEvent>> {
        let rows = commit
            .events
            .iter()
            .zip(commit.expected.get() + 1..)
            .map(|(event, version)| LogRow::of(commit, event, version));
        rows.enumerate().map(|(index, row)| row.recorded(self.log.len() + index)).collect()
    }

    fn fold_projection(
        &self,
        projector: &dyn Projector,
        events: &[Recorded<AnyEvent>],
        backlog: usize,
    ) -> Result<Option<Folded>, AppendError> {
        let projection = projector.descriptor();
        let in_append =
            |event: &Recorded<AnyEvent>| projection.takes_in_append(event.stream().category(), &event.event().name);
        let Some(last) = events.iter().rposition(in_append) else { return Ok(None) };
        // What stands behind the last synchronous function's event is the worker's.
        let Some((mine, last)) = events.get(..=last).and_then(|mine| Some((mine, mine.last()?))) else {
            return Ok(None);
        };
        let Some(row) = self.version_row(projection.name, projection.version) else { return Ok(None) };
        let Some(table) = row.table.filter(|_| row.folds() && row.has_kinds_of(projection)) else { return Ok(None) };
        let behind = |reason: String| AppendError::ProjectionBehind {
            projection: projection.name,
            stream: last.stream().clone(),
            reason,
        };
        let pending = self.pending(row, projector, last, backlog);
        if pending.len() > backlog {
            return Err(behind(format!("more than {backlog} earlier events of the stream are not projected yet")));
        }
        let all = pending.iter().chain(mine);
        if let Some(key) = row.parked(projector, all.clone()) {
            return Err(behind(put_aside(&key)));
        }
        let changes =
            fold(projector, self.table(table)?, all).map_err(|(_, failure)| failed(projection.name, failure))?;
        Ok(Some(Folded { name: projection.name, table, changes, last: last.clone() }))
    }

    /// Gives the stream's events that the workers have not done yet, up to one more than the limit.
    fn pending(
        &self,
        row: &VersionRow,
        projector: &dyn Projector,
        new: &Recorded<AnyEvent>,
        limit: usize,
    ) -> Vec<Recorded<AnyEvent>> {
        let stream = new.stream();
        let watermark = row.watermarks.get(stream).map_or(Version::NONE, |watermark| watermark.version);
        let Some(places) = self.streams.get(stream) else { return Vec::new() };
        // Places count from 0, positions from 1.
        let done = places.partition_point(|place| (*place as u64) < row.done().get());
        let done = done.max(usize::try_from(watermark.get()).unwrap_or(usize::MAX));
        let events = places.iter().skip(done).filter_map(|place| self.recorded(*place));
        let events = events.filter(|event| projector.descriptor().takes(event));
        events.filter(|event| row.is_open(projector, event)).take(limit.saturating_add(1)).collect()
    }

    pub(super) fn write_folded(&mut self, folded: Folded) {
        if let Some(table) = self.rows.get_mut(&folded.table.stored_name()) {
            table.write(folded.changes);
        }
        if let Some(row) = self.version_row_mut(folded.name, folded.table.version) {
            let watermark = Watermark { version: folded.last.version(), position: folded.last.position() };
            row.watermarks.insert(folded.last.stream().clone(), watermark);
        }
    }
}

impl VersionRow {
    /// Up to where every partition is.
    pub(super) fn done(&self) -> GlobalPosition {
        self.partitions.iter().map(|partition| partition.position).min().unwrap_or_default()
    }

    /// Tells whether the event's partition has still to do it.
    fn is_open(&self, projector: &dyn Projector, event: &Recorded<AnyEvent>) -> bool {
        let partition = match self.partitions.len() {
            0 | 1 => 0,
            count => {
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                match projector.sequence_keys(event).first() {
                    Some(key) => partition_of(key.as_str(), count),
                    None => partition_of(&event.stream().sequence_key(), count),
                }
            }
        };
        self.partitions.get(partition as usize).is_some_and(|partition| event.position() > partition.position)
    }

    /// Gives the key of a letter that has to be dealt with before these events.
    fn parked<'a>(
        &self,
        projector: &dyn Projector,
        events: impl Iterator<Item = &'a Recorded<AnyEvent>>,
    ) -> Option<String> {
        let letters = self.partitions.iter().flat_map(|partition| partition.letters.values());
        let letters = letters.map(|row| &row.letter);
        letters.clone().next()?;
        let (mut keys, mut streams) = (BTreeSet::new(), BTreeSet::new());
        for event in events {
            keys.extend(projector.sequence_keys(event).iter().map(|key| key.as_str().to_owned()));
            keys.insert(event.stream().sequence_key());
            streams.insert(event.stream());
        }
        let mut parked = letters.filter(|letter| keys.contains(&letter.key) || streams.contains(&letter.stream));
        parked.next().map(|letter| letter.key.clone())
    }
}

fn failed(projection: &'static str, cause: ProjectionFailure) -> AppendError {
    match cause {
        ProjectionFailure::TimedOut { after, .. } => AppendError::ProjectionTimedOut { projection, after },
        cause => AppendError::ProjectionFailed { projection, cause },
    }
}
