//! Which projections there are, and which of their versions serves.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::PostgresStore;
use super::connected::reset_inside;
use super::error::{DbError, Fault, damaged, fault};
use super::open::{LOCK_TIMEOUT, ReadModels, locks};
use super::pool::{End, reading};
use super::table::{LONGEST_NAME, quoted, view_sql};
use super::text::{escaped, unescaped};
use crate::projection::{ConnectedProjector, ProjectionDescriptor, ProjectionStyle};
use crate::read_model::TableRef;
use crate::store::sql::known::{self, Known, Registered, kinds_text, stored_name, table_of};
use crate::store::{FOLLOWS_FOR, ProjectionRegistry, ProjectionVersion, RegisterError, StoreError, VersionState};

/// How long it is waited for readers of a table that is to be made, dropped or emptied. Whoever reads it meanwhile waits as long.
const READERS: Duration = LOCK_TIMEOUT;

impl ProjectionRegistry for PostgresStore {
    async fn register(
        &self,
        projection: &'static ProjectionDescriptor,
        reset: Option<Arc<dyn ConnectedProjector>>,
    ) -> Result<(), RegisterError> {
        fits(projection)?;
        // A look without the lock first: nearly always everything is there.
        let known = reading!(self, "reading projections", connection => known(connection, projection.name).await)?;
        let same = known.iter().find(|known| known.version == projection.version);
        let is_there = |known: &&Known| projection.renamed_from.is_none() && known.kinds == kinds_text(projection);
        if let Some(known) = same.filter(is_there) {
            return known.compare(projection);
        }
        let names: Vec<_> = std::iter::once(projection.name).chain(projection.renamed_from).collect();
        // On an empty log it serves at once: then nothing may be on its way that was not folded.
        let is_empty = reading!(self, "reading projections", connection => Ok(is_empty(connection).await?))?;
        let (opening, read_models) = (self.building(&names, is_empty), self.shared.place.read_models());
        self.work_with(reset.is_some(), "registering a projection", opening, move |connection| {
            Box::pin(async move { register(connection, projection, reset, &read_models).await })
        })
        .await?
    }

    async fn projections(&self) -> Result<Vec<ProjectionVersion>, StoreError> {
        let found = reading!(self, "reading projections", connection => every(connection).await)?;
        Ok(found.into_iter().map(Known::into_version).collect())
    }

    async fn reset(
        &self,
        projection: &'static ProjectionDescriptor,
        connected: Option<Arc<dyn ConnectedProjector>>,
    ) -> Result<(), StoreError> {
        let (opening, read_models) = (self.building(&[projection.name], false), self.shared.place.read_models());
        self.work_with(connected.is_some(), "resetting a projection", opening, move |connection| {
            Box::pin(async move { reset(connection, projection, connected, &read_models).await })
        })
        .await
    }

    async fn drop_retired(&self, name: &str) -> Result<u64, StoreError> {
        let (name, opening) = (name.to_owned(), self.building(&[name], false));
        self.work("dropping old versions", opening, move |connection| {
            Box::pin(async move { drop_retired(connection, &name).await })
        })
        .await
    }
}

impl PostgresStore {
    /// Gives the text that begins a transaction that makes, empties or drops tables of a projection.
    fn building(&self, names: &[&str], holds_appends: bool) -> String {
        let mut projections: Vec<_> = names.iter().map(|name| projection_lock(name)).collect();
        projections.sort_unstable();
        let appends: &[i32] = if holds_appends { &[locks::APPEND] } else { &[] };
        let opening = self.opening(&[appends, &[locks::REGISTRY], &*projections].concat());
        format!("{opening}; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = {}", READERS.as_millis())
    }
}

/// Gives the second half of the key of a projection's lock: the same in every program, for ever. It is none of the small numbers of `locks`.
pub(super) fn projection_lock(name: &str) -> i32 {
    let hash = Sha256::digest(name.as_bytes());
    let bytes = hash.iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    // Positive, and not small.
    (bytes >> 1 | 1 << 30).cast_signed()
}

/// PostgreSQL cuts long names without a word: two tables would become one.
fn fits(projection: &'static ProjectionDescriptor) -> Registered {
    let Some(table) = projection.table else { return Ok(()) };
    let stored = TableRef { table, version: projection.version }.stored_name();
    let columns = table.columns.iter().map(|column| column.name.to_owned());
    match std::iter::once(stored).chain(columns).find(|name| name.len() > LONGEST_NAME) {
        None => Ok(()),
        Some(name) => {
            let projection = projection.name.to_owned();
            Err(RegisterError::NameTooLong { projection, name, longest: LONGEST_NAME })
        }
    }
}

