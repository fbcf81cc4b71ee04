//! Groups with synchronous projections: one transaction that holds their locks while rows are read, folded and written.

use std::fmt::Write as _;
use std::sync::Arc;

use rustc_hash::FxHashSet;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::append::append_with;
use super::error::{DbError, Fault, fault};
use super::group::Attempt;
use super::letters::parked_of;
use super::lookup::look_up;
use super::outcome::refused_rules;
use super::pending;
use super::rows::{self, Found, by_keys};
use super::silence::Patience;
use super::statement::Statement;
use super::writer::Writer;
use crate::event::{AnyEvent, Recorded};
use crate::projection::ConnectedProjector;
use crate::read_model::RowKey;
use crate::store::NewCommit;
use crate::store::group::answer::Failed;
use crate::store::group::cache::Folded;
use crate::store::group::plan::{Fate, Open, Plan, State};
use crate::store::group::sync::{Positions, SyncWrites, Syncs};

/// A connected projection, and the events that its functions are to be run on.
type Connected = (Arc<dyn ConnectedProjector>, Vec<Recorded<AnyEvent>>);

/// What a group was decided on, and what it does.
pub(super) struct Decided {
    pub(super) plan: Plan,
    pub(super) state: State,
    pub(super) writes: Vec<SyncWrites>,
    pub(super) connected: Vec<Connected>,
    positions: Vec<i64>,
}

