//! The call that writes a group, and what is bound to it.
//!
//! A group is one call of the function `es_append_claiming` with an array for each column, so it costs one round trip whatever is in it; outside of a
//! transaction the call is one by itself.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use rustc_hash::FxHashMap;
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::{Arguments as _, Row as _};
use uuid::Uuid;

use super::error::DbError;
use super::statement::Statement;
use super::text::escaped;
use crate::event::ClaimRule;
use crate::store::NewCommit;
use crate::store::claims::rules_text;
use crate::store::group::plan::{ClaimKey, Plan, State};
use crate::time::whole_micros;

const APPEND: &str = "SELECT es_append_claiming($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, \
    $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38)";

type Texts<'a> = Vec<Cow<'a, str>>;

/// Writes what a plan says; gives the positions of its events.
pub(super) async fn append(
    connection: &mut PgConnection,
    plan: &Plan,
    state: &State,
    commits: &[&NewCommit],
) -> Result<Vec<i64>, sqlx::Error> {
    let arguments = arguments(plan, state, commits, None).map_err(sqlx::Error::Encode)?;
    sqlx::query_with(APPEND, arguments).fetch_one(connection).await?.try_get(0)
}

/// Writes what a plan says, with other rows in the same statement: `with` adds the parts of its `WITH`. Gives the positions of the events, which were
/// reserved in the transaction.
pub(super) async fn append_with(
    connection: &mut PgConnection,
    plan: &Plan,
    state: &State,
    commits: &[&NewCommit],
    positions: Option<&[i64]>,
    with: impl FnOnce(&mut Statement) -> Result<(), DbError>,
) -> Result<Vec<i64>, DbError> {
    let mut statement = Statement::of(arguments(plan, state, commits, positions));
    with(&mut statement)?;
    statement.push(APPEND);
    Ok(statement.row(connection).await?.try_get(0)?)
}

fn arguments(
    plan: &Plan,
    state: &State,
    commits: &[&NewCommit],
    positions: Option<&[i64]>,
) -> Result<PgArguments, sqlx::error::BoxDynError> {
    let mut arguments = PgArguments::default();
    rules(&mut arguments, plan, commits)?;
    arguments.add(positions)?;
    streams(&mut arguments, plan)?;
    events(&mut arguments, plan, commits)?;
    let changes = plan.claim_changes(state);
    claims(&mut arguments, changes.iter().filter_map(|(key, before, _)| Some((key, (*before)?))))?;
    claims(&mut arguments, changes.iter().filter_map(|(key, _, after)| Some((key, (*after)?))))?;
    ledger(&mut arguments, plan, commits)?;
    snapshots(&mut arguments, plan, commits)?;
    Ok(arguments)
}

type Added = Result<(), sqlx::error::BoxDynError>;

fn streams(arguments: &mut PgArguments, plan: &Plan) -> Added {
    let streams = &plan.writes.streams;
    let (mut numbers, mut tenants, mut categories, mut keys) =
        (Vec::with_capacity(streams.len()), Texts::new(), Texts::new(), Texts::new());
    for (number, stream) in streams {
        numbers.push(*number);
        tenants.push(escaped(stream.tenant()));
        categories.push(escaped(stream.category()));
        keys.push(escaped(stream.key()));
    }
    arguments.add(numbers)?;
    arguments.add(tenants)?;
    arguments.add(categories)?;
    arguments.add(keys)
}

