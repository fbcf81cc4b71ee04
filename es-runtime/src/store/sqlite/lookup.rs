//! Reads, inside the write transaction, what the careful path decides a group on.

use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use rustc_hash::FxHashMap;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, Either, Executor as _, Row as _, SqlSafeStr as _};

use super::append::{json_rows, quote};
use super::error::DbError;
use super::ledger::{RECORD_COLUMNS, record_of_row};
use super::pending::Question;
use super::script::Script;
use crate::event::StreamId;
use crate::store::NewCommit;
use crate::store::group::plan::{ClaimKey, Entry, Known, State, claim_key};
use crate::store::sql::distinct::distinct;

/// Arguments: index `[tenant, category, key]`. Gives, for each stream that is there, its place in the index, its number and its version; all
/// in one row, since each row is a hand-over between threads.
const STREAMS: &str = "SELECT json_group_array(json_array(e.key, s.stream_no, \
    coalesce((SELECT max(l.version) FROM event_log AS l WHERE l.stream_no = s.stream_no), 0))) \
    FROM json_each(?) AS e CROSS JOIN streams AS s \
    ON s.tenant = e.value->>0 AND s.category = e.value->>1 AND s.key = e.value->>2;\n";

const LAST_STREAM: &str = "SELECT coalesce(max(stream_no), 0) FROM streams;\n";

/// Gives the rules of all events that claim, in one row; no row where there are none.
const RULES: &str = "SELECT json_group_array(json_array(category, kind, rules)) FROM claim_rules WHERE rules <> '' \
    HAVING count(*) > 0;\n";

/// Arguments: index `[tenant, set, key]`. Gives the row's place in the index and the stream that holds the key.
const CLAIMS: &str = "SELECT e.key, c.stream_no FROM json_each(?) AS e CROSS JOIN claims AS c \
    ON c.tenant = e.value->>0 AND c.set_name = e.value->>1 AND c.key = e.value->>2;\n";

/// Reads the state of everything that the commits touch, in one message to the connection. With `begin`, it takes the write
/// lock first and leaves the transaction open; what is read then holds until it ends. `more` is what else is asked.
pub(super) async fn look_up(
    connection: &mut SqliteConnection,
    commits: &[&NewCommit],
    begin: bool,
    mut more: Option<&mut Question>,
) -> Result<State, DbError> {
    let streams = distinct(commits.iter().map(|commit| &commit.stream));
    let claims = distinct(
        commits.iter().flat_map(|commit| commit.claims.iter().map(|claim| claim_key(commit.stream.tenant(), claim))),
    );
    let keys = distinct(commits.iter().filter_map(|commit| {
        commit.ledger.as_ref().map(|entry| (commit.stream.tenant().to_owned(), entry.key.clone()))
    }));

    let mut sql = String::from(if begin { "BEGIN IMMEDIATE;\n" } else { "" });
    let mut arguments = SqliteArguments::default();
    let mut add = |json: String| arguments.add(json).map_err(sqlx::Error::Encode);
    sql.push_str(LAST_STREAM);
    sql.push_str(RULES);
    sql.push_str(STREAMS);
    add(json_rows(&streams, |text, stream| texts(text, &[stream.tenant(), stream.category(), stream.key()])))?;
    if !claims.is_empty() {
        sql.push_str(CLAIMS);
        add(json_rows(&claims, |text, claim| texts(text, &[&claim.tenant, &claim.set, &claim.key])))?;
    }
    if !keys.is_empty() {
        // Arguments: index `[tenant, key]`.
        let _ = writeln!(
            sql,
            "SELECT {RECORD_COLUMNS}, e.key FROM json_each(?) AS e CROSS JOIN command_ledger AS c \
             ON c.tenant = e.value->>0 AND c.key = e.value->>1 LEFT JOIN streams AS s ON s.stream_no = c.stream_no;"
        );
        add(json_rows(&keys, |text, (tenant, key)| texts(text, &[tenant, key])))?;
    }

    let mut state = State { rules: Some(FxHashMap::default()), ..State::default() };
    let order: &[Part] = match (claims.is_empty(), keys.is_empty()) {
        (true, true) => &[Part::Last, Part::Rules, Part::Streams],
        (false, true) => &[Part::Last, Part::Rules, Part::Streams, Part::Claims],
        (true, false) => &[Part::Last, Part::Rules, Part::Streams, Part::Ledger],
        (false, false) => &[Part::Last, Part::Rules, Part::Streams, Part::Claims, Part::Ledger],
    };
    if let Some(more) = &more {
        let mut script = Script::resume(&sql, arguments, 0);
        more.add(&mut script);
        (sql, arguments, _) = script.into_parts();
    }
    let mut done = 0;
    let query = sqlx::query_with(AssertSqlSafe(Arc::<str>::from(sql)).into_sql_str(), arguments);
    let mut results = connection.fetch_many(query);
    while let Some(result) = results.try_next().await? {
        match result {
            Either::Left(_) => done += 1,
            Either::Right(row) => match order.get(done - usize::from(begin)) {
                Some(Part::Last) => state.last_stream = row.try_get(0)?,
                Some(Part::Rules) => {
                    let found: Vec<(String, String, String)> =
                        serde_json::from_str(row.try_get(0)?).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
                    let of_events = found.into_iter().map(|(aggregate, event, rules)| ((aggregate, event), rules));
                    state.rules = Some(of_events.collect());
                }
                Some(Part::Streams) => {
                    let found: Vec<(usize, i64, u64)> =
                        serde_json::from_str(row.try_get(0)?).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
                    for (place, number, version) in found {
                        let stream = streams.get(place).ok_or_else(unasked)?;
                        state.streams.insert(StreamId::clone(stream), Known { number, version });
                    }
                }
                Some(Part::Claims) => {
                    state.claims.insert(ClaimKey::clone(at(&claims, &row, 0)?), row.try_get(1)?);
                }
                None if let Some(more) = &mut more => {
                    more.take((done - usize::from(begin)).saturating_sub(order.len()), &row)?;
                }
                Some(Part::Ledger) | None => {
                    let record = record_of_row(&row).map_err(DbError::Store)?;
                    let key = at(&keys, &row, row.len() - 1)?.clone();
                    state.ledger.insert(key, Entry::Stored(Box::new(record)));
                }
            },
        }
    }
    Ok(state)
}

#[derive(Clone, Copy)]
enum Part {
    Last,
    Rules,
    Streams,
    Claims,
    Ledger,
}

pub(super) fn texts(json: &mut String, parts: &[&str]) {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        quote(json, part);
    }
}

/// Gives the item whose place in its index stands in a column.
fn at<'a, T>(items: &'a [T], row: &SqliteRow, column: usize) -> Result<&'a T, sqlx::Error> {
    let index: i64 = row.try_get(column)?;
    let item = usize::try_from(index).ok().and_then(|index| items.get(index));
    item.ok_or_else(unasked)
}

fn unasked() -> sqlx::Error {
    sqlx::Error::Decode("the database named a row that was not asked for".into())
}
