//! Shares partitions among the processes that use the database.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use rustc_hash::FxHashSet;
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};
use uuid::Uuid;

use super::PostgresStore;
use super::checkpoints::checkpoint;
use super::error::{DbError, damaged};
use super::open::locks;
use super::pool::End;
use super::text::escaped;
use crate::store::{Checkpoint, Lease, LeaseRequest, LeaseStore, PartitionId, ProcessId, StoreError};
use crate::subscription::assign::{Wants, fair_share};

/// The processes that asked for partitions through this store: what it gives up when it is closed.
#[derive(Debug, Default)]
pub(super) struct Processes(Mutex<FxHashSet<ProcessId>>);

/// The longest time-out, in microseconds: 100 years. With more, the server's times would end.
const LONGEST: i64 = 100 * 365 * 24 * 3_600 * 1_000_000;

impl LeaseStore for PostgresStore {
    async fn lease(&self, request: &LeaseRequest) -> Result<Vec<Lease>, StoreError> {
        self.shared.processes.0.lock().insert(request.process);
        let (request, opening) = (request.clone(), self.hasty(locks::REGISTRY));
        self.work("leasing partitions", opening, move |connection| {
            Box::pin(async move { lease(connection, &request).await })
        })
        .await
    }

    async fn leave(&self, process: ProcessId) -> Result<(), StoreError> {
        let opening = self.opening(&[locks::REGISTRY]);
        let left = self.work("giving partitions up", opening, move |connection| {
            Box::pin(async move { Ok(End::Commit(leave(connection, process).await?)) })
        });
        left.await?;
        self.shared.processes.0.lock().remove(&process);
        Ok(())
    }
}

impl PostgresStore {
    /// Gives up what every process of this store has.
    pub(super) async fn leave_all(&self) {
        let processes: Vec<_> = self.shared.processes.0.lock().iter().copied().collect();
        for process in processes {
            if let Err(error) = self.leave(process).await {
                // Others notice when the time-out has passed.
                tracing::warn!(%error, "the leases could not be given up");
            }
        }
    }
}

/// A process as it is stored.
struct Process {
    id: ProcessId,
    wanted: BTreeSet<PartitionId>,
    lives: bool,
}

/// One clock for all: the server's.
async fn lease(connection: &mut PgConnection, request: &LeaseRequest) -> Result<End<Vec<Lease>>, DbError> {
    let partitions = partitions(connection).await?;
    let known: BTreeSet<_> = partitions.iter().map(|held| held.id.clone()).collect();
    if let Some(unknown) = request.wanted.iter().find(|id| !known.contains(id)) {
        return Err(unknown.gone().into());
    }
    note(connection, request).await?;
    let processes = processes(connection).await?;
    let (living, dead): (Vec<_>, Vec<_>) =
        processes.into_iter().partition(|process| process.lives || process.id == request.process);
    // What another process wants may have been dropped since it asked.
    let known_of = |process: Process| (process.id, process.wanted.intersection(&known).cloned().collect());
    let living: Wants = living.into_iter().map(known_of).collect();
    if !dead.is_empty() {
        let dead: Vec<Uuid> = dead.iter().map(|process| process.id.0).collect();
        sqlx::query("DELETE FROM processes WHERE process = ANY($1)").bind(dead).execute(&mut *connection).await?;
    }
    let owners = partitions.iter().filter_map(|held| Some((held.id.clone(), held.owner?))).collect();
    let decided = fair_share(request.process, &living, &owners);
    let changes = !decided.take.is_empty() || !decided.give_up.is_empty();
    take(connection, &decided.take, request.process).await?;
    give_up(connection, &decided.give_up).await?;
    // Also where nothing changed hands it is read again: a batch or a rewind may have moved it meanwhile.
    let partitions = if changes { self::partitions(connection).await? } else { partitions };
    let owned = partitions.into_iter().filter(|held| held.owner == Some(request.process));
    let lease =
        |held: Checkpoint| Lease { id: held.id, epoch: held.epoch, position: held.position, status: held.status };
    Ok(End::Commit(owned.map(lease).collect()))
}

