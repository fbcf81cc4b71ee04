//! Which projections there are, and which of their versions serves.

use std::sync::Arc;

use chrono::Utc;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::SqliteStore;
use super::connected::reset_inside;
use super::error::{DbError, damaged};
use super::job::End;
use super::rows::read;
use super::script::Script;
use super::table::{quoted, view_sql};
use crate::projection::{ConnectedProjector, ProjectionDescriptor, ProjectionStyle};
use crate::read_model::TableRef;
use crate::store::sql::known::{self, Known, Registered, kinds_text, stored_name, table_of};
use crate::store::{FOLLOWS_FOR, ProjectionRegistry, ProjectionVersion, RegisterError, StoreError, VersionState};

impl ProjectionRegistry for SqliteStore {
    async fn register(
        &self,
        projection: &'static ProjectionDescriptor,
        reset: Option<Arc<dyn ConnectedProjector>>,
    ) -> Result<(), RegisterError> {
        // A look without the lock first: nearly always everything is there.
        let mut reader = self.reader().await?;
        let known = known(reader.connection()?, projection.name).await;
        let known = self.answer(reader, known, "reading projections")?;
        let same = known.iter().find(|known| known.version == projection.version);
        let is_there = |known: &&Known| projection.renamed_from.is_none() && known.kinds == kinds_text(projection);
        if let Some(known) = same.filter(is_there) {
            return known.compare(projection);
        }
        self.work("registering a projection", move |connection| {
            Box::pin(async move { register(connection, projection, reset).await })
        })
        .await?
    }

    async fn projections(&self) -> Result<Vec<ProjectionVersion>, StoreError> {
        let mut reader = self.reader().await?;
        let found = every(reader.connection()?).await;
        Ok(self.answer(reader, found, "reading projections")?.into_iter().map(Known::into_version).collect())
    }

    async fn reset(
        &self,
        projection: &'static ProjectionDescriptor,
        connected: Option<Arc<dyn ConnectedProjector>>,
    ) -> Result<(), StoreError> {
        self.work("resetting a projection", move |connection| {
            Box::pin(async move { reset(connection, projection, connected).await })
        })
        .await
    }

    async fn drop_retired(&self, name: &str) -> Result<u64, StoreError> {
        let name = name.to_owned();
        self.work("dropping old versions", move |connection| {
            Box::pin(async move { drop_retired(connection, &name).await })
        })
        .await
    }
}

/// What [`of_row`] wants to see in a row.
const KNOWN: &str =
    "SELECT name, version, state, table_name, table_shape, partitions, kinds, followed_at IS NOT NULL FROM projections";

fn of_row(row: &SqliteRow) -> Result<Known, DbError> {
    let name: String = row.try_get(0)?;
    let state = known::state(row.try_get(2)?);
    let state = state.map_err(|reason| damaged(format!("table projections, `{name}`"), reason))?;
    let (table, shape) = (row.try_get(3)?, row.try_get(4)?);
    let (version, partitions) = (number(row, 1, "projections")?, number(row, 5, "projections")?);
    let (kinds, follows) = (row.try_get(6)?, row.try_get(7)?);
    Ok(Known { name, version, state, table, shape, partitions, kinds, follows })
}

/// Reads a number that is stored as SQLite's only integer type.
pub(super) fn number<N: TryFrom<i64>>(row: &SqliteRow, column: usize, table: &str) -> Result<N, DbError> {
    let stored: i64 = row.try_get(column)?;
    let wrong = |_| damaged(format!("table {table}"), format!("the number {stored} is out of range"));
    Ok(N::try_from(stored).map_err(wrong)?)
}

async fn every(connection: &mut SqliteConnection) -> Result<Vec<Known>, DbError> {
    let sql = selecting(" ORDER BY name, version");
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await?;
    rows.iter().map(of_row).collect()
}

pub(super) async fn known(connection: &mut SqliteConnection, name: &str) -> Result<Vec<Known>, DbError> {
    let sql = selecting(" WHERE name = ? ORDER BY version");
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(name).fetch_all(connection).await?;
    rows.iter().map(of_row).collect()
}

fn selecting(rest: &str) -> String {
    format!("{KNOWN}{rest}")
}

