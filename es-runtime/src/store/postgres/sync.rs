//! Groups with synchronous projections: one transaction that holds their locks while rows are read, folded and written.

use std::sync::Arc;

use rustc_hash::FxHashSet;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::append::append;
use super::error::{DbError, Fault, fault};
use super::group::Attempt;
use super::letters::parked_of;
use super::lookup::look_up;
use super::open::locks;
use super::outcome::refused_rules;
use super::pending;
use super::registry::projection_lock;
use super::rows::{self, by_keys};
use super::silence::Patience;
use super::text::escaped;
use super::writer::Writer;
use crate::event::{AnyEvent, Recorded};
use crate::projection::ConnectedProjector;
use crate::read_model::RowKey;
use crate::store::NewCommit;
use crate::store::commit::kinds_of;
use crate::store::group::answer::Failed;
use crate::store::group::plan::{Open, Plan, State};
use crate::store::group::sync::{Asked, Positions, SyncWrites, Syncs};

/// A connected projection, and the events that its functions are to be run on.
type Connected = (Arc<dyn ConnectedProjector>, Vec<Recorded<AnyEvent>>);

/// What a group was decided on, and what it does.
pub(super) struct Decided {
    pub(super) plan: Plan,
    pub(super) state: State,
    writes: Vec<SyncWrites>,
    pub(super) connected: Vec<Connected>,
    positions: Vec<i64>,
}

/// What became of a transaction.
enum Synced {
    /// There was nothing to write, or it could not be written: nothing of it is stored.
    Before(Result<Decided, DbError>),
    /// It was written, and committed with this result.
    Committed(Decided, Vec<i64>, Result<(), sqlx::Error>),
}

impl Writer {
    /// Stores a group of which commits carry synchronous projections.
    pub(super) async fn write_synced(&mut self, commits: &[&NewCommit]) -> Result<Attempt, Failed> {
        self.number_for(commits).await?;
        let last_stream = self.numbers.last;
        let mut line = self.take_line().await.map_err(Failed::store)?;
        let patience = self.place.patience.clone();
        let synced = synced(&mut line.connection, &patience, last_stream, commits).await;
        self.line = Some(line);
        crate::fail_point::reached("append.stored");
        match synced {
            Synced::Before(Ok(Decided { plan, state, .. })) => {
                Ok(Attempt::Done(self.finished(plan, &state, commits, Vec::new())))
            }
            Synced::Before(Err(error)) => self.unwritten(error, commits),
            Synced::Committed(Decided { plan, state, .. }, positions, committed) => {
                self.committed(plan, &state, commits, positions, committed).await
            }
        }
    }

    /// Makes out what the result of a commit says.
    pub(super) async fn committed(
        &mut self,
        plan: Plan,
        state: &State,
        commits: &[&NewCommit],
        positions: Vec<i64>,
        committed: Result<(), sqlx::Error>,
    ) -> Result<Attempt, Failed> {
        // It may be stored, whatever came back: its numbers are given to no other stream.
        self.numbers.last = self.numbers.last.max(state.last_stream);
        let positions = match committed {
            Ok(()) => positions,
            Err(error) => match self.after_error(error, &plan, commits).await?.positions() {
                Ok(positions) => positions,
                Err(again) => return Ok(again),
            },
        };
        Ok(Attempt::Done(self.finished(plan, state, commits, positions)))
    }

    /// The transaction did not come as far as its commit, so nothing of it is stored.
    pub(super) fn unwritten(&mut self, error: DbError, commits: &[&NewCommit]) -> Result<Attempt, Failed> {
        match error {
            DbError::Database(error) if commits.len() == 1 && fault(&error) == Fault::ClaimsDiffer => {
                Err(refused_rules(&error))
            }
            DbError::Store(error) => Err(Failed::Separable(error)),
            DbError::Database(error) => self.read_failed(error, "writing a commit"),
        }
    }
}

/// Decides and writes a group in one transaction. What is left without its commit is rolled back, whatever the connection says to it.
async fn synced(
    connection: &mut PgConnection,
    patience: &Patience,
    last_stream: i64,
    commits: &[&NewCommit],
) -> Synced {
    let mut transaction = match patience.answered(connection.begin()).await {
        Ok(transaction) => transaction,
        Err(error) => return Synced::Before(Err(error.into())),
    };
    let decided = match patience.answered(decide(&mut transaction, last_stream, commits)).await {
        Ok(decided) if !decided.plan.writes.is_empty() => decided,
        before => {
            let _ = patience.answered(transaction.rollback()).await;
            return Synced::Before(before);
        }
    };
    crate::fail_point::reached("append.folded");
    match patience.answered(write(&mut transaction, &decided, commits)).await {
        Ok(positions) => Synced::Committed(decided, positions, patience.answered(transaction.commit()).await),
        Err(error) => {
            let _ = patience.answered(transaction.rollback()).await;
            Synced::Before(Err(error))
        }
    }
}

