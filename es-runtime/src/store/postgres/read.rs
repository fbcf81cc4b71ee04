//! Reading the log.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt as _;
use rustc_hash::{FxHashMap, FxHashSet};
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};
use uuid::Uuid;

use super::PostgresStore;
use super::error::{DbError, damaged};
use super::history::Era;
use super::pool::reading;
use super::text::{escaped, unescaped};
use crate::event::{AnyEvent, EventId, EventName, GlobalPosition, Metadata, Recorded, StreamId, Version};
use crate::store::{StoreError, StoredEvent};

/// How many events are read at once at most.
const PAGE: usize = 4_096;

/// How long a reader waits at a gap before it gives what stands in front of it. It is woken when the gap is closed.
const PATIENCE: Duration = Duration::from_millis(20);

const STREAM: &str = "SELECT l.version, l.kind, l.schema_version, l.body FROM event_log AS l WHERE l.stream_no = \
    (SELECT s.stream_no FROM streams AS s WHERE s.tenant = $1 AND s.category = $2 AND s.key = $3) \
    AND l.version > $4 ORDER BY l.version LIMIT $5";

/// The columns that [`event_of_row`] wants to see first in a row of `l`.
macro_rules! event_columns {
    () => {
        "l.version, l.kind, l.schema_version, l.body, l.position, l.event_id, l.meta, l.at, l.stream_no"
    };
}
pub(super) use event_columns;

const HISTORY: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM event_log AS l WHERE l.stream_no = \
     (SELECT s.stream_no FROM streams AS s WHERE s.tenant = $1 AND s.category = $2 AND s.key = $3) \
     AND l.version > $4 ORDER BY l.version LIMIT $5"
);

const ALL: &str =
    concat!("SELECT ", event_columns!(), " FROM event_log AS l WHERE l.position > $1 ORDER BY l.position LIMIT $2");

const PICKED: &str =
    concat!("SELECT ", event_columns!(), " FROM event_log AS l WHERE l.position = ANY($1) ORDER BY l.position");

impl PostgresStore {
    pub(super) async fn replay(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        reading!(self, "reading a stream", connection => replay(connection, stream, after.get(), limit).await)
    }