/// Under the write lock, so that of several processes one makes the version known.
async fn register(
    connection: &mut SqliteConnection,
    projection: &'static ProjectionDescriptor,
    reset: Option<Arc<dyn ConnectedProjector>>,
) -> Result<End<Registered>, DbError> {
    let renamed = match rename(connection, projection).await? {
        Ok(renamed) => renamed,
        Err(refused) => return Ok(End::RollBack(Err(refused))),
    };
    let known = known(connection, projection.name).await?;
    match known::decided(&known, projection) {
        Some(Ok(())) if take_kinds(connection, projection, &known).await? || renamed => return Ok(End::Commit(Ok(()))),
        Some(decided) => return Ok(End::RollBack(decided)),
        None => {}
    }
    if let Some(foreign) = foreign(connection, projection, &known).await? {
        let refused = RegisterError::TableExists { projection: projection.name.to_owned(), table: foreign };
        return Ok(End::RollBack(Err(refused)));
    }
    make(connection, projection).await?;
    if let Some(connected) = reset.filter(|_| projection.resets) {
        // It makes the tables; and what an older version wrote would be counted twice.
        reset_inside(connection, &*connected).await?;
    }
    let empty: bool =
        sqlx::query_scalar("SELECT NOT EXISTS (SELECT 1 FROM event_log)").fetch_one(&mut *connection).await?;
    if empty {
        // Without a history there is nothing to build.
        activate(connection, projection.name, projection.version).await?;
    }
    Ok(End::Commit(Ok(())))
}

/// Takes the kinds of events that this program's commits fold. Where they were others, nobody knows what was left out: only workers write the
/// rows, until they have caught up.
async fn take_kinds(
    connection: &mut SqliteConnection,
    projection: &'static ProjectionDescriptor,
    known: &[Known],
) -> Result<bool, DbError> {
    let kinds = kinds_text(projection);
    if known.iter().any(|known| known.version == projection.version && known.kinds == kinds) {
        return Ok(false);
    }
    let mut script = Script::default();
    script.add(
        "UPDATE projections SET kinds = ?, followed_at = CASE WHEN ? = '' THEN NULL ELSE 0 END WHERE name = ? AND version = ?",
    );
    script.bind(kinds.clone()).bind(kinds).bind(projection.name).bind(projection.version);
    script.run(connection).await?;
    Ok(true)
}

/// Renames everything that is registered under the projection's old name. Workers that run it are fenced off.
async fn rename(
    connection: &mut SqliteConnection,
    projection: &'static ProjectionDescriptor,
) -> Result<Result<bool, RegisterError>, DbError> {
    let is_known = !known(connection, projection.name).await?.is_empty();
    let old = projection.renamed_from.unwrap_or_default();
    let is_old_known = projection.renamed_from.is_some() && !known(connection, old).await?.is_empty();
    let renamed_to = sqlx::query_scalar("SELECT renamed_to FROM renamed_projections WHERE name = ?")
        .bind(projection.name)
        .fetch_optional(&mut *connection)
        .await?;
    let renaming = known::renaming(projection, is_known, is_old_known, renamed_to);
    if renaming.as_ref().is_ok_and(|renamed| *renamed) {
        let mut script = Script::default();
        script.add("UPDATE subscriptions SET owner = NULL, epoch = epoch + 1 WHERE name = ?");
        script.bind(old);
        for table in ["projections", "subscriptions", "dead_letters", "watermarks"] {
            script.add(&format!("UPDATE {table} SET name = ? WHERE name = ?"));
            script.bind(projection.name).bind(old);
        }
        // It may have had this name before.
        script.add("DELETE FROM renamed_projections WHERE name = ?");
        script.bind(projection.name);
        script.add("INSERT INTO renamed_projections (name, renamed_to) VALUES (?, ?)");
        script.bind(old).bind(projection.name);
        script.run(connection).await?;
    }
    Ok(renaming)
}

/// Finds something in the database that has a name the projection needs.
async fn foreign(
    connection: &mut SqliteConnection,
    projection: &'static ProjectionDescriptor,
    known: &[Known],
) -> Result<Option<String>, DbError> {
    let Some(table) = projection.table else { return Ok(None) };
    let stored = TableRef { table, version: projection.version }.stored_name();
    // The view is there already where an older version has the same table.
    let has_view = known.iter().any(|known| known.table == table.name && known.state == VersionState::Active);
    let view = if has_view { "" } else { table.name };
    let found = sqlx::query_scalar(
        "SELECT name FROM sqlite_schema WHERE name = ? COLLATE NOCASE OR name = ? COLLATE NOCASE ORDER BY name LIMIT 1",
    )
    .bind(stored)
    .bind(view)
    .fetch_optional(connection)
    .await?;
    Ok(found)
}

