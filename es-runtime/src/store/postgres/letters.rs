//! Events that were put aside.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use rustc_hash::FxHashSet;
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};
use uuid::Uuid;

use super::checkpoints::partition_of_row;
use super::error::DbError;
use super::lookup::names;
use super::registry::number;
use super::text::{escaped, unescaped};
use crate::event::{EventId, GlobalPosition, StreamId};
use crate::store::{Letter, NewLetter, PartitionId};
use crate::time;

/// Reads up to `limit` letters, the oldest position first.
pub(super) async fn some_of(
    connection: &mut PgConnection,
    name: &str,
    version: u32,
    key: Option<&str>,
    limit: usize,
) -> Result<Vec<Letter>, DbError> {
    let rows = sqlx::query(
        "SELECT name, version, partition, key, position, tenant, category, stream, event_id, cause, attempts, at, touched \
         FROM dead_letters WHERE name = $1 AND version = $2 AND ($3::text IS NULL OR key = $3) \
         ORDER BY position, key, partition LIMIT $4",
    )
    .bind(escaped(name))
    .bind(i64::from(version))
    .bind(key.map(escaped))
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    rows.iter().map(of_row).collect()
}

/// Reads the position of the first letter of one of some streams, up to a position.
pub(super) async fn first_of(
    connection: &mut PgConnection,
    name: &str,
    version: u32,
    streams: &[StreamId],
    to: GlobalPosition,
) -> Result<Option<GlobalPosition>, DbError> {
    let named = names(streams);
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT min(d.position) FROM unnest($3::text[], $4::text[], $5::text[]) AS e (tenant, category, key) \
         JOIN dead_letters AS d ON d.name = $1 AND d.version = $2 \
         AND d.tenant = e.tenant AND d.category = e.category AND d.stream = e.key WHERE d.position <= $6",
    )
    .bind(escaped(name))
    .bind(i64::from(version))
    .bind(named.tenants)
    .bind(named.categories)
    .bind(named.keys)
    .bind(i64::try_from(to.get()).unwrap_or(i64::MAX))
    .fetch_one(connection)
    .await?;
    Ok(found.map(|position| GlobalPosition::new(position.cast_unsigned())))
}

fn of_row(row: &PgRow) -> Result<Letter, DbError> {
    let id = partition_of_row(row, "dead_letters")?;
    let text = |column: usize| row.try_get(column).map(unescaped);
    let event: Uuid = row.try_get(8)?;
    let cause: Option<String> = row.try_get(9)?;
    let letter = NewLetter {
        key: text(3)?,
        stream: StreamId::of(text(5)?, text(6)?, text(7)?),
        position: GlobalPosition::new(number(row, 4, "dead_letters")?),
        event: EventId(event),
        cause: cause.map(unescaped),
        attempts: number(row, 10, "dead_letters")?,
        at: row.try_get(11)?,
    };
    Ok(Letter { id, letter, touched: row.try_get(12)? })
}