    pub(super) async fn recorded_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Recorded<AnyEvent>>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        reading!(self, "reading a stream", connection => history(connection, stream, after.get(), limit).await)
    }

    /// Reads single events by their positions.
    pub(super) async fn picked(&self, positions: &[GlobalPosition]) -> Result<Vec<Recorded<AnyEvent>>, StoreError> {
        let positions: Vec<i64> = positions.iter().map(|position| position.get().cast_signed()).collect();
        loop {
            let era = self.shared.place.histories.now();
            let rows = reading!(self, "reading the log", connection => {
                Ok(sqlx::query(PICKED).bind(&positions).fetch_all(connection).await?)
            })?;
            // Those between them are not asked for.
            let events = self.recorded(&era, &rows, &mut Streams::default(), |_, _| true).await;
            if !era.history.is_over() {
                return events;
            }
        }
    }

    /// Reads up to a limit behind a position; only what is final.
    pub(super) async fn log(&self, after: GlobalPosition, limit: usize) -> Result<Vec<Recorded<AnyEvent>>, StoreError> {
        loop {
            let era = self.shared.place.histories.now();
            let events = self.log_of(&era, after, limit).await;
            // What was read from two servers does not belong together.
            if !era.history.is_over() {
                return events;
            }
        }
    }

    async fn log_of(
        &self,
        era: &Era,
        after: GlobalPosition,
        limit: usize,
    ) -> Result<Vec<Recorded<AnyEvent>>, StoreError> {
        let mut events: Vec<Recorded<AnyEvent>> = Vec::new();
        let mut streams = Streams::default();
        let mut after = after.get();
        while events.len() < limit {
            let wanted = (limit - events.len()).min(PAGE);
            let rows = self.final_rows(era, after, wanted).await?;
            let (got, whole) = (rows.len(), rows.len() == wanted);
            if got > 0 {
                let page = self.recorded(era, &rows, &mut streams, |last, version| version == last + 1).await?;
                after = page.last().map_or(after, |event| event.position().get());
                if events.is_empty() { events = page } else { events.extend(page) }
            }
            if !whole {
                break;
            }
        }
        Ok(events)
    }

    /// Reads rows behind a position. What stands behind a gap is left out, unless the gap is final.
    async fn final_rows(&self, era: &Era, after: u64, limit: usize) -> Result<Vec<PgRow>, StoreError> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            // Asked for before the rows are: what is final now is in every later snapshot.
            let safe = self.shared.horizon.safe(era.number);
            let rows = self.rows_behind(after, limit).await?;
            let Some(last) = rows.last() else { return Ok(rows) };
            let last = position(last)?;
            let mut seen = after;
            let mut count = 0;
            for row in &rows {
                let position = position(row)?;
                if position != seen.saturating_add(1) && position > safe {
                    break;
                }
                seen = position;
                count += 1;
            }
            if count == rows.len() {
                return Ok(rows);
            }
            if let Ok(passed) = tokio::time::timeout_at(deadline, self.shared.horizon.pass(era.number, last)).await {
                passed?;
                if !era.history.is_over() {
                    continue;
                }
            }
            let mut rows = rows;
            rows.truncate(count);
            return Ok(rows);
        }
    }

    async fn rows_behind(&self, after: u64, limit: usize) -> Result<Vec<PgRow>, StoreError> {
        let (after, limit) = (i64::try_from(after).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX));
        reading!(self, "reading the log", connection => {
            let mut rows = Vec::with_capacity(usize::try_from(limit).unwrap_or(0).min(PAGE));
            let mut stream = sqlx::query(ALL).bind(after).bind(limit).fetch(connection);
            while let Some(row) = stream.try_next().await? {
                rows.push(row);
            }
            Ok(rows)
        })
    }

    /// Puts the events of rows together. `follows` is asked about the version of each behind the last one of its stream that was read.
    async fn recorded(
        &self,
        era: &Era,
        rows: &[PgRow],
        streams: &mut Streams,
        follows: impl Fn(u64, u64) -> bool,
    ) -> Result<Vec<Recorded<AnyEvent>>, StoreError> {
        self.name(era, rows, streams).await?;
        let mut names = Names::default();
        let mut events = Vec::with_capacity(rows.len());
        for row in rows {
            let number: i64 = column(row, 8)?;
            let Some(stream) = streams.get_mut(&number) else {
                let position: i64 = column(row, 4)?;
                return Err(damaged(
                    format!("table streams, number {number}"),
                    format!("it is missing, the event at position {position} needs it"),
                ));
            };
            let event = event_of_row(row, &stream.name, &mut names)?;
            let version = event.version().get();
            if let Some(last) = stream.last.replace(version)
                && !follows(last, version)
            {
                let (stream, position) = (event.stream(), event.position());
                let place = format!("table event_log, stream `{stream}`, position {position}");
                return Err(damaged(place, broken(last, version)));
            }
            events.push(event);
        }
        Ok(events)
    }

    /// Adds the streams of rows that are not there yet.
    async fn name(&self, era: &Era, rows: &[PgRow], streams: &mut Streams) -> Result<(), StoreError> {
        let mut unknown: FxHashSet<i64> = FxHashSet::default();
        for row in rows {
            let number: i64 = column(row, 8)?;
            // Most pages name few streams many times: the shared cache is asked once for each.
            if streams.contains_key(&number) || unknown.contains(&number) {
                continue;
            }
            match self.shared.stream_names.get(&(era.number, number)) {
                Some(name) => drop(streams.insert(number, Seen { name, last: None })),
                None => drop(unknown.insert(number)),
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let unknown: Vec<i64> = unknown.into_iter().collect();
        let found = reading!(self, "reading the names of streams", connection => {
            let rows: Vec<(i64, String, String, String)> =
                sqlx::query_as("SELECT stream_no, tenant, category, key FROM streams WHERE stream_no = ANY($1)")
                    .bind(&unknown)
                    .fetch_all(connection)
                    .await?;
            Ok(rows)
        })?;
        for (number, tenant, category, key) in found {
            let name = StreamId::of(unescaped(tenant), unescaped(category), unescaped(key));
            self.shared.stream_names.insert((era.number, number), name.clone());
            streams.insert(number, Seen { name, last: None });
        }
        Ok(())
    }
}

/// The streams of what is read, by their numbers.
type Streams = FxHashMap<i64, Seen>;

/// A stream, and the version of its last event that was read.
struct Seen {
    name: StreamId,
    last: Option<u64>,
}

async fn replay(
    connection: &mut PgConnection,
    stream: &StreamId,
    after: u64,
    limit: i64,
) -> Result<Vec<StoredEvent>, DbError> {
    let mut rows = of_stream(STREAM, stream, after, limit).fetch(connection);
    let (mut events, mut names, mut last) = (Vec::new(), Names::default(), after);
    while let Some(row) = rows.try_next().await? {
        let wrong =
            |reason: String| damaged(format!("table event_log, stream `{stream}`, version {}", last + 1), reason);
        let (version, name, schema_version) = head_of_row(&row, &mut names).map_err(wrong)?;
        if version != last + 1 {
            return Err(wrong(broken(last, version)).into());
        }
        let body = Bytes::copy_from_slice(row.try_get(3)?);
        events.push(StoredEvent { version: Version::new(version), name, schema_version, body });
        last = version;
    }
    Ok(events)
}

async fn history(
    connection: &mut PgConnection,
    stream: &StreamId,
    after: u64,
    limit: i64,
) -> Result<Vec<Recorded<AnyEvent>>, DbError> {
    let mut rows = of_stream(HISTORY, stream, after, limit).fetch(connection);
    let (mut events, mut names, mut last) = (Vec::new(), Names::default(), after);
    while let Some(row) = rows.try_next().await? {
        let event = event_of_row(&row, stream, &mut names)?;
        if event.version().get() != last + 1 {
            let place = format!("table event_log, stream `{stream}`, position {}", event.position());
            return Err(damaged(place, broken(last, event.version().get())).into());
        }
        last = event.version().get();
        events.push(event);
    }
    Ok(events)
}

fn broken(last: u64, version: u64) -> String {
    format!("version {version} follows version {last}: events are missing or doubled")
}

fn of_stream<'q>(
    sql: &'static str,
    stream: &'q StreamId,
    after: u64,
    limit: i64,
) -> sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments> {
    sqlx::query(sql)
        .bind(escaped(stream.tenant()))
        .bind(escaped(stream.category()))
        .bind(escaped(stream.key()))
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(limit)
}