async fn make(connection: &mut SqliteConnection, projection: &'static ProjectionDescriptor) -> Result<(), DbError> {
    let (table, shape) = table_of(projection);
    if let Some(table) = projection.table {
        connection.execute(AssertSqlSafe(SqliteStore::table_sql(table, projection.version))).await?;
    }
    let mut script = Script::default();
    script.add(
        "INSERT INTO projections (name, version, state, table_name, table_shape, partitions, kinds, followed_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, CASE WHEN ? = '' THEN NULL ELSE 0 END)",
    );
    script.bind(projection.name).bind(projection.version).bind("building").bind(table).bind(shape);
    script.bind(projection.partitions).bind(kinds_text(projection)).bind(kinds_text(projection));
    script.add(
        "INSERT INTO subscriptions (name, version, partition, position, epoch, status) \
         WITH RECURSIVE p(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM p WHERE n + 1 < ?) \
         SELECT ?, ?, n, 0, 0, 'running' FROM p",
    );
    script.bind(projection.partitions.max(1)).bind(projection.name).bind(projection.version);
    script.run(connection).await?;
    Ok(())
}

/// Makes a version that is being built the active one: the view follows.
pub(super) async fn activate(connection: &mut SqliteConnection, name: &str, version: u32) -> Result<bool, DbError> {
    let known = known(connection, name).await?;
    let Some(built) = known::may_serve(&known, version) else { return Ok(false) };
    let active = known::active(&known);
    let mut script = Script::default();
    script.add(
        "UPDATE projections SET state = CASE WHEN version = ? THEN 'active' ELSE 'retired' END \
         WHERE name = ? AND version <= ?",
    );
    script.bind(version).bind(name.to_owned()).bind(version);
    script.run(connection).await?;
    fold_again(connection, name, version).await?;
    for view in [active.map(|active| &active.table), Some(&built.table)].into_iter().flatten() {
        if !view.is_empty() {
            connection.execute(AssertSqlSafe(format!("DROP VIEW IF EXISTS {}", quoted(view)))).await?;
        }
    }
    if !built.table.is_empty() {
        connection.execute(AssertSqlSafe(view_sql(&built.table, &built.shape, version))).await?;
    }
    Ok(true)
}

/// Lets commits fold what they append to a version that serves, if nothing of it is put aside and no event that they fold is in the log behind its
/// partitions. Gives whether they did not before, and do now.
pub(super) async fn fold_again(connection: &mut SqliteConnection, name: &str, version: u32) -> Result<bool, DbError> {
    let mut script = Script::default();
    script.add(
        "UPDATE projections SET followed_at = NULL WHERE name = ? AND version = ? AND state = 'active' AND followed_at <= ? \
         AND NOT EXISTS (SELECT 1 FROM dead_letters AS d WHERE d.name = projections.name AND d.version = projections.version) \
         AND NOT EXISTS (SELECT 1 FROM event_log AS l CROSS JOIN streams AS s ON s.stream_no = l.stream_no WHERE l.position > \
         (SELECT min(c.position) FROM subscriptions AS c WHERE c.name = projections.name AND c.version = projections.version) \
         AND instr(char(10) || projections.kinds || char(10), char(10) || s.category || ' ' || l.kind || char(10)) > 0)",
    );
    let since = Utc::now() - FOLLOWS_FOR;
    script.bind(name.to_owned()).bind(version).bind(since.timestamp_micros());
    Ok(script.run(connection).await?.first().is_some_and(|rows| *rows > 0))
}

