//! Reads what synchronous projections stand on: versions, checkpoints, and the events of a stream that nobody folded yet.

use std::fmt::Write as _;
use std::sync::Arc;

use chrono::DateTime;
use rustc_hash::FxHashSet;
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use uuid::Uuid;

use super::append::{json_rows, quote};
use super::error::{DbError, damaged};
use super::registry::number;
use super::script::Script;
use crate::event::{AnyEvent, EventId, EventName, GlobalPosition, Metadata, Recorded, StreamId, Version};
use crate::store::group::sync::{Asked, OfStream, Standing, WALK};

/// Arguments: index `[name, version, kinds]`, three times.
const VERSIONS: [&str; 3] = [
    "SELECT e.key FROM json_each(?) AS e CROSS JOIN projections AS p \
     ON p.name = e.value->>0 AND p.version = e.value->>1 AND p.state = 'active' AND p.followed_at IS NULL AND p.kinds = e.value->>2",
    "SELECT e.key, s.position FROM json_each(?) AS e CROSS JOIN subscriptions AS s \
     ON s.name = e.value->>0 AND s.version = e.value->>1 ORDER BY e.key, s.partition",
    "SELECT e.key FROM json_each(?) AS e WHERE EXISTS \
     (SELECT 1 FROM dead_letters AS d WHERE d.name = e.value->>0 AND d.version = e.value->>1)",
];

/// Arguments: index `[name, version, tenant, category, key]`.
/// Where there are no letters at all, which is asked once, nothing is looked for.
const PARKED: &str = "SELECT e.key FROM json_each(?) AS e WHERE EXISTS (SELECT 1 FROM dead_letters) \
    AND EXISTS (SELECT 1 FROM dead_letters AS d \
    WHERE d.name = e.value->>0 AND d.version = e.value->>1 \
    AND d.tenant = e.value->>2 AND d.category = e.value->>3 AND d.stream = e.value->>4)";

/// Arguments: index `[name, version, tenant, category, key]`, how many events are looked through. Walks down from each stream's end, so that
/// what was folded long ago costs nothing.
const PENDING: &str = "WITH RECURSIVE asked(k, stream_no, mark, point) AS MATERIALIZED (\
    SELECT e.key, s.stream_no, \
    coalesce((SELECT w.stream_version FROM watermarks AS w WHERE w.name = e.value->>0 AND w.version = e.value->>1 \
    AND w.stream_no = s.stream_no), 0), \
    coalesce((SELECT min(c.position) FROM subscriptions AS c WHERE c.name = e.value->>0 AND c.version = e.value->>1), 0) \
    FROM json_each(?) AS e CROSS JOIN streams AS s \
    ON s.tenant = e.value->>2 AND s.category = e.value->>3 AND s.key = e.value->>4), \
    back(k, stream_no, mark, point, depth, position, version) AS (\
    SELECT a.k, a.stream_no, a.mark, a.point, 1, l.position, l.version FROM asked AS a CROSS JOIN event_log AS l \
    ON l.stream_no = a.stream_no AND l.version = (SELECT max(m.version) FROM event_log AS m WHERE m.stream_no = a.stream_no) \
    WHERE l.version > a.mark AND l.position > a.point \
    UNION ALL \
    SELECT b.k, b.stream_no, b.mark, b.point, b.depth + 1, l.position, l.version FROM back AS b CROSS JOIN event_log AS l \
    ON l.stream_no = b.stream_no AND l.version = b.version - 1 \
    WHERE l.version > b.mark AND l.position > b.point AND b.depth < ?) \
    SELECT b.k, b.depth, l.position, l.version, l.event_id, l.kind, l.schema_version, l.body, l.meta, l.at \
    FROM back AS b CROSS JOIN event_log AS l ON l.position = b.position ORDER BY b.k, l.version";

/// Asks for the log's head and where projections stand, in a message that asks for other things, too.
pub(super) struct Question {
    asked: Vec<Asked>,
    /// Which projection and which of its streams each row of the index of streams is.
    places: Vec<(usize, usize)>,
    pub(super) head: u64,
    pub(super) standing: Vec<Standing>,
}

impl Question {
    pub(super) fn new(asked: Vec<Asked>) -> Self {
        let streams = |(place, asked): (usize, &Asked)| (0..asked.streams.len()).map(move |at| (place, at));
        let places = asked.iter().enumerate().flat_map(streams).collect();
        let nothing = |asked: &Asked| {
            let streams = vec![OfStream::default(); asked.streams.len()];
            Standing { streams, ..Standing::default() }
        };
        let standing = asked.iter().map(nothing).collect();
        Self { asked, places, head: 0, standing }
    }

