//! Folds events inside of a transaction.

use rustc_hash::FxHashMap;
use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;

use super::batch::Refused;
use super::checkpoints::stream_rows;
use super::error::DbError;
use super::rows::{by_keys, read};
use super::script::Script;
use crate::event::{AnyEvent, Recorded, StreamId};
use crate::projection::Projector;
use crate::read_model::{RowChange, TableRef};
use crate::store::sql::distinct::distinct;
use crate::store::sql::fold::{Folding, Fresh};
use crate::store::{Batch, PartitionId};

/// Folds a batch; gives what it changes. Events that a commit folded already are left out.
pub(super) async fn fold(
    connection: &mut SqliteConnection,
    id: &PartitionId,
    projector: &dyn Projector,
    events: &[Recorded<AnyEvent>],
) -> Result<(TableRef, Vec<RowChange>), Refused> {
    let fresh = not_folded(connection, id, events, projector.descriptor().has_sync()).await?;
    let mut folding = Folding::begin(projector, fresh)?;
    let (table, keys) = (folding.table, folding.missing());
    let rows = by_keys(connection, table, &keys).await?;
    Ok((table, folding.finish(keys, rows)?))
}

/// Leaves out what commits did themselves.
pub(super) async fn not_folded(
    connection: &mut SqliteConnection,
    id: &PartitionId,
    events: &[Recorded<AnyEvent>],
    has_sync: bool,
) -> Result<Fresh, DbError> {
    let marks = if has_sync { watermarks(connection, id, events).await? } else { FxHashMap::default() };
    Ok(Fresh::of(events, &marks))
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