/// What the rows of a page have in common: few names of events; the metadata of a commit.
#[derive(Default)]
pub(super) struct Names {
    kinds: Vec<EventName>,
    metadata: Option<(Vec<u8>, Arc<Metadata>)>,
}

impl Names {
    fn kind(&mut self, kind: &str) -> EventName {
        if let Some(known) = self.kinds.iter().find(|known| &***known == kind) {
            return known.clone();
        }
        let name = EventName::Shared(unescaped(kind.to_owned()).into());
        if self.kinds.len() < 64 {
            self.kinds.push(name.clone());
        }
        name
    }

    fn metadata(&mut self, json: &[u8]) -> Result<Arc<Metadata>, serde_json::Error> {
        if let Some((known, metadata)) = &self.metadata
            && known == json
        {
            return Ok(Arc::clone(metadata));
        }
        let metadata = Arc::new(serde_json::from_slice(json)?);
        self.metadata = Some((json.to_vec(), Arc::clone(&metadata)));
        Ok(metadata)
    }
}

/// Reads version, name and schema version.
fn head_of_row(row: &PgRow, names: &mut Names) -> Result<(u64, EventName, u32), String> {
    let get = |column| row.try_get::<i64, _>(column).map_err(|error| error.to_string());
    let version = u64::try_from(get(0)?).ok().filter(|version| *version > 0);
    let version = version.ok_or_else(|| "the version is not a positive number".to_owned())?;
    let schema = u32::try_from(get(2)?).map_err(|_| "the schema version is not a 32-bit number".to_owned())?;
    let kind: &str = row.try_get(1).map_err(|error| error.to_string())?;
    Ok((version, names.kind(kind), schema))
}

/// Reads an event from its row.
pub(super) fn event_of_row(
    row: &PgRow,
    stream: &StreamId,
    names: &mut Names,
) -> Result<Recorded<AnyEvent>, StoreError> {
    let position = position(row)?;
    let wrong = |reason: String| damaged(format!("table event_log, stream `{stream}`, position {position}"), reason);
    let (version, name, schema) = head_of_row(row, names).map_err(wrong)?;
    let metadata = names
        .metadata(column(row, 6)?)
        .map_err(|error| wrong(format!("version {version}: the metadata does not decode: {error}")))?;
    let (id, at): (Uuid, DateTime<Utc>) = (column(row, 5)?, column(row, 7)?);
    let event = AnyEvent { name, version: schema, body: Bytes::copy_from_slice(column(row, 3)?) };
    let (version, position) = (Version::new(version), GlobalPosition::new(position));
    Ok(Recorded::new(event, EventId(id), stream.clone(), version, position, at, metadata))
}

fn position(row: &PgRow) -> Result<u64, StoreError> {
    let position: i64 = column(row, 4)?;
    u64::try_from(position).map_err(|_| damaged("table event_log", format!("the position {position} is negative")))
}

fn column<'r, T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>>(
    row: &'r PgRow,
    column: usize,
) -> Result<T, StoreError> {
    row.try_get(column).map_err(|error| damaged("table event_log", error.to_string()))
}