/// What a group is decided on without asking.
pub(super) struct Trusted {
    pub(super) state: State,
    pub(super) folded: Folded,
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
        match self.transact(Syncs::of(commits), None, commits).await? {
            Synced::Before(Ok(Decided { plan, state, .. })) => {
                Ok(Attempt::Done(self.finished(plan, &state, commits, Vec::new())))
            }
            Synced::Before(Err(error)) => self.unwritten(error, commits),
            Synced::Committed(decided, positions, committed) => {
                self.committed(decided, commits, positions, committed).await
            }
        }
    }

    /// The same on what the writer remembers. `None`: a commit would be refused, so it has to be asked; nothing is stored.
    pub(super) async fn write_synced_on_trust(
        &mut self,
        syncs: Syncs,
        trusted: Trusted,
        commits: &[&NewCommit],
    ) -> Result<Option<Attempt>, Failed> {
        match self.transact(Some(syncs), Some(trusted), commits).await? {
            Synced::Before(Ok(_)) => Ok(None),
            Synced::Before(Err(error)) => self.unwritten(error, commits).map(Some),
            Synced::Committed(decided, positions, committed) => {
                self.committed(decided, commits, positions, committed).await.map(Some)
            }
        }
    }

    async fn transact(
        &mut self,
        syncs: Option<Syncs>,
        trusted: Option<Trusted>,
        commits: &[&NewCommit],
    ) -> Result<Synced, Failed> {
        let last_stream = self.numbers.last;
        let mut line = self.take_line().await.map_err(Failed::store)?;
        let patience = self.place.patience.clone();
        let synced = synced(&mut line.connection, &patience, last_stream, syncs, trusted, commits).await;
        self.line = Some(line);
        crate::fail_point::reached("append.stored");
        Ok(synced)
    }

    /// Makes out what the result of a commit says.
    pub(super) async fn committed(
        &mut self,
        decided: Decided,
        commits: &[&NewCommit],
        positions: Vec<i64>,
        committed: Result<(), sqlx::Error>,
    ) -> Result<Attempt, Failed> {
        let Decided { plan, state, writes, .. } = decided;
        // It may be stored, whatever came back: its numbers are given to no other stream.
        self.numbers.last = self.numbers.last.max(state.last_stream);
        let positions = match committed {
            Ok(()) => positions,
            Err(error) => match self.after_error(error, &plan, commits).await?.positions() {
                Ok(positions) => positions,
                Err(again) => return Ok(again),
            },
        };
        self.cache.learn_folded(&state, &writes);
        Ok(Attempt::Done(self.finished(plan, &state, commits, positions)))
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

/// Decides and writes a group in one transaction; if it is decided on trust, only if no commit is refused. What is left without its commit is rolled
/// back, whatever the connection says to it.
async fn synced(
    connection: &mut PgConnection,
    patience: &Patience,
    last_stream: i64,
    syncs: Option<Syncs>,
    trusted: Option<Trusted>,
    commits: &[&NewCommit],
) -> Synced {
    let mut transaction = match patience.answered(connection.begin()).await {
        Ok(transaction) => transaction,
        Err(error) => return Synced::Before(Err(error.into())),
    };
    let on_trust = trusted.is_some();
    let writes = |plan: &Plan| {
        !plan.writes.is_empty() && (!on_trust || plan.fates.iter().all(|fate| matches!(fate, Fate::Stored { .. })))
    };
    let decided = match patience.answered(decide(&mut transaction, last_stream, syncs, trusted, commits)).await {
        Ok(decided) if writes(&decided.plan) => decided,
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
///
/// Positions are taken behind the versions of their streams, which were read before: whoever wrote those took his positions before.
pub(super) async fn decide(
    connection: &mut PgConnection,
    last_stream: i64,
    syncs: Option<Syncs>,
    trusted: Option<Trusted>,
    commits: &[&NewCommit],
) -> Result<Decided, DbError> {
    let events: usize = commits.iter().map(|commit| commit.events.len()).sum();
    let Some(mut syncs) = syncs else {
        pending::begin(connection, commits, &[], 0).await?;
        let mut state = State { last_stream, ..look_up(connection, commits).await? };
        let positions = reserve(connection, events).await?;
        let plan = Plan::draft(&mut Open, &mut state, commits.iter().copied());
        return Ok(Decided { plan, state, writes: Vec::new(), connected: Vec::new(), positions });
    };
    let asked = syncs.asked();
    // Each statement behind it sees what those have committed who held the locks before.
    let (mut state, folded, mut standing, positions) = if let Some(Trusted { state, folded }) = trusted {
        let (standing, positions) = pending::begin(connection, commits, &asked, events).await?;
        (state, folded, standing, positions)
    } else {
        let (standing, _) = pending::begin(connection, commits, &asked, 0).await?;
        let state = State { last_stream, ..look_up(connection, commits).await? };
        let positions = reserve(connection, events).await?;
        (state, Folded::default(), standing, positions)
    };
    pending::streams(connection, &asked, &mut standing, &folded).await?;
    let reserved = positions.iter().map(|position| position.cast_unsigned()).collect();
    syncs.answer(Positions::Reserved(reserved), asked.into_iter().zip(standing));
    load(&mut syncs, connection, commits).await?;
    let plan = Plan::draft(&mut syncs, &mut state, commits.iter().copied());
    let writes = syncs.writes().collect();
    Ok(Decided { plan, state, writes, connected: syncs.into_connected(), positions })
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
            Some(table) => by_keys(connection, table, &wanted.keys, Found::OneByOne).await?,
            None => Vec::new(),
        };
        syncs.supply(place, wanted.keys.into_iter().zip(rows), parked);
    }
    Ok(())
}

/// Writes what was decided, with one statement: the group, rows, watermarks. Gives the positions of the events.
pub(super) async fn write(
    connection: &mut PgConnection,
    decided: &Decided,
    commits: &[&NewCommit],
) -> Result<Vec<i64>, DbError> {
    let Decided { plan, state, writes, positions, .. } = decided;
    let reserved = positions.get(..plan.writes.events.len());
    append_with(connection, plan, state, commits, reserved, |statement| {
        // Where nothing is folded, no row changes.
        let folded = writes.iter().filter(|writes| !writes.marks.is_empty());
        for (place, writes) in folded.enumerate() {
            statement.push(if place == 0 { "WITH " } else { ", " });
            watermarks(statement, state, writes, place);
            if let Some((table, changes)) = &writes.rows {
                rows::add(statement, *table, changes, None, place)?;
            }
        }
        statement.push(" ");
        Ok(())
    })
    .await
}

/// Adds the part of a `WITH` that writes watermarks.
fn watermarks(statement: &mut Statement, state: &State, writes: &SyncWrites, place: usize) {
    let numbered = writes.marks.iter().filter_map(|(stream, version, position)| {
        Some((state.streams.get(stream)?.number, version.cast_signed(), position.cast_signed()))
    });
    let mut marks: Vec<_> = numbered.collect();
    marks.sort_unstable();
    let _ = write!(
        statement.text,
        "marked{place} AS (INSERT INTO watermarks (name, version, stream_no, stream_version, position) SELECT "
    );
    statement.bind(writes.name);
    statement.push("::text, ");
    statement.bind(i64::from(writes.version));
    statement.push("::bigint, m.stream_no, m.stream_version, m.position FROM unnest(");
    statement.bind(marks.iter().map(|(stream, ..)| *stream).collect::<Vec<_>>());
    statement.push("::bigint[], ");
    statement.bind(marks.iter().map(|(_, version, _)| *version).collect::<Vec<_>>());
    statement.push("::bigint[], ");
    statement.bind(marks.iter().map(|(.., position)| *position).collect::<Vec<_>>());
    statement.push(
        "::bigint[]) AS m (stream_no, stream_version, position) ORDER BY m.stream_no ON CONFLICT (name, version, stream_no) \
         DO UPDATE SET stream_version = excluded.stream_version, position = excluded.position)",
    );
}
