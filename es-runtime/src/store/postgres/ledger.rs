//! The ledger: what commands with an idempotency key did.

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};
use uuid::Uuid;

use super::error::damaged;
use super::text::{escaped, unescaped};
use crate::event::{EventId, GlobalPosition, StreamId, Version};
use crate::store::{Committed, LedgerRecord, StoreError};
use crate::time::whole_micros;

/// What [`record_of_row`] wants to see in a row: `c` is the ledger, `s` the streams.
macro_rules! record_columns {
    () => {
        "c.command, c.hash, c.output, c.version, c.position, c.event_ids, c.stream_no, s.tenant, s.category, s.key, c.tenant, c.key"
    };
}

/// Reads entries by the arrays of their tenants and keys, each with its place in them.
const FIND_ALL: &str = concat!(
    "SELECT e.place, ",
    record_columns!(),
    " FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS e (tenant, key, place) \
     JOIN command_ledger AS c ON c.tenant = e.tenant AND c.key = e.key LEFT JOIN streams AS s ON s.stream_no = c.stream_no"
);

/// How many entries one transaction forgets at most: others wait meanwhile.
const FORGOTTEN_AT_ONCE: i64 = 1_000;

/// Reads an entry from a column on.
pub(super) fn record_of_row(row: &PgRow, first: usize) -> Result<LedgerRecord, StoreError> {
    let place = || {
        let part = |column: usize| row.try_get::<String, _>(first + column).unwrap_or_default();
        format!("table command_ledger, tenant `{}`, key `{}`", part(10), part(11))
    };
    let wrong = |error: sqlx::Error| damaged(place(), error.to_string());
    let number = |column: usize| -> Result<u64, StoreError> {
        let number: i64 = row.try_get(first + column).map_err(wrong)?;
        number.try_into().map_err(|_| damaged(place(), format!("the number {number} is negative")))
    };
    let hash: Vec<u8> = row.try_get(first + 1).map_err(wrong)?;
    let hash = hash.try_into().map_err(|_| damaged(place(), "the hash is not 32 bytes long"))?;
    let ids: Vec<u8> = row.try_get(first + 5).map_err(wrong)?;
    let (ids, rest) = ids.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(damaged(place(), "the event ids are not 16 bytes long each"));
    }
    let part = |column: usize| row.try_get::<Option<String>, _>(first + column).map_err(wrong);
    let (Some(tenant), Some(category), Some(key)) = (part(7)?, part(8)?, part(9)?) else {
        let number: i64 = row.try_get(first + 6).map_err(wrong)?;
        return Err(damaged(place(), format!("there is no stream with the number {number}")));
    };
    Ok(LedgerRecord {
        command: unescaped(row.try_get(first).map_err(wrong)?),
        hash,
        output: row.try_get::<Vec<u8>, _>(first + 2).map_err(wrong)?.into(),
        stream: StreamId::of(unescaped(tenant), unescaped(category), unescaped(key)),
        committed: Committed { version: Version::new(number(3)?), position: GlobalPosition::new(number(4)?) },
        events: ids.iter().map(|id| EventId(Uuid::from_bytes(*id))).collect(),
    })
}

/// What the ledger holds under a key.
pub(super) type Found = Result<Option<LedgerRecord>, StoreError>;

/// Reads the rows under tenants and keys. The first column is the key's place, from 1.
pub(super) async fn find(connection: &mut PgConnection, keys: &[(String, String)]) -> Result<Vec<PgRow>, sqlx::Error> {
    if let [(tenant, key)] = keys {
        return sqlx::query(concat!(
            "SELECT 1::bigint, ",
            record_columns!(),
            " FROM command_ledger AS c LEFT JOIN streams AS s ON s.stream_no = c.stream_no WHERE c.tenant = $1 AND c.key = $2"
        ))
        .bind(escaped(tenant))
        .bind(escaped(key))
        .fetch_all(connection)
        .await;
    }
    sqlx::query(FIND_ALL)
        .bind(keys.iter().map(|(tenant, _)| escaped(tenant)).collect::<Vec<_>>())
        .bind(keys.iter().map(|(_, key)| escaped(key)).collect::<Vec<_>>())
        // Planned each time: a plan made while the ledger was small reads all of it when it is large.
        .persistent(false)
        .fetch_all(connection)
        .await
}

/// Puts the rows of [`find`] into the order of the keys.
pub(super) fn found(rows: &[PgRow], count: usize) -> Result<Vec<Found>, StoreError> {
    let mut found: Vec<Found> = std::iter::repeat_with(|| Ok(None)).take(count).collect();
    for row in rows {
        let place = row.try_get::<i64, _>(0).ok().and_then(|place| usize::try_from(place - 1).ok());
        let Some(found) = place.and_then(|place| found.get_mut(place)) else {
            return Err(damaged("the answer to a look-up in table command_ledger", "a row belongs to no key"));
        };
        *found = record_of_row(row, 1).map(Some);
    }
    Ok(found)
}

/// Forgets the oldest entries before a time, up to a limit; tells how many, and whether there may be more.
pub(super) async fn forget_some(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
) -> Result<(u64, bool), sqlx::Error> {
    let forgotten = sqlx::query(
        "DELETE FROM command_ledger WHERE (tenant, key) IN \
         (SELECT tenant, key FROM command_ledger WHERE at < $1 ORDER BY at LIMIT $2)",
    )
    .bind(whole_micros(before))
    .bind(FORGOTTEN_AT_ONCE)
    .execute(connection)
    .await?
    .rows_affected();
    Ok((forgotten, forgotten == FORGOTTEN_AT_ONCE.cast_unsigned()))
}