    /// Adds the statements.
    pub(super) fn add(&self, script: &mut Script) {
        let version = |text: &mut String, asked: &Asked| {
            quote(text, asked.version.name);
            // Writing to a `String` cannot fail.
            let _ = write!(text, ",{}", asked.version.version);
        };
        let versions = json_rows(&self.asked, |text, asked| {
            version(text, asked);
            text.push(',');
            quote(text, &asked.version.kinds);
        });
        let streams = json_rows(&self.places, |text, (place, at)| {
            let (asked, stream) = (&self.asked[*place], &self.asked[*place].streams[*at]);
            version(text, asked);
            for part in [stream.tenant(), stream.category(), stream.key()] {
                text.push(',');
                quote(text, part);
            }
        });
        script.add("SELECT coalesce(max(position), 0) FROM event_log");
        for sql in VERSIONS {
            script.add(sql);
            script.bind(versions.clone());
        }
        script.add(PARKED);
        script.bind(streams.clone());
        script.add(PENDING);
        script.bind(streams).bind(WALK);
    }

    /// Takes a row of one of the statements.
    pub(super) fn take(&mut self, statement: usize, row: &SqliteRow) -> Result<(), DbError> {
        if statement == 0 {
            self.head = number(row, 0, "event_log")?;
            return Ok(());
        }
        let key: usize = number(row, 0, "projections")?;
        if statement <= VERSIONS.len() {
            let standing = self.standing.get_mut(key).ok_or_else(unasked)?;
            match statement {
                1 => standing.folds = true,
                2 => standing.checkpoints.push(number(row, 1, "subscriptions")?),
                _ => standing.has_letters = true,
            }
            return Ok(());
        }
        let (place, at) = *self.places.get(key).ok_or_else(unasked)?;
        let of_stream = &mut self.standing[place].streams[at];
        if statement == VERSIONS.len() + 1 {
            of_stream.parked = true;
        } else {
            of_stream.cut |= row.try_get::<i64, _>(1)? >= WALK;
            of_stream.pending.push(event_of_row(row, &self.asked[place].streams[at])?);
        }
        Ok(())
    }

    /// Gives what was asked, with the answers.
    pub(super) fn into_answers(self) -> impl Iterator<Item = (Asked, Standing)> {
        self.asked.into_iter().zip(self.standing)
    }
}

fn unasked() -> DbError {
    DbError::Database(sqlx::Error::Decode("the database named a row that was not asked for".into()))
}

/// Reads an event from its third column on.
fn event_of_row(row: &SqliteRow, stream: &StreamId) -> Result<Recorded<AnyEvent>, DbError> {
    let position: u64 = number(row, 2, "event_log")?;
    let wrong = |reason: String| damaged(format!("table event_log, stream `{stream}`, position {position}"), reason);
    let id = Uuid::from_slice(row.try_get(4)?).map_err(|error| wrong(error.to_string()))?;
    let kind: &str = row.try_get(5)?;
    let body: Vec<u8> = row.try_get(7)?;
    let metadata: Metadata = serde_json::from_slice(row.try_get(8)?).map_err(|error| wrong(error.to_string()))?;
    let at =
        DateTime::from_timestamp_micros(row.try_get(9)?).ok_or_else(|| wrong("the time is out of range".into()))?;
    let event =
        AnyEvent { name: EventName::Shared(kind.into()), version: number(row, 6, "event_log")?, body: body.into() };
    let version = Version::new(number(row, 3, "event_log")?);
    let (id, position) = (EventId(id), GlobalPosition::new(position));
    Ok(Recorded::new(event, id, stream.clone(), version, position, at, Arc::new(metadata)))
}

/// Gives those of some sequence keys that have letters.
pub(super) async fn parked_of(
    connection: &mut SqliteConnection,
    name: &str,
    version: u32,
    keys: Vec<&str>,
) -> Result<FxHashSet<String>, DbError> {
    let mut script = Script::default();
    script.add(
        "SELECT e.value FROM json_each(?) AS e WHERE EXISTS \
         (SELECT 1 FROM dead_letters AS d WHERE d.name = ? AND d.version = ? AND d.key = e.value)",
    );
    script.bind(serde_json::to_string(&keys).unwrap_or_default()).bind(name.to_owned()).bind(version);
    let found = super::rows::read(connection, script, |row| Ok(row.try_get::<String, _>(0)?)).await?;
    Ok(found.into_iter().collect())
}
