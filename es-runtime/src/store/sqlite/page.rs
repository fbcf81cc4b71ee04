//! Pages: many events in one row.
//!
//! A row of sqlx costs about a microsecond and a message between threads, whatever is in it. So a page is one row whose columns
//! are lists: integers as text with commas, texts and bytes one behind the other with a list of their lengths. The bodies of a
//! page stay one allocation, which its events share.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::event::{EventId, EventName, Metadata};

/// The columns of a page for replay, made of a sub-select that follows.
macro_rules! replay_columns {
    () => {
        "SELECT count(*), group_concat(version), group_concat(schema_version), \
         group_concat(octet_length(kind)), CAST(group_concat(kind, '') AS BLOB), \
         group_concat(octet_length(body)), CAST(group_concat(body, '') AS BLOB)"
    };
}

/// The columns of a page with everything, made of a sub-select that follows.
macro_rules! full_columns {
    () => {
        concat!(
            $crate::store::sqlite::page::replay_columns!(),
            ", group_concat(position), group_concat(stream_no), group_concat(at), \
             group_concat(octet_length(meta)), CAST(group_concat(meta, '') AS BLOB), \
             group_concat(octet_length(event_id)), CAST(group_concat(event_id, '') AS BLOB)"
        )
    };
}

pub(super) use {full_columns, replay_columns};

/// What is wrong with which row of a page, counted from 0.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) row: usize,
    pub(super) reason: String,
}

/// A page's first columns: what replay needs.
pub(super) struct Page {
    pub(super) versions: Vec<i64>,
    schemas: Vec<i64>,
    names: Vec<EventName>,
    bodies: Slices,
}

/// A page's other columns.
pub(super) struct Rest {
    pub(super) positions: Vec<i64>,
    pub(super) streams: Vec<i64>,
    times: Vec<i64>,
    metas: Slices,
    ids: Slices,
}

/// Values of one column, one behind the other.
struct Slices {
    bytes: Bytes,
    ends: Vec<usize>,
}

impl Page {
    /// Reads the first columns. The outer error is the driver's, the inner one that of a damaged row.
    pub(super) fn read(row: &SqliteRow) -> Result<Result<Self, Wrong>, sqlx::Error> {
        let versions = integers(row, 1)?;
        let kinds = Slices::read(row, 3)?;
        let mut names: Vec<EventName> = Vec::with_capacity(versions.len());
        for index in 0..versions.len() {
            match name(&kinds, index, &names) {
                Ok(name) => names.push(name),
                Err(reason) => return Ok(Err(Wrong { row: index, reason })),
            }
        }
        Ok(Ok(Self { versions, schemas: integers(row, 2)?, names, bodies: Slices::read(row, 5)? }))
    }

    pub(super) fn len(&self) -> usize {
        self.versions.len()
    }

    /// Gives version, name, schema version and body of a row.
    pub(super) fn event(&self, row: usize) -> Result<(u64, EventName, u32, Bytes), Wrong> {
        let wrong = |reason: &str| Wrong { row, reason: reason.to_owned() };
        let version = self.versions.get(row).and_then(|version| u64::try_from(*version).ok());
        let version =
            version.filter(|version| *version > 0).ok_or_else(|| wrong("the version is not a positive number"))?;
        let schema = self.schemas.get(row).and_then(|schema| u32::try_from(*schema).ok());
        let schema = schema.ok_or_else(|| wrong("the schema version is not a 32-bit number"))?;
        let name = self.names.get(row).ok_or_else(|| wrong("it has no name"))?;
        let body = self.bodies.get(row).ok_or_else(|| wrong("it has no body"))?;
        Ok((version, name.clone(), schema, body))
    }
}

