//! What synchronous projections of a group load and write.

use std::fmt::Write as _;

use rustc_hash::FxHashSet;
use sqlx::sqlite::SqliteConnection;

use super::append::json_rows;
use super::error::DbError;
use super::pending::{Question, parked_of};
use super::rows::{self, by_keys};
use super::script::Script;
use crate::store::NewCommit;
use crate::store::group::plan::State;
use crate::store::group::sync::{Positions, Syncs};

/// Takes where they stand, and loads the rows that the commits may touch.
pub(super) async fn load(
    syncs: &mut Syncs,
    connection: &mut SqliteConnection,
    answered: Question,
    commits: &[&NewCommit],
) -> Result<(), DbError> {
    syncs.answer(Positions::Behind(answered.head), answered.into_answers());
    for (place, wanted) in syncs.wanted(commits).into_iter().enumerate() {
        let parked = if wanted.has_letters {
            let texts = wanted.keys.iter().map(crate::read_model::RowKey::as_str).collect();
            parked_of(connection, wanted.name, wanted.version, texts).await?
        } else {
            FxHashSet::default()
        };
        let rows = match wanted.table {
            Some(table) => by_keys(connection, table, &wanted.keys).await?,
            None => Vec::new(),
        };
        syncs.supply(place, wanted.keys.into_iter().zip(rows), parked);
    }
    Ok(())
}

/// Adds the statements that write rows and watermarks.
pub(super) fn write(syncs: &Syncs, script: &mut Script, state: &State) {
    for writes in syncs.writes() {
        if let Some((table, changes)) = &writes.rows {
            rows::write(script, *table, changes);
        }
        if writes.marks.is_empty() {
            continue;
        }
        script.add(
            "INSERT INTO watermarks (name, version, stream_no, stream_version, position) \
             SELECT ?, ?, e.value->>0, e.value->>1, e.value->>2 FROM json_each(?) AS e WHERE true \
             ON CONFLICT (name, version, stream_no) DO UPDATE SET stream_version = excluded.stream_version, \
             position = excluded.position",
        );
        let numbered = writes
            .marks
            .iter()
            .filter_map(|(stream, version, position)| Some((state.streams.get(stream)?.number, version, position)));
        script.bind(writes.name).bind(writes.version);
        script.bind(json_rows(numbered, |text, (stream, version, position)| {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{stream},{version},{position}");
        }));
    }
}