/// What [`of_row`] wants to see in a row.
macro_rules! known_columns {
    () => {
        "SELECT name, version, state, table_name, table_shape, partitions, kinds, followed_at IS NOT NULL FROM projections"
    };
}

fn of_row(row: &PgRow) -> Result<Known, DbError> {
    let name = unescaped(row.try_get(0)?);
    let state = known::state(row.try_get(2)?);
    let state = state.map_err(|reason| damaged(format!("table projections, `{name}`"), reason))?;
    let (table, shape) = (row.try_get(3)?, row.try_get(4)?);
    let (version, partitions) = (number(row, 1, "projections")?, number(row, 5, "projections")?);
    let (kinds, follows) = (unescaped(row.try_get(6)?), row.try_get(7)?);
    Ok(Known { name, version, state, table, shape, partitions, kinds, follows })
}

/// Reads a number that is stored as a `bigint`.
pub(super) fn number<N: TryFrom<i64>>(row: &PgRow, column: usize, table: &str) -> Result<N, DbError> {
    let stored: i64 = row.try_get(column)?;
    let wrong = |_| damaged(format!("table {table}"), format!("the number {stored} is out of range"));
    Ok(N::try_from(stored).map_err(wrong)?)
}

async fn every(connection: &mut PgConnection) -> Result<Vec<Known>, DbError> {
    let rows = sqlx::query(concat!(known_columns!(), " ORDER BY name, version")).fetch_all(connection).await?;
    rows.iter().map(of_row).collect()
}

pub(super) async fn known(connection: &mut PgConnection, name: &str) -> Result<Vec<Known>, DbError> {
    let query = sqlx::query(concat!(known_columns!(), " WHERE name = $1 ORDER BY version")).bind(escaped(name));
    query.fetch_all(connection).await?.iter().map(of_row).collect()
}

/// Behind the lock, so that of several processes one makes the version known.
async fn register(
    connection: &mut PgConnection,
    projection: &'static ProjectionDescriptor,
    reset: Option<Arc<dyn ConnectedProjector>>,
    read_models: &ReadModels,
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
    if let Some(foreign) = foreign(connection, projection, &known, read_models.schemas()).await? {
        let refused = RegisterError::TableExists { projection: projection.name.to_owned(), table: foreign };
        return Ok(End::RollBack(Err(refused)));
    }
    make(connection, projection, read_models).await?;
    if let Some(connected) = reset.filter(|_| projection.resets) {
        // It makes the tables; and what an older version wrote would be counted twice.
        reset_in(connection, &*connected, read_models).await?;
    }
    // What is being appended now comes to the version as any other event: its checkpoint stands at the start.
    if is_empty(connection).await? {
        // Without a history there is nothing to build.
        activate(connection, projection.name, projection.version, read_models).await?;
    }
    Ok(End::Commit(Ok(())))
}

async fn is_empty(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT NOT EXISTS (SELECT 1 FROM event_log)").fetch_one(connection).await
}

/// Takes the kinds of events that this program's commits fold. Where they were others, nobody knows what was left out: only workers write the
/// rows, until they have caught up.
async fn take_kinds(
    connection: &mut PgConnection,
    projection: &'static ProjectionDescriptor,
    known: &[Known],
) -> Result<bool, DbError> {
    let kinds = kinds_text(projection);
    if known.iter().any(|known| known.version == projection.version && known.kinds == kinds) {
        return Ok(false);
    }
    sqlx::query(
        "UPDATE projections SET kinds = $3, lock_key = $4, followed_at = CASE WHEN $3 = '' THEN NULL ELSE to_timestamp(0) END \
         WHERE name = $1 AND version = $2",
    )
    .bind(escaped(projection.name))
    .bind(i64::from(projection.version))
    .bind(escaped(&kinds))
    .bind(projection_lock(projection.name))
    .execute(connection)
    .await?;
    Ok(true)
}