/// Takes the locks, reads what the commits stand on, folds and decides. The order of the locks is the same everywhere: appends, projections
/// by their names, rows.
pub(super) async fn decide(
    connection: &mut PgConnection,
    last_stream: i64,
    commits: &[&NewCommit],
) -> Result<Decided, DbError> {
    let events: usize = commits.iter().map(|commit| commit.events.len()).sum();
    let Some(mut syncs) = Syncs::of(commits) else {
        begin(connection, commits, &[]).await?;
        let mut state = State { last_stream, ..look_up(connection, commits).await? };
        let positions = reserve(connection, events).await?;
        let plan = Plan::draft(&mut Open, &mut state, commits.iter().copied());
        return Ok(Decided { plan, state, writes: Vec::new(), connected: Vec::new(), positions });
    };
    let asked = syncs.asked();
    begin(connection, commits, &asked).await?;
    // Each statement from here on sees what those have committed who held the locks before.
    let mut state = State { last_stream, ..look_up(connection, commits).await? };
    let (answers, positions) = pending::answer(connection, asked, events).await?;
    let reserved = positions.iter().map(|position| position.cast_unsigned()).collect();
    syncs.answer(Positions::Reserved(reserved), answers);
    load(&mut syncs, connection, commits).await?;
    let plan = Plan::draft(&mut syncs, &mut state, commits.iter().copied());
    let writes = syncs.writes().collect();
    Ok(Decided { plan, state, writes, connected: syncs.into_connected(), positions })
}

/// Takes the locks: that of appends, those of the projections that are asked for, and those of others that the commits leave to their workers,
/// which only follow from here on.
async fn begin(connection: &mut PgConnection, commits: &[&NewCommit], asked: &[Asked]) -> Result<(), sqlx::Error> {
    debug_assert_eq!(locks::APPEND, 0, "as in the function");
    let brought = || asked.iter().map(|asked| &asked.version);
    sqlx::query("SELECT es_begin_append($1, $2, $3, $4, $5)")
        .bind(kinds_of(commits).iter().map(|kind| escaped(kind)).collect::<Vec<_>>())
        .bind(brought().map(|version| escaped(version.name)).collect::<Vec<_>>())
        .bind(brought().map(|version| i64::from(version.version)).collect::<Vec<_>>())
        .bind(brought().map(|version| escaped(&version.kinds)).collect::<Vec<_>>())
        .bind(brought().map(|version| projection_lock(version.name)).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map(drop)
}

/// Takes as many positions.
async fn reserve(connection: &mut PgConnection, events: usize) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT es_reserve($1)")
        .bind(i32::try_from(events).unwrap_or(i32::MAX))
        .fetch_one(connection)
        .await
}

/// Loads the rows that the commits may touch.
async fn load(syncs: &mut Syncs, connection: &mut PgConnection, commits: &[&NewCommit]) -> Result<(), DbError> {
    for (place, wanted) in syncs.wanted(commits).into_iter().enumerate() {
        let parked = if wanted.has_letters {
            let texts = wanted.keys.iter().map(RowKey::as_str).collect();
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

/// Writes what was decided: the group, rows, watermarks. Gives the positions of the events.
pub(super) async fn write(
    connection: &mut PgConnection,
    decided: &Decided,
    commits: &[&NewCommit],
) -> Result<Vec<i64>, DbError> {
    let Decided { plan, state, writes, positions, .. } = decided;
    let reserved = positions.get(..plan.writes.events.len());
    let positions = append(connection, plan, state, commits, reserved).await?;
    for writes in writes {
        if let Some((table, changes)) = &writes.rows {
            rows::write(connection, *table, changes).await?;
        }
        let numbered = writes.marks.iter().filter_map(|(stream, version, position)| {
            Some((state.streams.get(stream)?.number, version.cast_signed(), position.cast_signed()))
        });
        let mut marks: Vec<_> = numbered.collect();
        marks.sort_unstable();
        watermarks(connection, writes.name, writes.version, &marks).await?;
    }
    Ok(positions)
}

async fn watermarks(
    connection: &mut PgConnection,
    name: &str,
    version: u32,
    marks: &[(i64, i64, i64)],
) -> Result<(), DbError> {
    if marks.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO watermarks (name, version, stream_no, stream_version, position) \
         SELECT $1, $2, m.stream_no, m.stream_version, m.position \
         FROM unnest($3::bigint[], $4::bigint[], $5::bigint[]) AS m (stream_no, stream_version, position) ORDER BY m.stream_no \
         ON CONFLICT (name, version, stream_no) DO UPDATE SET stream_version = excluded.stream_version, position = excluded.position",
    )
    .bind(name)
    .bind(i64::from(version))
    .bind(marks.iter().map(|(stream, ..)| *stream).collect::<Vec<_>>())
    .bind(marks.iter().map(|(_, version, _)| *version).collect::<Vec<_>>())
    .bind(marks.iter().map(|(.., position)| *position).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
