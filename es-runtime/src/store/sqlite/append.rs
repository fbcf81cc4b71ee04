//! The statements that write a group, and what is bound to them.
//!
//! A group is one text of several statements, sent to the connection's thread in one message: what costs with SQLite is the
//! hand-over between threads (about 50 µs), not SQL. Each statement takes its rows from one JSON array; bytes are cut out of
//! one blob a column with `substr`.
//!
//! sqlx gives the arguments to the statements in the order of their `?`, so every text uses each argument exactly once.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use chrono::Utc;
use rustc_hash::FxHashMap;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, SqlSafeStr as _, SqlStr};

use super::script::Script;
use crate::event::Metadata;
use crate::projection::kind_of;
use crate::store::NewCommit;
use crate::store::claims::rules_text;
use crate::store::group::plan::{ClaimKey, EventRow, Plan, State};
use crate::store::group::sync::Declared;

/// Arguments: index `[number, tenant, category, key]`.
const STREAMS: &str = "INSERT INTO streams (stream_no, tenant, category, key) \
    SELECT e.value->>0, e.value->>1, e.value->>2, e.value->>3 FROM json_each(?) AS e;\n";

/// Arguments: ids (16 bytes each), bodies, metas, index `[stream, version, kind, schema version, body from, body length,
/// meta from, meta length, at, claim rules (left out where there are none)]`. `e.key` is the row's place in the index.
const EVENTS: &str = "INSERT INTO event_log (event_id, body, meta, stream_no, version, kind, schema_version, at, claims) \
    SELECT substr(?, e.key * 16 + 1, 16), substr(?, e.value->>4, e.value->>5), substr(?, e.value->>6, e.value->>7), \
    e.value->>0, e.value->>1, e.value->>2, e.value->>3, e.value->>8, e.value->>9 FROM json_each(?) AS e;\n";

/// Arguments: index `[tenant, set, key, stream]`. Only the holder's row goes.
const CLAIMS_FREED: &str = "DELETE FROM claims WHERE (tenant, set_name, key, stream_no) IN \
    (SELECT e.value->>0, e.value->>1, e.value->>2, e.value->>3 FROM json_each(?) AS e);\n";

/// Arguments: index `[tenant, set, key, stream]`. The primary key refuses what is taken.
const CLAIMS_TAKEN: &str = "INSERT INTO claims (tenant, set_name, key, stream_no) \
    SELECT e.value->>0, e.value->>1, e.value->>2, e.value->>3 FROM json_each(?) AS e;\n";

/// Arguments: hashes (32 bytes each), outputs, event ids, index `[tenant, key, command, stream, version, events behind
/// (null where the commit has none), output from, output length, ids from, ids length, at]`. The group's events were written
/// by a statement before, so the commit's last position is the log's last less the events of the commits behind it.
const LEDGER: &str = "INSERT INTO command_ledger (hash, output, event_ids, tenant, key, command, stream_no, version, position, at) \
    SELECT substr(?, e.key * 32 + 1, 32), substr(?, e.value->>6, e.value->>7), substr(?, e.value->>8, e.value->>9), \
    e.value->>0, e.value->>1, e.value->>2, e.value->>3, e.value->>4, \
    coalesce((SELECT max(position) FROM event_log) - (e.value->>5), 0), e.value->>10 FROM json_each(?) AS e;\n";

/// Arguments: states, index `[stream, version, fingerprint, from, length]`. (`WHERE true` tells the parser that `ON` begins
/// the upsert.)
const SNAPSHOTS: &str = "INSERT INTO snapshots (state, stream_no, version, fingerprint) \
    SELECT substr(?, e.value->>3, e.value->>4), e.value->>0, e.value->>1, e.value->>2 FROM json_each(?) AS e WHERE true \
    ON CONFLICT (stream_no) DO UPDATE SET version = excluded.version, fingerprint = excluded.fingerprint, state = excluded.state;\n";

