//! Folds events inside of a transaction.

use rustc_hash::FxHashMap;
use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;

use super::batch::Refused;
use super::checkpoints::stream_rows;
use super::error::DbError;
use super::lookup::distinct;
use super::rows::{by_keys, read};
use super::script::Script;
use crate::event::{AnyEvent, Recorded, StreamId};
use crate::projection::{FoldSession, ProjectionFailure, Projector};
use crate::read_model::{ColumnError, RowChange, RowKey, TableRef, Value};
use crate::store::{Batch, BatchError, PartitionId};

/// Folds a batch; gives what it changes. Events that a commit folded already are left out.
pub(super) async fn fold(
    connection: &mut SqliteConnection,
    id: &PartitionId,
    projector: &dyn Projector,
    events: &[Recorded<AnyEvent>],
) -> Result<(TableRef, Vec<RowChange>), Refused> {
    let projection = projector.descriptor();
    let Some(table) = projection.table else {
        let cause = "the projection has no table".to_owned();
        return Err(failed(0, ProjectionFailure::Failed { handler: "", cause }));
    };
    let table = TableRef { table, version: projection.version };
    let (places, fresh) = not_folded(connection, id, events, projection.has_sync()).await?;
    let place = |index: usize| places.get(index).copied().unwrap_or_default();
    let mut session = projector.begin();
    let keys = session.missing(&fresh);
    let rows = by_keys(connection, table, &keys).await?;
    let rows: Vec<_> = keys.into_iter().zip(rows).collect();
    for (key, row) in &rows {
        if let Err(error) = session.supply(key.clone(), row.clone()) {
            let index = fresh.iter().position(|event| projector.sequence_keys(event).contains(key));
            return Err(failed(place(index.unwrap_or_default()), error.into()));
        }
    }
    for (index, event) in fresh.iter().enumerate() {
        session.apply(event).map_err(|failure| failed(place(index), failure))?;
    }
    match session.changes() {
        Ok(changes) => Ok((table, changes)),
        Err(error) => Err(failed(place(culprit(projector, &rows, &fresh)), error.into())),
    }
}

fn failed(index: usize, failure: ProjectionFailure) -> Refused {
    Refused::Alone(BatchError::Failed { index, failure })
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

/// Leaves out what commits did themselves; gives the rest with its places.
pub(super) async fn not_folded(
    connection: &mut SqliteConnection,
    id: &PartitionId,
    events: &[Recorded<AnyEvent>],
    has_sync: bool,
) -> Result<(Vec<usize>, Vec<Recorded<AnyEvent>>), DbError> {
    let marks = if has_sync { watermarks(connection, id, events).await? } else { FxHashMap::default() };
    let is_fresh =
        |event: &Recorded<AnyEvent>| marks.get(event.stream()).is_none_or(|mark| event.version().get() > *mark);
    Ok(events
        .iter()
        .enumerate()
        .filter(|(_, event)| is_fresh(event))
        .map(|(place, event)| (place, event.clone()))
        .unzip())
}

async fn watermarks(
    connection: &mut SqliteConnection,
    id: &PartitionId,
    events: &[Recorded<AnyEvent>],
) -> Result<FxHashMap<StreamId, u64>, DbError> {
    let streams = distinct(events.iter().map(Recorded::stream));
    let mut script = Script::default();
    script.add(
        "SELECT e.key, w.stream_version FROM json_each(?) AS e CROSS JOIN streams AS s \
         ON s.tenant = e.value->>0 AND s.category = e.value->>1 AND s.key = e.value->>2 \
         CROSS JOIN watermarks AS w ON w.name = ? AND w.version = ? AND w.stream_no = s.stream_no",
    );
    script.bind(stream_rows(streams.iter().copied())).bind(id.name.to_string()).bind(id.version);
    let found = read(connection, script, |row| Ok((row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?))).await?;
    let mark = |(place, version): (i64, i64)| {
        let stream = usize::try_from(place).ok().and_then(|place| streams.get(place))?;
        Some(((*stream).clone(), version.cast_unsigned()))
    };
    Ok(found.into_iter().filter_map(mark).collect())
}

/// Adds the statement that forgets the watermarks that every checkpoint of the version has passed. The one of the batch's partition stands
/// where it goes to by then.
pub(super) fn forget_watermarks(script: &mut Script, batch: &Batch) {
    if batch.to.is_none() {
        return;
    }
    script.add(
        "DELETE FROM watermarks WHERE name = ? AND version = ? AND position <= \
         (SELECT min(position) FROM subscriptions WHERE name = ? AND version = ?)",
    );
    for _ in 0..2 {
        script.bind(batch.id.name.to_string()).bind(batch.id.version);
    }
}