impl Rest {
    /// Reads the other columns.
    pub(super) fn read(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            positions: integers(row, 7)?,
            streams: integers(row, 8)?,
            times: integers(row, 9)?,
            metas: Slices::read(row, 10)?,
            ids: Slices::read(row, 12)?,
        })
    }

    /// Gives position, id and time of a row.
    pub(super) fn place(&self, row: usize) -> Result<(u64, EventId, DateTime<Utc>), Wrong> {
        let wrong = |reason: &str| Wrong { row, reason: reason.to_owned() };
        let position = self.positions.get(row).and_then(|position| u64::try_from(*position).ok());
        let position = position.ok_or_else(|| wrong("the position is negative"))?;
        let id = self.ids.get(row).and_then(|id| Uuid::from_slice(&id).ok());
        let id = id.ok_or_else(|| wrong("the event id is not 16 bytes long"))?;
        let time = self.times.get(row).and_then(|time| DateTime::from_timestamp_micros(*time));
        let time = time.ok_or_else(|| wrong("the time is out of range"))?;
        Ok((position, EventId(id), time))
    }

    /// Gives the metadata of a row. Events of one commit stand behind each other and share theirs: `last` remembers it.
    pub(super) fn metadata(
        &self,
        row: usize,
        last: &mut Option<(Bytes, Arc<Metadata>)>,
    ) -> Result<Arc<Metadata>, Wrong> {
        let json = self.metas.get(row).unwrap_or_default();
        if let Some((known, metadata)) = last
            && *known == json
        {
            return Ok(Arc::clone(metadata));
        }
        let metadata: Metadata = serde_json::from_slice(&json)
            .map_err(|error| Wrong { row, reason: format!("the metadata does not decode: {error}") })?;
        let metadata = Arc::new(metadata);
        *last = Some((json, Arc::clone(&metadata)));
        Ok(metadata)
    }
}

impl Slices {
    /// Reads a list of lengths and, from the column behind it, the bytes.
    fn read(row: &SqliteRow, column: usize) -> Result<Self, sqlx::Error> {
        let mut end = 0;
        let lengths = integers(row, column)?;
        let ends = lengths.into_iter().map(|length| {
            end += usize::try_from(length).unwrap_or(0);
            end
        });
        let ends = ends.collect();
        let bytes: Option<Vec<u8>> = row.try_get(column + 1)?;
        Ok(Self { bytes: bytes.unwrap_or_default().into(), ends })
    }

    fn range(&self, row: usize) -> Option<std::ops::Range<usize>> {
        let from = row.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        let to = *self.ends.get(row)?;
        (to <= self.bytes.len()).then_some(from..to)
    }

    /// Gives one value. It shares the page's allocation.
    fn get(&self, row: usize) -> Option<Bytes> {
        self.range(row).map(|range| self.bytes.slice(range))
    }
}

/// Gives a row's event name. The few names of a page are allocated once: the last ones are looked through first.
fn name(kinds: &Slices, row: usize, names: &[EventName]) -> Result<EventName, String> {
    let kind = kinds.range(row).map(|range| &kinds.bytes[range]).unwrap_or_default();
    if let Some(known) = names.iter().rev().take(16).find(|known| known.as_bytes() == kind) {
        return Ok(known.clone());
    }
    let kind = std::str::from_utf8(kind).map_err(|error| format!("the event's name is not UTF-8: {error}"))?;
    Ok(EventName::Shared(kind.into()))
}

/// Reads a list of integers; NULL is an empty one.
fn integers(row: &SqliteRow, column: usize) -> Result<Vec<i64>, sqlx::Error> {
    let text: Option<&str> = row.try_get(column)?;
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(Vec::new()) };
    let parse = |number: &[u8]| {
        let wrong = || format!("`{}` is no integer", String::from_utf8_lossy(number));
        integer(number).ok_or_else(|| sqlx::Error::Decode(wrong().into()))
    };
    text.as_bytes().split(|byte| *byte == b',').map(parse).collect()
}

/// Parses an integer. Nearly all are short and not negative: those need no look at sign and overflow.
fn integer(text: &[u8]) -> Option<i64> {
    if (1..=18).contains(&text.len()) && text.iter().all(u8::is_ascii_digit) {
        return Some(text.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')));
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::integer;

    #[test]
    fn integers_of_any_length_and_sign_are_read() {
        for number in [0, 7, 42, -1, 999_999_999_999_999_999, 1_000_000_000_000_000_000, i64::MAX, i64::MIN] {
            assert_eq!(integer(number.to_string().as_bytes()), Some(number));
        }
        for wrong in ["", "-", "1a", "9223372036854775808", " 1", "1.0"] {
            assert_eq!(integer(wrong.as_bytes()), None, "`{wrong}` was read");
        }
    }
}