/// Renames everything that is registered under the projection's old name, behind the locks of both names: commits that fold under the old
/// one have ended. Who runs it now is fenced off.
async fn rename(
    connection: &mut PgConnection,
    projection: &'static ProjectionDescriptor,
) -> Result<Result<bool, RegisterError>, DbError> {
    let is_known = !known(connection, projection.name).await?.is_empty();
    let old = projection.renamed_from.unwrap_or_default();
    let is_old_known = projection.renamed_from.is_some() && !known(connection, old).await?.is_empty();
    let renamed_to: Option<String> = sqlx::query_scalar("SELECT renamed_to FROM renamed_projections WHERE name = $1")
        .bind(escaped(projection.name))
        .fetch_optional(&mut *connection)
        .await?;
    let renaming = known::renaming(projection, is_known, is_old_known, renamed_to.map(unescaped));
    if renaming.as_ref().is_ok_and(|renamed| *renamed) {
        for sql in [
            // Checkpoints first: a worker that holds its own is waited for, and finds it gone.
            "UPDATE subscriptions SET owner = NULL, epoch = epoch + 1, name = $1 WHERE name = $2",
            "UPDATE dead_letters SET name = $1 WHERE name = $2",
            "UPDATE watermarks SET name = $1 WHERE name = $2",
            // It may have had this name before.
            "DELETE FROM renamed_projections WHERE name = $1 OR name = $2",
            "INSERT INTO renamed_projections (renamed_to, name) VALUES ($1, $2)",
        ] {
            sqlx::query(sql).bind(escaped(projection.name)).bind(escaped(old)).execute(&mut *connection).await?;
        }
        // Appends that are in progress know the old name: what they leave is found by the switch, which waits for them.
        sqlx::query(
            "UPDATE projections SET name = $1, lock_key = $3, followed_at = CASE WHEN kinds = '' THEN NULL ELSE to_timestamp(0) END \
             WHERE name = $2",
        )
        .bind(escaped(projection.name))
        .bind(escaped(old))
        .bind(projection_lock(projection.name))
        .execute(&mut *connection)
        .await?;
    }
    Ok(renaming)
}

/// Finds something in the schema that has a name the projection needs.
async fn foreign(
    connection: &mut PgConnection,
    projection: &'static ProjectionDescriptor,
    known: &[Known],
    schemas: Vec<String>,
) -> Result<Option<String>, DbError> {
    let Some(table) = projection.table else { return Ok(None) };
    let mut names = vec![TableRef { table, version: projection.version }.stored_name()];
    // The view is there already where an older version has the same table.
    if !known.iter().any(|known| known.table == table.name && known.state == VersionState::Active) {
        names.push(table.name.to_owned());
    }
    let found = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE n.nspname::text = ANY($2::text[]) AND c.relname::text = ANY($1::text[]) ORDER BY 1 LIMIT 1",
    )
    .bind(names)
    .bind(schemas)
    .fetch_optional(connection)
    .await?;
    Ok(found)
}

async fn make(
    connection: &mut PgConnection,
    projection: &'static ProjectionDescriptor,
    read_models: &ReadModels,
) -> Result<(), DbError> {
    let (table, shape) = table_of(projection);
    if let Some(table) = projection.table {
        let sql = PostgresStore::table_sql(table, projection.version);
        connection.execute(AssertSqlSafe(read_models.making(&sql))).await?;
    }
    sqlx::query(
        "INSERT INTO projections (name, version, state, table_name, table_shape, partitions, kinds, lock_key, followed_at) \
         VALUES ($1, $2, 'building', $3, $4, $5, $6, $7, CASE WHEN $6 = '' THEN NULL ELSE to_timestamp(0) END)",
    )
    .bind(escaped(projection.name))
    .bind(i64::from(projection.version))
    .bind(table)
    .bind(shape)
    .bind(i64::from(projection.partitions))
    .bind(escaped(&kinds_text(projection)))
    .bind(projection_lock(projection.name))
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO subscriptions (name, version, partition, position, epoch, status) \
         SELECT $1, $2, p.partition, 0, 0, 'running' FROM generate_series(0, $3::bigint - 1) AS p (partition)",
    )
    .bind(escaped(projection.name))
    .bind(i64::from(projection.version))
    .bind(i64::from(projection.partitions.max(1)))
    .execute(connection)
    .await?;
    Ok(())
}

/// Makes a version that is being built the active one: the view follows. Behind the locks of the registry and of the projection.
pub(super) async fn activate(
    connection: &mut PgConnection,
    name: &str,
    version: u32,
    read_models: &ReadModels,
) -> Result<bool, DbError> {
    let known = known(connection, name).await?;
    let Some(built) = known::may_serve(&known, version) else { return Ok(false) };
    let active = known::active(&known);
    sqlx::query(
        "UPDATE projections SET state = CASE WHEN version = $2 THEN 'active' ELSE 'retired' END \
         WHERE name = $1 AND version <= $2",
    )
    .bind(escaped(name))
    .bind(i64::from(version))
    .execute(&mut *connection)
    .await?;
    fold_again(connection, name, version).await?;
    if let Some(old) = active.filter(|active| active.table != built.table && !active.table.is_empty()) {
        drop_view(connection, &old.table).await?;
    }
    if !built.table.is_empty() {
        replace_view(connection, built, read_models).await?;
    }
    Ok(true)
}