/// Arguments: the time, the kinds of the events, index `[name, version, kinds]` of the versions that the group folds. Versions that it leaves to
/// their workers follow from here on.
const FOLLOWING: &str = "UPDATE projections SET followed_at = ? WHERE followed_at IS NULL AND kinds <> '' AND state = 'active' \
    AND EXISTS (SELECT 1 FROM json_each(?) AS e \
    WHERE instr(char(10) || projections.kinds || char(10), char(10) || e.value || char(10)) > 0) \
    AND NOT EXISTS (SELECT 1 FROM json_each(?) AS f \
    WHERE f.value->>0 = projections.name AND f.value->>1 = projections.version AND f.value->>2 = projections.kinds);\n";

/// How a group's statements are wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wrap {
    /// Nothing was begun yet.
    Whole,
    /// `BEGIN IMMEDIATE` was sent before.
    Begun,
    /// As [`Begun`](Self::Begun), and the commit is sent later.
    Open,
}

/// A group, ready to be sent.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) sql: SqlStr,
    pub(super) arguments: SqliteArguments,
    /// Which of the results belongs to the events, if there are events.
    pub(super) events_at: Option<usize>,
    /// How many results there are if all goes well. The last one is that of the commit.
    pub(super) statements: usize,
}

/// The texts, made once for each combination of parts, so that each connection prepares them once.
#[derive(Debug, Default)]
pub(super) struct Texts(FxHashMap<(Wrap, Vec<usize>), Arc<str>>);

impl Texts {
    const PARTS: [&str; 7] = [STREAMS, EVENTS, CLAIMS_FREED, CLAIMS_TAKEN, LEDGER, SNAPSHOTS, FOLLOWING];

    fn get(&mut self, wrap: Wrap, parts: Vec<usize>) -> Arc<str> {
        let text = self.0.entry((wrap, parts)).or_insert_with_key(|(wrap, parts)| {
            let mut text = String::new();
            // A single statement is a transaction by itself.
            let alone = *wrap == Wrap::Whole && parts.len() == 1;
            if *wrap == Wrap::Whole && !alone {
                text.push_str("BEGIN IMMEDIATE;\n");
            }
            for part in parts {
                text.push_str(Self::PARTS[*part]);
            }
            if !alone && *wrap != Wrap::Open {
                text.push_str("COMMIT;");
            }
            text.into()
        });
        Arc::clone(text)
    }

    /// Puts what a plan writes into a request. The plan must write something.
    pub(super) fn request(
        &mut self,
        wrap: Wrap,
        plan: &Plan,
        state: &State,
        commits: &[&NewCommit],
        brought: &[&Declared],
    ) -> Request {
        let mut arguments = SqliteArguments::default();
        let mut parts = Vec::with_capacity(4);
        if !plan.writes.streams.is_empty() {
            parts.push(0);
            add(&mut arguments, streams(plan));
        }
        if !plan.writes.events.is_empty() {
            parts.push(1);
            events(&mut arguments, plan, commits);
        }
        let (freed, taken) = claims(plan, state);
        for (part, index) in [(2, freed), (3, taken)] {
            if let Some(index) = index {
                parts.push(part);
                add(&mut arguments, index);
            }
        }
        if !plan.writes.ledger.is_empty() {
            parts.push(4);
            ledger(&mut arguments, plan, commits);
        }
        if !plan.writes.snapshots.is_empty() {
            parts.push(5);
            snapshots(&mut arguments, plan, commits);
        }
        if !plan.writes.events.is_empty() {
            parts.push(6);
            following(&mut arguments, plan, commits, brought);
        }
        let begins = usize::from(wrap == Wrap::Whole && parts.len() > 1);
        let events_at = parts.iter().position(|part| *part == 1).map(|at| at + begins);
        let commits_itself = wrap == Wrap::Open || (wrap == Wrap::Whole && parts.len() == 1);
        let statements = parts.len() + begins + usize::from(!commits_itself);
        Request { sql: AssertSqlSafe(self.get(wrap, parts)).into_sql_str(), arguments, events_at, statements }
    }

