//! The ledger: what commands with an idempotency key did.

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use uuid::Uuid;

use super::error::damaged;
use crate::event::{EventId, GlobalPosition, StreamId, Version};
use crate::store::{Committed, LedgerRecord, StoreError};

/// What [`record_of_row`] wants to see first in a row: `c` is the ledger, `s` the streams.
pub(super) const RECORD_COLUMNS: &str = "c.tenant, c.key, c.command, c.hash, c.output, c.version, c.position, c.event_ids, \
    c.stream_no, s.tenant, s.category, s.key";

/// How many entries one transaction forgets at most: others wait meanwhile.
const FORGOTTEN_AT_ONCE: i64 = 1_000;

/// Reads an entry.
pub(super) fn record_of_row(row: &SqliteRow) -> Result<LedgerRecord, StoreError> {
    let place = || {
        let part = |column| row.try_get::<Vec<u8>, _>(column).unwrap_or_default();
        let (tenant, key) = (part(0), part(1));
        let (tenant, key) = (String::from_utf8_lossy(&tenant), String::from_utf8_lossy(&key));
        format!("table command_ledger, tenant `{tenant}`, key `{key}`")
    };
    let wrong = |error: sqlx::Error| damaged(place(), error.to_string());
    let number = |column| -> Result<u64, StoreError> {
        let number: i64 = row.try_get(column).map_err(wrong)?;
        number.try_into().map_err(|_| damaged(place(), format!("the number {number} is negative")))
    };
    let hash: Vec<u8> = row.try_get(3).map_err(wrong)?;
    let hash = hash.try_into().map_err(|_| damaged(place(), "the hash is not 32 bytes long"))?;
    let ids: Vec<u8> = row.try_get(7).map_err(wrong)?;
    let (ids, rest) = ids.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(damaged(place(), "the event ids are not 16 bytes long each"));
    }
    let (Some(tenant), Some(category), Some(key)) = (
        row.try_get::<Option<String>, _>(9).map_err(wrong)?,
        row.try_get::<Option<String>, _>(10).map_err(wrong)?,
        row.try_get::<Option<String>, _>(11).map_err(wrong)?,
    ) else {
        let number: i64 = row.try_get(8).map_err(wrong)?;
        return Err(damaged(place(), format!("there is no stream with the number {number}")));
    };
    Ok(LedgerRecord {
        command: row.try_get(2).map_err(wrong)?,
        hash,
        output: row.try_get::<Vec<u8>, _>(4).map_err(wrong)?.into(),
        stream: StreamId::of(tenant, category, key),
        committed: Committed { version: Version::new(number(5)?), position: GlobalPosition::new(number(6)?) },
        events: ids.iter().map(|id| EventId(Uuid::from_bytes(*id))).collect(),
    })
}

/// Looks a key up.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    tenant: &str,
    key: &str,
) -> Result<Option<SqliteRow>, sqlx::Error> {
    sqlx::query(
        "SELECT c.tenant, c.key, c.command, c.hash, c.output, c.version, c.position, c.event_ids, \
         c.stream_no, s.tenant, s.category, s.key \
         FROM command_ledger AS c LEFT JOIN streams AS s ON s.stream_no = c.stream_no WHERE c.tenant = ? AND c.key = ?",
    )
    .bind(tenant)
    .bind(key)
    .fetch_optional(connection)
    .await
}

/// Forgets the oldest entries before a time, up to a limit; tells how many, and whether there may be more.
pub(super) async fn forget_some(
    connection: &mut SqliteConnection,
    before: DateTime<Utc>,
) -> Result<(u64, bool), sqlx::Error> {
    let forgotten = sqlx::query(
        "DELETE FROM command_ledger WHERE (tenant, key) IN \
         (SELECT tenant, key FROM command_ledger WHERE at < ? ORDER BY at LIMIT ?)",
    )
    .bind(before.timestamp_micros())
    .bind(FORGOTTEN_AT_ONCE)
    .execute(connection)
    .await?
    .rows_affected();
    Ok((forgotten, forgotten == FORGOTTEN_AT_ONCE.cast_unsigned()))
}
