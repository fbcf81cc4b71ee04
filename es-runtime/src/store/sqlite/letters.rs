//! Events that were put aside.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::append::{json_rows, quote};
use super::checkpoints::partition_of_row;
use super::error::{DbError, damaged};
use super::registry::number;
use super::script::Script;
use crate::event::{EventId, GlobalPosition, StreamId};
use crate::store::{Letter, NewLetter, PartitionId};

/// The statement that reads letters, in the columns of [`of_row`].
pub(super) fn some_of(name: &str, version: u32, key: Option<&str>, limit: usize) -> Script {
    let mut script = Script::default();
    let of_key = if key.is_some() { " AND key = ?" } else { "" };
    script.add(&format!(
        "SELECT name, version, partition, key, position, tenant, category, stream, event_id, cause, attempts, at, touched \
         FROM dead_letters WHERE name = ? AND version = ?{of_key} ORDER BY position, key, partition LIMIT ?"
    ));
    script.bind(name.to_owned()).bind(version);
    if let Some(key) = key {
        script.bind(key.to_owned());
    }
    script.bind(i64::try_from(limit).unwrap_or(i64::MAX));
    script
}

pub(super) fn of_row(row: &SqliteRow) -> Result<Letter, DbError> {
    let id = partition_of_row(row, "dead_letters")?;
    let event: &[u8] = row.try_get(8)?;
    let event = Uuid::from_slice(event)
        .map_err(|error| damaged(format!("table dead_letters, `{}`", id.name), error.to_string()))?;
    let (tenant, category, stream): (String, String, String) = (row.try_get(5)?, row.try_get(6)?, row.try_get(7)?);
    let letter = NewLetter {
        key: row.try_get(3)?,
        stream: StreamId::of(tenant, category, stream),
        position: GlobalPosition::new(number(row, 4, "dead_letters")?),
        event: EventId(event),
        cause: row.try_get(9)?,
        attempts: number(row, 10, "dead_letters")?,
        at: time(row, 11)?,
    };
    Ok(Letter { id, letter, touched: time(row, 12)? })
}

/// Reads a time; where there is none, the beginning of all.
pub(super) fn time(row: &SqliteRow, column: usize) -> Result<DateTime<Utc>, DbError> {
    let micros: Option<i64> = row.try_get(column)?;
    Ok(micros.and_then(DateTime::from_timestamp_micros).unwrap_or_default())
}

/// Adds the statement that stores letters; one that is there already is tried once more. What a commit has folded meanwhile is done and
/// no letter.
pub(super) fn put(script: &mut Script, id: &PartitionId, letters: &[NewLetter]) {
    script.add(
        "INSERT INTO dead_letters (name, version, partition, event_id, key, position, tenant, category, stream, cause, \
         attempts, at, touched) SELECT ?, ?, ?, substr(?, e.key * 16 + 1, 16), e.value->>0, e.value->>1, e.value->>2, \
         e.value->>3, e.value->>4, e.value->>5, e.value->>6, e.value->>7, e.value->>7 FROM json_each(?) AS e WHERE NOT EXISTS \
         (SELECT 1 FROM streams AS s CROSS JOIN watermarks AS w ON w.name = ? AND w.version = ? AND w.stream_no = s.stream_no \
         WHERE s.tenant = e.value->>2 AND s.category = e.value->>3 AND s.key = e.value->>4 AND w.position >= e.value->>1) \
         ON CONFLICT (name, version, key, position, partition) DO UPDATE SET cause = excluded.cause, attempts = excluded.attempts, touched = excluded.touched",
    );
    script.bind(id.name.to_string()).bind(id.version).bind(id.partition);
    let ids: Vec<u8> = letters.iter().flat_map(|letter| *letter.event.as_uuid().as_bytes()).collect();
    script.bind(ids);
    script.bind(json_rows(letters, |text, letter| {
        quote(text, &letter.key);
        // Writing to a `String` cannot fail.
        let _ = write!(text, ",{}", letter.position);
        for part in [letter.stream.tenant(), letter.stream.category(), letter.stream.key()] {
            text.push(',');
            quote(text, part);
        }
        text.push(',');
        match &letter.cause {
            Some(cause) => quote(text, cause),
            None => text.push_str("null"),
        }
        let _ = write!(text, ",{},{}", letter.attempts, letter.at.timestamp_micros());
    }));
    script.bind(id.name.to_string()).bind(id.version);
}

/// The statement that takes the letters of one event away.
pub(super) fn take(id: &PartitionId, position: GlobalPosition) -> Script {
    let mut script = Script::default();
    add_take(&mut script, id, position);
    script
}

/// As [`take`], added to others; gives its place.
pub(super) fn add_take(script: &mut Script, id: &PartitionId, position: GlobalPosition) -> usize {
    let place =
        script.add("DELETE FROM dead_letters WHERE name = ? AND version = ? AND position = ? AND partition = ?");
    bind_place(script, id, position);
    place
}

/// The statement that notes another attempt at the letters of one event.
pub(super) fn touch(id: &PartitionId, position: GlobalPosition, cause: &str) -> Script {
    let mut script = Script::default();
    script.add(
        "UPDATE dead_letters SET cause = ?, attempts = attempts + 1, touched = ? \
         WHERE name = ? AND version = ? AND position = ? AND partition = ?",
    );
    script.bind(cause.to_owned()).bind(Utc::now().timestamp_micros());
    bind_place(&mut script, id, position);
    script
}

fn bind_place(script: &mut Script, id: &PartitionId, position: GlobalPosition) {
    script.bind(id.name.to_string()).bind(id.version);
    script.bind(i64::try_from(position.get()).unwrap_or(i64::MAX)).bind(id.partition);
}