fn events(arguments: &mut PgArguments, plan: &Plan, commits: &[&NewCommit]) -> Added {
    let rows = &plan.writes.events;
    let event = |row: &crate::store::group::plan::EventRow| &commits[row.commit].events[row.event];
    // The metadata of one commit is encoded once. Texts and maps of texts always encode.
    let metas: Vec<Vec<u8>> =
        commits.iter().map(|commit| serde_json::to_vec(&*commit.metadata).unwrap_or_default()).collect();
    arguments.add(rows.iter().map(|row| row.stream).collect::<Vec<i64>>())?;
    arguments.add(rows.iter().map(|row| row.version.cast_signed()).collect::<Vec<i64>>())?;
    arguments.add(rows.iter().map(|row| *event(row).id.as_uuid()).collect::<Vec<Uuid>>())?;
    arguments.add(rows.iter().map(|row| escaped(&event(row).name)).collect::<Texts<'_>>())?;
    arguments.add(rows.iter().map(|row| i64::from(event(row).schema_version)).collect::<Vec<i64>>())?;
    arguments.add(rows.iter().map(|row| &*event(row).body).collect::<Vec<&[u8]>>())?;
    arguments.add(rows.iter().map(|row| &*metas[row.commit]).collect::<Vec<&[u8]>>())?;
    arguments.add(rows.iter().map(|row| whole_micros(commits[row.commit].recorded_at)).collect::<Vec<DateTime<Utc>>>())
}

/// The events of the group, each once, with the rules by which this program claims keys with them.
fn rules(arguments: &mut PgArguments, plan: &Plan, commits: &[&NewCommit]) -> Added {
    let mut events: FxHashMap<(&str, &str), &[ClaimRule]> = FxHashMap::default();
    // The same event with other rules: of a program that is put together of two.
    let mut others = Vec::new();
    for row in &plan.writes.events {
        let commit = commits[row.commit];
        let event = &commit.events[row.event];
        let named = (commit.stream.category(), &*event.name);
        if *events.entry(named).or_insert(event.rules) != event.rules {
            others.push((named, event.rules));
        }
    }
    let events: Vec<_> = events.into_iter().chain(others).collect();
    arguments.add(events.iter().map(|((category, _), _)| escaped(category)).collect::<Texts<'_>>())?;
    arguments.add(events.iter().map(|((_, name), _)| escaped(name)).collect::<Texts<'_>>())?;
    arguments.add(events.iter().map(|(_, rules)| rules_text(rules)).collect::<Vec<String>>())
}

fn claims<'a>(arguments: &mut PgArguments, rows: impl Iterator<Item = (&'a ClaimKey, i64)>) -> Added {
    let (mut tenants, mut sets, mut keys, mut streams) = (Texts::new(), Texts::new(), Texts::new(), Vec::new());
    for (key, stream) in rows {
        tenants.push(escaped(&key.tenant));
        sets.push(escaped(&key.set));
        keys.push(escaped(&key.key));
        streams.push(stream);
    }
    arguments.add(tenants)?;
    arguments.add(sets)?;
    arguments.add(keys)?;
    arguments.add(streams)
}

fn ledger(arguments: &mut PgArguments, plan: &Plan, commits: &[&NewCommit]) -> Added {
    // A row of the ledger is planned only for a commit that brings an entry.
    let rows: Vec<_> = plan
        .writes
        .ledger
        .iter()
        .filter_map(|row| Some((row, commits[row.commit], commits[row.commit].ledger.as_deref()?)))
        .collect();
    let ids = |commit: &NewCommit| -> Vec<u8> {
        commit.events.iter().flat_map(|event| *event.id.as_uuid().as_bytes()).collect()
    };
    // Arrays of SQL count from 1.
    let last = |event: Option<usize>| event.and_then(|event| i32::try_from(event + 1).ok());
    arguments.add(rows.iter().map(|(_, commit, _)| escaped(commit.stream.tenant())).collect::<Texts<'_>>())?;
    arguments.add(rows.iter().map(|(_, _, entry)| escaped(&entry.key)).collect::<Texts<'_>>())?;
    arguments.add(rows.iter().map(|(_, _, entry)| escaped(&entry.command)).collect::<Texts<'_>>())?;
    arguments.add(rows.iter().map(|(_, _, entry)| entry.hash.as_slice()).collect::<Vec<&[u8]>>())?;
    arguments.add(rows.iter().map(|(_, _, entry)| &*entry.output).collect::<Vec<&[u8]>>())?;
    arguments.add(rows.iter().map(|(row, ..)| row.stream).collect::<Vec<i64>>())?;
    arguments.add(rows.iter().map(|(row, ..)| row.version.cast_signed()).collect::<Vec<i64>>())?;
    arguments.add(rows.iter().map(|(row, ..)| last(row.last_event)).collect::<Vec<Option<i32>>>())?;
    arguments.add(rows.iter().map(|(_, commit, _)| ids(commit)).collect::<Vec<Vec<u8>>>())?;
    arguments.add(rows.iter().map(|(_, commit, _)| whole_micros(commit.recorded_at)).collect::<Vec<DateTime<Utc>>>())
}

fn snapshots(arguments: &mut PgArguments, plan: &Plan, commits: &[&NewCommit]) -> Added {
    // A snapshot is planned only for a commit that brings one.
    let rows: Vec<_> = plan
        .writes
        .snapshots
        .iter()
        .filter_map(|(stream, (commit, version))| Some((*stream, *version, commits[*commit].snapshot.as_deref()?)))
        .collect();
    arguments.add(rows.iter().map(|(stream, ..)| *stream).collect::<Vec<i64>>())?;
    arguments.add(rows.iter().map(|(_, version, _)| version.cast_signed()).collect::<Vec<i64>>())?;
    arguments.add(rows.iter().map(|(_, _, snapshot)| snapshot.fingerprint.cast_signed()).collect::<Vec<i64>>())?;
    arguments.add(rows.iter().map(|(_, _, snapshot)| &*snapshot.state).collect::<Vec<&[u8]>>())
}
