//! Reads what a group is decided on.
//!
//! Each row is looked up by its key, whatever the planner believes of the tables: a `LATERAL` with a limit is no join that it could turn around.

use std::borrow::Cow;

use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};

use super::error::DbError;
use super::ledger::{find, record_of_row};
use super::text::escaped;
use crate::event::StreamId;
use crate::store::NewCommit;
use crate::store::group::plan::{Entry, Known, State, claim_key};
use crate::store::sql::distinct::distinct;

/// Gives, for each stream that is there, its place among those asked for, its number and its version.
const STREAMS: &str = "SELECT e.place, s.stream_no, \
    coalesce((SELECT max(l.version) FROM event_log AS l WHERE l.stream_no = s.stream_no), 0) \
    FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS e (tenant, category, key, place) CROSS JOIN LATERAL \
    (SELECT s.stream_no FROM streams AS s WHERE s.tenant = e.tenant AND s.category = e.category AND s.key = e.key LIMIT 1) AS s";

const CLAIMS: &str = "SELECT e.place, c.stream_no \
    FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS e (tenant, set_name, key, place) CROSS JOIN LATERAL \
    (SELECT c.stream_no FROM claims AS c WHERE c.tenant = e.tenant AND c.set_name = e.set_name AND c.key = e.key LIMIT 1) AS c";

/// The names of streams in columns.
pub(super) struct Names<'a> {
    pub(super) tenants: Vec<Cow<'a, str>>,
    pub(super) categories: Vec<Cow<'a, str>>,
    pub(super) keys: Vec<Cow<'a, str>>,
}

/// Puts the names of streams into columns.
pub(super) fn names<'a>(streams: impl IntoIterator<Item = &'a StreamId>) -> Names<'a> {
    let mut names = Names { tenants: Vec::new(), categories: Vec::new(), keys: Vec::new() };
    for stream in streams {
        names.tenants.push(escaped(stream.tenant()));
        names.categories.push(escaped(stream.category()));
        names.keys.push(escaped(stream.key()));
    }
    names
}

/// Reads the state of everything that the commits touch.
pub(super) async fn look_up(connection: &mut PgConnection, commits: &[&NewCommit]) -> Result<State, DbError> {
    let mut state = State::default();
    streams(connection, commits, &mut state).await?;
    claims(connection, commits, &mut state).await?;
    ledger(connection, commits, &mut state).await?;
    Ok(state)
}

async fn streams(connection: &mut PgConnection, commits: &[&NewCommit], state: &mut State) -> Result<(), DbError> {
    let streams = distinct(commits.iter().map(|commit| &commit.stream));
    let names = names(streams.iter().copied());
    let rows =
        sqlx::query(STREAMS).bind(names.tenants).bind(names.categories).bind(names.keys).fetch_all(connection).await?;
    for row in rows {
        let version: i64 = row.try_get(2)?;
        let known = Known { number: row.try_get(1)?, version: version.cast_unsigned() };
        state.streams.insert(StreamId::clone(in_column(&streams, &row, 0)?), known);
    }
    Ok(())
}

async fn claims(connection: &mut PgConnection, commits: &[&NewCommit], state: &mut State) -> Result<(), DbError> {
    let claims = distinct(
        commits.iter().flat_map(|commit| commit.claims.iter().map(|claim| claim_key(commit.stream.tenant(), claim))),
    );
    if claims.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query(CLAIMS)
        .bind(claims.iter().map(|claim| escaped(&claim.tenant)).collect::<Vec<_>>())
        .bind(claims.iter().map(|claim| escaped(&claim.set)).collect::<Vec<_>>())
        .bind(claims.iter().map(|claim| escaped(&claim.key)).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    for row in rows {
        state.claims.insert(in_column(&claims, &row, 0)?.clone(), row.try_get(1)?);
    }
    Ok(())
}

async fn ledger(connection: &mut PgConnection, commits: &[&NewCommit], state: &mut State) -> Result<(), DbError> {
    let keys = distinct(commits.iter().filter_map(|commit| {
        commit.ledger.as_ref().map(|entry| (commit.stream.tenant().to_owned(), entry.key.clone()))
    }));
    if keys.is_empty() {
        return Ok(());
    }
    for row in find(connection, &keys).await? {
        let record = record_of_row(&row, 1).map_err(DbError::Store)?;
        state.ledger.insert(in_column(&keys, &row, 0)?.clone(), Entry::Stored(Box::new(record)));
    }
    Ok(())
}

/// Gives the item whose place, from 1, stands in a column.
pub(super) fn in_column<'a, T>(items: &'a [T], row: &PgRow, column: usize) -> Result<&'a T, sqlx::Error> {
    let place: i64 = row.try_get(column)?;
    let item = usize::try_from(place - 1).ok().and_then(|place| items.get(place));
    item.ok_or_else(|| sqlx::Error::Decode("the database named a row that was not asked for".into()))
}