/// What has to hold of a row `p` of `projections`, so that commits fold what they append to the version again. The last argument is
/// [`FOLLOWS_FOR`] in seconds.
macro_rules! folds_again {
    ($seconds:literal) => {
        concat!(
            "p.state = 'active' AND p.followed_at <= clock_timestamp() - make_interval(secs => ",
            $seconds,
            ") AND NOT EXISTS (SELECT 1 FROM dead_letters AS d WHERE d.name = p.name AND d.version = p.version) \
             AND NOT EXISTS (SELECT 1 FROM event_log AS l JOIN streams AS s ON s.stream_no = l.stream_no \
             WHERE l.position > (SELECT min(c.position) FROM subscriptions AS c WHERE c.name = p.name AND c.version = p.version) \
             AND s.category || ' ' || l.kind = ANY(string_to_array(p.kinds, E'\\n')))"
        )
    };
}
pub(super) use folds_again;

/// Lets commits fold what they append to a version that serves, if nothing of it is put aside and no event that they fold is in the log behind its
/// partitions. Returns whether they did not before, and do now. Behind the locks of appends and of the projection.
pub(super) async fn fold_again(connection: &mut PgConnection, name: &str, version: u32) -> Result<bool, DbError> {
    let changed = sqlx::query(concat!(
        "UPDATE projections AS p SET followed_at = NULL WHERE p.name = $1 AND p.version = $2 AND ",
        folds_again!("$3")
    ))
    .bind(escaped(name))
    .bind(i64::from(version))
    .bind(FOLLOWS_FOR.as_seconds_f64())
    .execute(connection)
    .await?;
    Ok(changed.rows_affected() > 0)
}

async fn drop_view(connection: &mut PgConnection, view: &str) -> Result<(), sqlx::Error> {
    connection.execute(AssertSqlSafe(format!("DROP VIEW IF EXISTS {}", quoted(view)))).await.map(drop)
}

/// Points the view at a version. Where its columns allow it the view stays the same, with what others built on it and with their rights.
async fn replace_view(
    connection: &mut PgConnection,
    version: &Known,
    read_models: &ReadModels,
) -> Result<(), sqlx::Error> {
    let view = view_sql(&version.table, &version.shape, version.version);
    let replace = read_models.making(&format!("CREATE OR REPLACE {view}"));
    let replace = format!("SAVEPOINT es_view; {replace}; RELEASE es_view");
    match connection.execute(AssertSqlSafe(replace)).await {
        Ok(_) => Ok(()),
        // Columns that differ in another way than by new ones at the end.
        Err(error) if error.as_database_error().and_then(DatabaseError::code).as_deref() == Some("42P16") => {
            connection.execute("ROLLBACK TO es_view").await?;
            drop_view(connection, &version.table).await?;
            connection.execute(AssertSqlSafe(read_models.making(&format!("CREATE {view}")))).await.map(drop)
        }
        Err(error) => Err(error),
    }
}

/// Runs a projection's `#[reset]`, which may make its tables.
async fn reset_in(
    connection: &mut PgConnection,
    connected: &dyn ConnectedProjector,
    read_models: &ReadModels,
) -> Result<(), DbError> {
    let [before, after] = read_models.paths();
    connection.execute(AssertSqlSafe(before)).await?;
    reset_inside(connection, connected).await?;
    connection.execute(AssertSqlSafe(after)).await?;
    Ok(())
}

async fn reset(
    connection: &mut PgConnection,
    projection: &'static ProjectionDescriptor,
    connected: Option<Arc<dyn ConnectedProjector>>,
    read_models: &ReadModels,
) -> Result<End<()>, DbError> {
    let known = known(connection, projection.name).await?;
    let version = known.iter().find(|known| known.version == projection.version);
    let refuse = |reason: String| DbError::Store(StoreError::Unavailable { reason, source: None });
    let named = format!("projection `{}` version {}", projection.name, projection.version);
    let Some(version) = version else { return Err(DbError::Store(StoreError::Gone { what: named })) };
    match (projection.style, connected) {
        (ProjectionStyle::Folded, _) => empty(connection, version).await?,
        (ProjectionStyle::Connected, Some(connected)) if projection.resets => {
            reset_in(connection, &*connected, read_models).await?;
        }
        _ => return Err(refuse(format!("{named} has no `#[reset]`: what it wrote is not known"))),
    }
    back_to(connection, projection.name, projection.version, 0).await?;
    // Even those ahead of every checkpoint: their rows are gone.
    for sql in [
        "DELETE FROM watermarks WHERE name = $1 AND version = $2",
        "UPDATE projections SET state = 'building' WHERE name = $1 AND version = $2",
    ] {
        let query = sqlx::query(sql).bind(escaped(projection.name)).bind(i64::from(projection.version));
        query.execute(&mut *connection).await?;
    }
    if version.state == VersionState::Active && !version.table.is_empty() {
        // Nobody is to take a part of the history for the whole: the view comes back with the switch.
        drop_view(connection, &version.table).await?;
    }
    Ok(End::Commit(()))
}