async fn reset(
    connection: &mut SqliteConnection,
    projection: &'static ProjectionDescriptor,
    connected: Option<Arc<dyn ConnectedProjector>>,
) -> Result<End<()>, DbError> {
    let known = known(connection, projection.name).await?;
    let version = known.iter().find(|known| known.version == projection.version);
    let refuse = |reason: String| DbError::Store(StoreError::Unavailable { reason, source: None });
    let named = format!("projection `{}` version {}", projection.name, projection.version);
    let Some(version) = version else { return Err(DbError::Store(StoreError::Gone { what: named })) };
    match (projection.style, connected) {
        (ProjectionStyle::Folded, _) => {
            let table = quoted(&stored_name(&version.table, version.version));
            connection.execute(AssertSqlSafe(format!("DELETE FROM {table}"))).await?;
        }
        (ProjectionStyle::Connected, Some(connected)) if projection.resets => {
            reset_inside(connection, &*connected).await?;
        }
        _ => return Err(refuse(format!("{named} has no `#[reset]`: what it wrote is not known"))),
    }
    let mut script = back_to(projection.name, projection.version, 0);
    // Even those ahead of every checkpoint: their rows are gone.
    script.add("DELETE FROM watermarks WHERE name = ? AND version = ?");
    script.bind(projection.name).bind(projection.version);
    script.add("UPDATE projections SET state = 'building' WHERE name = ? AND version = ?");
    script.bind(projection.name).bind(projection.version);
    script.run(connection).await?;
    if version.state == VersionState::Active && !version.table.is_empty() {
        // Nobody is to take a part of the history for the whole: the view comes back with the switch.
        connection.execute(AssertSqlSafe(format!("DROP VIEW IF EXISTS {}", quoted(&version.table)))).await?;
    }
    Ok(End::Commit(()))
}

/// The statements that set the checkpoints of a version, at the log's head at most, and forget what stands on them.
pub(super) fn back_to(name: &str, version: u32, position: u64) -> Script {
    let mut script = Script::default();
    let position = i64::try_from(position).unwrap_or(i64::MAX);
    script.add("UPDATE projections SET followed_at = 0 WHERE name = ? AND version = ? AND kinds <> ''");
    script.bind(name.to_owned()).bind(version);
    // Where all go forward, what commits have folded behind the position stays folded.
    script.add(
        "DELETE FROM watermarks WHERE name = ? AND version = ? AND (position <= ? OR EXISTS \
         (SELECT 1 FROM subscriptions AS s WHERE s.name = watermarks.name AND s.version = watermarks.version AND s.position > ?))",
    );
    script.bind(name.to_owned()).bind(version).bind(position).bind(position);
    script.add("DELETE FROM dead_letters WHERE name = ? AND version = ?");
    script.bind(name.to_owned()).bind(version);
    script.add(
        "UPDATE subscriptions SET epoch = epoch + 1, \
         position = min(?, (SELECT coalesce(max(position), 0) FROM event_log)) WHERE name = ? AND version = ?",
    );
    script.bind(position).bind(name.to_owned()).bind(version);
    script
}

/// Gives the versions of which a living process runs a partition.
async fn living(connection: &mut SqliteConnection, name: &str) -> Result<Vec<u32>, DbError> {
    let mut script = Script::default();
    script.add(
        "SELECT DISTINCT s.version FROM subscriptions AS s CROSS JOIN processes AS p ON p.process = s.owner \
         WHERE s.name = ? AND p.heartbeat + p.timeout >= ?",
    );
    script.bind(name.to_owned()).bind(Utc::now().timestamp_micros());
    read(connection, script, |row| number(&row, 0, "subscriptions")).await
}

async fn drop_retired(connection: &mut SqliteConnection, name: &str) -> Result<End<u64>, DbError> {
    let known = known(connection, name).await?;
    let active = known::active(&known).map_or(0, |active| active.version);
    let living = living(connection, name).await?;
    let is_retired = |known: &Known| known.version < active && !living.contains(&known.version);
    let retired: Vec<_> = known.into_iter().filter(is_retired).collect();
    if retired.is_empty() {
        return Ok(End::RollBack(0));
    }
    for version in &retired {
        if !version.table.is_empty() {
            let table = quoted(&stored_name(&version.table, version.version));
            connection.execute(AssertSqlSafe(format!("DROP TABLE {table}"))).await?;
        }
        let mut script = Script::default();
        for table in ["projections", "subscriptions", "dead_letters", "watermarks"] {
            script.add(&format!("DELETE FROM {table} WHERE name = ? AND version = ?"));
            script.bind(name.to_owned()).bind(version.version);
        }
        script.run(connection).await?;
    }
    Ok(End::Commit(retired.len() as u64))
}