    /// As [`request`](Self::request) for a transaction that was begun, with further statements behind the group's own.
    pub(super) fn request_with(
        &mut self,
        wrap: Wrap,
        plan: &Plan,
        state: &State,
        commits: &[&NewCommit],
        brought: &[&Declared],
        more: impl FnOnce(&mut Script),
    ) -> Request {
        let Request { sql, arguments, events_at, statements } = self.request(Wrap::Open, plan, state, commits, brought);
        let mut script = Script::resume(sql.as_str(), arguments, statements);
        more(&mut script);
        if wrap != Wrap::Open {
            script.add("COMMIT");
        }
        let (sql, arguments, statements) = script.into_parts();
        Request { sql: AssertSqlSafe(sql).into_sql_str(), arguments, events_at, statements }
    }
}

/// Adds an argument. Text and bytes always encode.
fn add<'a>(arguments: &mut SqliteArguments, value: impl sqlx::Encode<'a, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>) {
    let encoded = arguments.add(value);
    debug_assert!(encoded.is_ok(), "text and bytes always encode");
}

/// Bytes of several rows in one blob. Begins with a byte nobody reads: of an empty blob `substr` gives NULL.
struct Blob(Vec<u8>);

impl Blob {
    fn with_capacity(bytes: usize) -> Self {
        let mut blob = Vec::with_capacity(bytes + 1);
        blob.push(0);
        Self(blob)
    }

    /// Appends bytes; gives from where (counted from 1) and how many, as SQL's `substr` wants them.
    fn push(&mut self, bytes: &[u8]) -> (usize, usize) {
        let from = self.0.len() + 1;
        self.0.extend_from_slice(bytes);
        (from, bytes.len())
    }
}

/// Writes JSON text. Writing to a `String` cannot fail, and neither can strings as JSON.
pub(super) fn quote(text: &mut String, value: &str) {
    match serde_json::to_string(value) {
        Ok(json) => text.push_str(&json),
        Err(_) => text.push_str("null"),
    }
}

/// Makes a JSON array of rows; `row` writes one, without its brackets.
pub(super) fn json_rows<T>(rows: impl IntoIterator<Item = T>, mut row: impl FnMut(&mut String, T)) -> String {
    let mut text = String::from("[");
    for (index, item) in rows.into_iter().enumerate() {
        text.push_str(if index == 0 { "[" } else { ",[" });
        row(&mut text, item);
        text.push(']');
    }
    text.push(']');
    text
}

fn following(arguments: &mut SqliteArguments, plan: &Plan, commits: &[&NewCommit], brought: &[&Declared]) {
    // Of commits that are refused nothing is missed.
    let kind = |row: &EventRow| {
        let commit = commits[row.commit];
        kind_of(commit.stream.category(), &commit.events[row.event].name)
    };
    let kinds: BTreeSet<String> = plan.writes.events.iter().map(kind).collect();
    add(arguments, Utc::now().timestamp_micros());
    add(arguments, serde_json::to_string(&kinds).unwrap_or_default());
    add(
        arguments,
        json_rows(brought, |text, version| {
            quote(text, version.name);
            // Writing to a `String` cannot fail.
            let _ = write!(text, ",{},", version.version);
            quote(text, &version.kinds);
        }),
    );
}

fn streams(plan: &Plan) -> String {
    json_rows(&plan.writes.streams, |text, (number, stream)| {
        let _ = write!(text, "{number}");
        for part in [stream.tenant(), stream.category(), stream.key()] {
            text.push(',');
            quote(text, part);
        }
    })
}

fn events(arguments: &mut SqliteArguments, plan: &Plan, commits: &[&NewCommit]) {
    let rows = &plan.writes.events;
    let mut ids = Vec::with_capacity(rows.len() * 16);
    let mut bodies = Blob::with_capacity(rows.iter().map(|row| commits[row.commit].events[row.event].body.len()).sum());
    let mut metas = Metas { blob: Blob::with_capacity(rows.len() * 64), last: None };
    let index = json_rows(rows, |text, row| {
        let commit = commits[row.commit];
        let event = &commit.events[row.event];
        ids.extend_from_slice(event.id.as_uuid().as_bytes());
        let (body, body_length) = bodies.push(&event.body);
        let (meta, meta_length) = metas.push(&commit.metadata);
        let _ = write!(text, "{},{},", row.stream, row.version);
        quote(text, &event.name);
        let at = commit.recorded_at.timestamp_micros();
        let _ = write!(text, ",{},{body},{body_length},{meta},{meta_length},{at}", event.schema_version);
        if !event.rules.is_empty() {
            text.push(',');
            quote(text, &rules_text(event.rules));
        }
    });
    add(arguments, ids);
    add(arguments, bodies.0);
    add(arguments, metas.blob.0);
    add(arguments, index);
}