/// Stores letters; one that is there already is tried once more. What a commit has folded meanwhile is done and no letter: behind the
/// projection's lock, so that no commit folds it at the same time.
pub(super) async fn put(
    connection: &mut PgConnection,
    id: &PartitionId,
    letters: &[NewLetter],
) -> Result<(), sqlx::Error> {
    let streams = names(letters.iter().map(|letter| &letter.stream));
    let positions = letters.iter().map(|letter| position(letter.position));
    sqlx::query(
        "INSERT INTO dead_letters (name, version, partition, key, position, tenant, category, stream, event_id, cause, \
         attempts, at, touched) SELECT $1, $2, $3, e.key, e.position, e.tenant, e.category, e.stream, e.event_id, e.cause, \
         e.attempts, e.at, e.at FROM unnest($4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::uuid[], \
         $10::text[], $11::bigint[], $12::timestamptz[]) \
         AS e (key, position, tenant, category, stream, event_id, cause, attempts, at) WHERE NOT EXISTS \
         (SELECT 1 FROM streams AS s JOIN watermarks AS w ON w.name = $1 AND w.version = $2 AND w.stream_no = s.stream_no \
         WHERE s.tenant = e.tenant AND s.category = e.category AND s.key = e.stream AND w.position >= e.position) \
         ON CONFLICT (name, version, key, position, partition) \
         DO UPDATE SET cause = excluded.cause, attempts = excluded.attempts, touched = excluded.touched",
    )
    .bind(escaped(&id.name))
    .bind(i64::from(id.version))
    .bind(i64::from(id.partition))
    .bind(letters.iter().map(|letter| escaped(&letter.key)).collect::<Vec<_>>())
    .bind(positions.collect::<Vec<_>>())
    .bind(streams.tenants)
    .bind(streams.categories)
    .bind(streams.keys)
    .bind(letters.iter().map(|letter| *letter.event.as_uuid()).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.cause.as_deref().map(escaped)).collect::<Vec<Option<Cow<'_, str>>>>())
    .bind(letters.iter().map(|letter| i64::from(letter.attempts)).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| time::whole_micros(letter.at)).collect::<Vec<DateTime<Utc>>>())
    .execute(connection)
    .await
    .map(drop)
}

/// Takes the letters of one event away; gives how many.
pub(super) async fn take(connection: &mut PgConnection, id: &PartitionId, at: u64) -> Result<u64, sqlx::Error> {
    let taken =
        sqlx::query("DELETE FROM dead_letters WHERE name = $1 AND version = $2 AND partition = $3 AND position = $4")
            .bind(escaped(&id.name))
            .bind(i64::from(id.version))
            .bind(i64::from(id.partition))
            .bind(i64::try_from(at).unwrap_or(i64::MAX))
            .execute(connection)
            .await?;
    Ok(taken.rows_affected())
}

/// Notes another attempt at the letters of one event.
pub(super) async fn touch(
    connection: &mut PgConnection,
    id: &PartitionId,
    at: GlobalPosition,
    cause: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE dead_letters SET cause = $5, attempts = attempts + 1, touched = $6 \
         WHERE name = $1 AND version = $2 AND partition = $3 AND position = $4",
    )
    .bind(escaped(&id.name))
    .bind(i64::from(id.version))
    .bind(i64::from(id.partition))
    .bind(position(at))
    .bind(escaped(cause))
    .bind(time::now())
    .execute(connection)
    .await
    .map(drop)
}

/// Gives the sequence keys that have letters in a partition.
pub(super) async fn keys_of(connection: &mut PgConnection, id: &PartitionId) -> Result<Vec<String>, DbError> {
    let keys: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT key FROM dead_letters WHERE name = $1 AND version = $2 AND partition = $3 ORDER BY key",
    )
    .bind(escaped(&id.name))
    .bind(i64::from(id.version))
    .bind(i64::from(id.partition))
    .fetch_all(connection)
    .await?;
    Ok(keys.into_iter().map(unescaped).collect())
}

/// Gives those of some sequence keys that have letters.
pub(super) async fn parked_of(
    connection: &mut PgConnection,
    name: &str,
    version: u32,
    keys: Vec<&str>,
) -> Result<FxHashSet<String>, DbError> {
    let found: Vec<String> = sqlx::query_scalar(
        "SELECT e.key FROM unnest($3::text[]) AS e (key) WHERE EXISTS \
         (SELECT 1 FROM dead_letters AS d WHERE d.name = $1 AND d.version = $2 AND d.key = e.key)",
    )
    .bind(escaped(name))
    .bind(i64::from(version))
    .bind(keys.into_iter().map(escaped).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    Ok(found.into_iter().map(unescaped).collect())
}

fn position(position: GlobalPosition) -> i64 {
    i64::try_from(position.get()).unwrap_or(i64::MAX)
}