/// Notes that a process lives.
async fn note(connection: &mut PgConnection, request: &LeaseRequest) -> Result<(), DbError> {
    let wanted: Vec<_> = request.wanted.iter().map(|id| (&*id.name, id.version, id.partition)).collect();
    let timeout = i64::try_from(request.timeout.as_micros()).unwrap_or(LONGEST).min(LONGEST);
    sqlx::query(
        "INSERT INTO processes (process, heartbeat, timeout, wanted) \
         VALUES ($1, clock_timestamp(), $2::bigint * interval '1 microsecond', $3) ON CONFLICT (process) \
         DO UPDATE SET heartbeat = excluded.heartbeat, timeout = excluded.timeout, wanted = excluded.wanted",
    )
    .bind(request.process.0)
    .bind(timeout)
    // JSON holds no NUL.
    .bind(serde_json::to_string(&wanted).unwrap_or_default())
    .execute(connection)
    .await?;
    Ok(())
}

async fn processes(connection: &mut PgConnection) -> Result<Vec<Process>, DbError> {
    let rows =
        sqlx::query("SELECT process, heartbeat + timeout >= clock_timestamp(), wanted FROM processes ORDER BY process")
            .fetch_all(connection)
            .await?;
    rows.iter().map(process).collect()
}

fn process(row: &PgRow) -> Result<Process, DbError> {
    let wanted: Vec<(String, u32, u32)> =
        serde_json::from_str(row.try_get(2)?).map_err(|error| damaged("table processes", error.to_string()))?;
    let wanted = wanted.into_iter();
    let wanted = wanted.map(|(name, version, partition)| PartitionId { name: name.into(), version, partition });
    Ok(Process { id: ProcessId(row.try_get(0)?), wanted: wanted.collect(), lives: row.try_get(1)? })
}

/// Reads every partition.
async fn partitions(connection: &mut PgConnection) -> Result<Vec<Checkpoint>, DbError> {
    let rows = sqlx::query(
        "SELECT name, version, partition, position, epoch, owner, status, reason, stopped_at FROM subscriptions \
         ORDER BY name, version, partition",
    )
    .fetch_all(connection)
    .await?;
    rows.iter().map(checkpoint).collect()
}

/// Gives partitions to a process, each with a new epoch.
async fn take(connection: &mut PgConnection, ids: &[PartitionId], owner: ProcessId) -> Result<(), sqlx::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE subscriptions AS s SET owner = $4, epoch = s.epoch + 1 \
         FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS e (name, version, partition) \
         WHERE s.name = e.name AND s.version = e.version AND s.partition = e.partition",
    )
    .bind(ids.iter().map(|id| escaped(&id.name)).collect::<Vec<_>>())
    .bind(ids.iter().map(|id| i64::from(id.version)).collect::<Vec<_>>())
    .bind(ids.iter().map(|id| i64::from(id.partition)).collect::<Vec<_>>())
    .bind(owner.0)
    .execute(connection)
    .await
    .map(drop)
}

async fn give_up(connection: &mut PgConnection, ids: &[PartitionId]) -> Result<(), sqlx::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE subscriptions AS s SET owner = NULL \
         FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS e (name, version, partition) \
         WHERE s.name = e.name AND s.version = e.version AND s.partition = e.partition",
    )
    .bind(ids.iter().map(|id| escaped(&id.name)).collect::<Vec<_>>())
    .bind(ids.iter().map(|id| i64::from(id.version)).collect::<Vec<_>>())
    .bind(ids.iter().map(|id| i64::from(id.partition)).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(drop)
}

async fn leave(connection: &mut PgConnection, process: ProcessId) -> Result<(), sqlx::Error> {
    for sql in ["UPDATE subscriptions SET owner = NULL WHERE owner = $1", "DELETE FROM processes WHERE process = $1"] {
        sqlx::query(sql).bind(process.0).execute(&mut *connection).await?;
    }
    Ok(())
}