/// The metadata of the group: that of one commit is encoded once.
struct Metas<'a> {
    blob: Blob,
    last: Option<(&'a Arc<Metadata>, (usize, usize))>,
}

impl<'a> Metas<'a> {
    fn push(&mut self, metadata: &'a Arc<Metadata>) -> (usize, usize) {
        if let Some((last, place)) = self.last
            && Arc::ptr_eq(last, metadata)
        {
            return place;
        }
        // Texts and maps of texts always encode.
        let json = serde_json::to_vec(&**metadata).unwrap_or_default();
        let place = self.blob.push(&json);
        self.last = Some((metadata, place));
        place
    }
}

/// Gives the indexes of the claims that are freed and of those that are taken, where there are any.
fn claims(plan: &Plan, state: &State) -> (Option<String>, Option<String>) {
    let changes = plan.claim_changes(state);
    let freed = changes.iter().filter_map(|(key, before, _)| Some((key, (*before)?)));
    let taken = changes.iter().filter_map(|(key, _, after)| Some((key, (*after)?)));
    (claim_rows(freed), claim_rows(taken))
}

fn claim_rows<'a>(rows: impl Iterator<Item = (&'a ClaimKey, i64)>) -> Option<String> {
    let mut rows = rows.peekable();
    rows.peek()?;
    Some(json_rows(rows, |text, (key, stream)| {
        for part in [&key.tenant, &key.set, &key.key] {
            quote(text, part);
            text.push(',');
        }
        let _ = write!(text, "{stream}");
    }))
}

fn ledger(arguments: &mut SqliteArguments, plan: &Plan, commits: &[&NewCommit]) {
    let rows = &plan.writes.ledger;
    let mut hashes = Vec::with_capacity(rows.len() * 32);
    let mut outputs = Blob::with_capacity(rows.len() * 16);
    let mut ids = Blob::with_capacity(rows.len() * 16);
    let last = plan.writes.events.len().saturating_sub(1);
    let index = json_rows(rows, |text, row| {
        let commit = commits[row.commit];
        // A row of the ledger is planned only for a commit that brings an entry.
        let Some(entry) = &commit.ledger else { return };
        hashes.extend_from_slice(&entry.hash);
        let (output, output_length) = outputs.push(&entry.output);
        let (first_id, mut ids_length) = ids.push(&[]);
        for event in &commit.events {
            ids_length += ids.push(event.id.as_uuid().as_bytes()).1;
        }
        for part in [commit.stream.tenant(), &entry.key, &entry.command] {
            quote(text, part);
            text.push(',');
        }
        let _ = write!(text, "{},{},", row.stream, row.version);
        let _ = match row.last_event {
            Some(event) => write!(text, "{}", last - event),
            None => write!(text, "null"),
        };
        let at = commit.recorded_at.timestamp_micros();
        let _ = write!(text, ",{output},{output_length},{first_id},{ids_length},{at}");
    });
    add(arguments, hashes);
    add(arguments, outputs.0);
    add(arguments, ids.0);
    add(arguments, index);
}

fn snapshots(arguments: &mut SqliteArguments, plan: &Plan, commits: &[&NewCommit]) {
    let mut states = Blob::with_capacity(0);
    let index = json_rows(&plan.writes.snapshots, |text, (stream, (commit, version))| {
        // A snapshot is planned only for a commit that brings one.
        let Some(snapshot) = &commits[*commit].snapshot else { return };
        let (from, length) = states.push(&snapshot.state);
        let _ = write!(text, "{stream},{version},{},{from},{length}", snapshot.fingerprint.cast_signed());
    });
    add(arguments, states.0);
    add(arguments, index);
}