/// Empties a version's table: by `TRUNCATE`, which leaves no dead rows behind however many there are. Where readers hold it up, or something of the
/// user's refers to the table, row by row.
async fn empty(connection: &mut PgConnection, version: &Known) -> Result<(), sqlx::Error> {
    let table = quoted(&stored_name(&version.table, version.version));
    // Before any row: a worker's statement holds the table first, then its checkpoint.
    let truncate = format!("SAVEPOINT es_empty; TRUNCATE {table}; RELEASE es_empty");
    match connection.execute(AssertSqlSafe(truncate)).await {
        Ok(_) => return Ok(()),
        Err(error) if matches!(fault(&error), Fault::Locked | Fault::Other) => {}
        Err(error) => return Err(error),
    }
    connection.execute("ROLLBACK TO es_empty").await?;
    // Here it is the other way round: a worker holds its checkpoint before it writes rows.
    let locked = "SELECT 1 FROM subscriptions WHERE name = $1 AND version = $2 ORDER BY partition FOR UPDATE";
    let query = sqlx::query(locked).bind(escaped(&version.name)).bind(i64::from(version.version));
    query.execute(&mut *connection).await?;
    connection.execute(AssertSqlSafe(format!("DELETE FROM {table}"))).await.map(drop)
}

/// Sets the checkpoints of a version, at the log's head at most, and forgets what stands on them. Gives how many there are.
pub(super) async fn back_to(
    connection: &mut PgConnection,
    name: &str,
    version: u32,
    position: u64,
) -> Result<u64, sqlx::Error> {
    let position = i64::try_from(position).unwrap_or(i64::MAX);
    let mut changed = 0;
    for sql in [
        // Where all go forward, what commits have folded behind the position stays folded.
        "DELETE FROM watermarks WHERE name = $1 AND version = $2 AND (position <= $3 OR EXISTS \
         (SELECT 1 FROM subscriptions AS s WHERE s.name = $1 AND s.version = $2 AND s.position > $3))",
        "DELETE FROM dead_letters WHERE name = $1 AND version = $2 AND $3 = $3",
        "UPDATE projections SET followed_at = to_timestamp(0) WHERE name = $1 AND version = $2 AND kinds <> '' AND $3 = $3",
        "UPDATE subscriptions SET epoch = epoch + 1, \
         position = least($3, (SELECT coalesce(max(position), 0) FROM event_log)) WHERE name = $1 AND version = $2",
    ] {
        let query = sqlx::query(sql).bind(escaped(name)).bind(i64::from(version)).bind(position);
        changed = query.execute(&mut *connection).await?.rows_affected();
    }
    Ok(changed)
}

/// Gives the versions of which a living process runs a partition.
async fn living(connection: &mut PgConnection, name: &str) -> Result<Vec<u32>, DbError> {
    let rows = sqlx::query(
        "SELECT DISTINCT s.version FROM subscriptions AS s JOIN processes AS p ON p.process = s.owner \
         WHERE s.name = $1 AND p.heartbeat + p.timeout >= clock_timestamp()",
    )
    .bind(escaped(name))
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| number(row, 0, "subscriptions")).collect()
}

async fn drop_retired(connection: &mut PgConnection, name: &str) -> Result<End<u64>, DbError> {
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
        for sql in [
            "DELETE FROM projections WHERE name = $1 AND version = $2",
            "DELETE FROM subscriptions WHERE name = $1 AND version = $2",
            "DELETE FROM dead_letters WHERE name = $1 AND version = $2",
            "DELETE FROM watermarks WHERE name = $1 AND version = $2",
        ] {
            let query = sqlx::query(sql).bind(escaped(name)).bind(i64::from(version.version));
            query.execute(&mut *connection).await?;
        }
    }
    Ok(End::Commit(retired.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::projection_lock;

    #[test]
    fn a_projections_lock_is_the_same_for_ever_and_no_small_number() {
        assert_eq!(projection_lock("balances"), projection_lock("balances"));
        assert_ne!(projection_lock("balances"), projection_lock("balance"));
        for name in ["", "a", "balances", "ä"] {
            assert!(projection_lock(name) >= 1 << 30);
        }
    }
}
