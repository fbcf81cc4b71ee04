//! Folds events inside of a transaction.

use rustc_hash::FxHashMap;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::batch::Refused;
use super::error::DbError;
use super::lookup::{in_column, names};
use super::rows::{Found, by_keys};
use super::text::escaped;
use crate::event::{AnyEvent, Recorded, StreamId};
use crate::projection::Projector;
use crate::read_model::{RowChange, TableRef};
use crate::store::sql::distinct::distinct;
use crate::store::sql::fold::{Folding, Fresh};
use crate::store::{Batch, PartitionId, SafePosition};

/// Folds a batch; gives what it changes. Events that a commit folded already are left out. Behind the projection's lock: no commit folds at the
/// same time.
pub(super) async fn fold(
    connection: &mut PgConnection,
    id: &PartitionId,
    projector: &dyn Projector,
    events: &[Recorded<AnyEvent>],
) -> Result<(TableRef, Vec<RowChange>), Refused> {
    let fresh = not_folded(connection, id, events, projector.descriptor().has_sync()).await?;
    let mut folding = Folding::begin(projector, fresh)?;
    let (table, keys) = (folding.table, folding.missing());
    let rows = by_keys(connection, table, &keys, Found::InOneGo).await?;
    Ok((table, folding.finish(keys, rows)?))
}

/// Leaves out what commits did themselves.
pub(super) async fn not_folded(
    connection: &mut PgConnection,
    id: &PartitionId,
    events: &[Recorded<AnyEvent>],
    has_sync: bool,
) -> Result<Fresh, DbError> {
    let marks = if has_sync { watermarks(connection, id, events).await? } else { FxHashMap::default() };
    Ok(Fresh::of(events, &marks))
}

async fn watermarks(
    connection: &mut PgConnection,
    id: &PartitionId,
    events: &[Recorded<AnyEvent>],
) -> Result<FxHashMap<StreamId, u64>, DbError> {
    let streams = distinct(events.iter().map(Recorded::stream));
    if streams.is_empty() {
        return Ok(FxHashMap::default());
    }
    let named = names(streams.iter().copied());
    let rows = sqlx::query(
        "SELECT e.place, w.stream_version \
         FROM unnest($3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS e (tenant, category, key, place) \
         JOIN streams AS s ON s.tenant = e.tenant AND s.category = e.category AND s.key = e.key \
         JOIN watermarks AS w ON w.name = $1 AND w.version = $2 AND w.stream_no = s.stream_no",
    )
    .bind(escaped(&id.name))
    .bind(i64::from(id.version))
    .bind(named.tenants)
    .bind(named.categories)
    .bind(named.keys)
    .fetch_all(connection)
    .await?;
    let mut marks = FxHashMap::default();
    for row in rows {
        let stream = in_column(&streams, &row, 0)?;
        marks.insert((*stream).clone(), row.try_get::<i64, _>(1)?.cast_unsigned());
    }
    Ok(marks)
}

/// Forgets the watermarks that every checkpoint of the version has passed. The one of the batch's partition stands where it goes to by then.
pub(super) async fn forget_watermarks(connection: &mut PgConnection, batch: &Batch) -> Result<(), sqlx::Error> {
    let Some(to) = batch.to else { return Ok(()) };
    sqlx::query(concat!("DELETE FROM watermarks WHERE ", super::fold::passed!()))
        .bind(escaped(&batch.id.name))
        .bind(i64::from(batch.id.version))
        .bind(i64::from(batch.id.partition))
        .bind(position(to))
        .execute(connection)
        .await
        .map(drop)
}

/// The condition that a watermark is passed. Arguments: name, version, partition, where that one goes to.
macro_rules! passed {
    () => {
        "name = $1 AND version = $2 AND position <= (SELECT min(CASE WHEN partition = $3 THEN $4 ELSE position END) \
         FROM subscriptions WHERE name = $1 AND version = $2)"
    };
}
pub(super) use passed;

pub(super) fn position(position: SafePosition) -> i64 {
    i64::try_from(position.get().get()).unwrap_or(i64::MAX)
}
