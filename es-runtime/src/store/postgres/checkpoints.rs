//! Where those who follow the log stand.

use std::time::Duration;

use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};
use uuid::Uuid;

use super::PostgresStore;
use super::error::{DbError, damaged};
use super::letters;
use super::lookup::{in_column, names};
use super::open::locks;
use super::pool::{End, reading, to_its_end};
use super::registry::{back_to, number, projection_lock};
use super::text::{escaped, unescaped};
use crate::event::{AnyEvent, GlobalPosition, Recorded, StreamId, Version};
use crate::store::{
    Batch, BatchDone, BatchError, Checkpoint, CheckpointStore, EventStore as _, Letter, PartitionId, ProcessId,
    StoreError, SubscriptionStatus,
};
use crate::time::whole_micros;

/// How long a rewind waits for open transactions that append below its position.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

impl CheckpointStore for PostgresStore {
    async fn project(&self, batch: Batch) -> Result<BatchDone, BatchError> {
        let store = self.clone();
        let stored = to_its_end(async move { store.store_batch(batch).await }).await;
        stored.unwrap_or_else(|reason| Err(BatchError::Uncertain { reason }))
    }

    async fn checkpoints(&self, name: &str, version: u32) -> Result<Vec<Checkpoint>, StoreError> {
        reading!(self, "reading checkpoints", connection => checkpoints(connection, name, version).await)
    }

    async fn set_status(
        &self,
        name: &str,
        version: u32,
        partition: Option<u32>,
        status: SubscriptionStatus,
    ) -> Result<(), StoreError> {
        // Whoever changes several checkpoints holds this lock: two of them never wait for each other.
        let (owned, opening) = (name.to_owned(), self.opening(&[locks::REGISTRY]));
        let changed = self.work("setting a status", opening, move |connection| {
            Box::pin(async move { Ok(End::Commit(set_status(connection, &owned, version, partition, status).await?)) })
        });
        known(changed.await?, name, version)
    }

    async fn rewind(&self, name: &str, version: u32, to: GlobalPosition) -> Result<(), StoreError> {
        let era = self.shared.place.histories.now().number;
        let head = self.head().await?;
        if to > head {
            return Err(StoreError::PastHead { to, head });
        }
        // What is below it and still on its way must not be passed over.
        let to = to.get();
        let passed = tokio::time::timeout(PATIENCE, self.shared.horizon.pass(era, to)).await;
        passed.map_err(|_| StoreError::Locked { waited: PATIENCE })??;
        let (owned, opening) = (name.to_owned(), self.opening(&[locks::REGISTRY, projection_lock(name)]));
        let changed = self.work("rewinding", opening, move |connection| {
            Box::pin(async move { Ok(End::Commit(back_to(connection, &owned, version, to).await?)) })
        });
        known(changed.await?, name, version)
    }

    async fn letters(
        &self,
        name: &str,
        version: u32,
        key: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Letter>, StoreError> {
        reading!(self, "reading letters", connection => letters::some_of(connection, name, version, key, limit).await)
    }

    async fn first_letter(
        &self,
        name: &str,
        version: u32,
        streams: &[StreamId],
        to: GlobalPosition,
    ) -> Result<Option<GlobalPosition>, StoreError> {
        reading!(self, "reading letters", connection => letters::first_of(connection, name, version, streams, to).await)
    }

    async fn parked_keys(&self, id: &PartitionId) -> Result<Vec<String>, StoreError> {
        reading!(self, "reading letters", connection => letters::keys_of(connection, id).await)
    }

    async fn touch_letter(&self, id: &PartitionId, position: GlobalPosition, cause: &str) -> Result<(), StoreError> {
        // Asked again after a connection was lost, it may count twice.
        reading!(self, "touching a letter", connection => Ok(letters::touch(connection, id, position, cause).await?))
    }

    async fn skip_letter(&self, id: &PartitionId, position: GlobalPosition) -> Result<bool, StoreError> {
        let (id, opening) = (id.clone(), self.opening(&[projection_lock(&id.name)]));
        let taken = self.work("skipping a letter", opening, move |connection| {
            Box::pin(async move { Ok(End::Commit(letters::take(connection, &id, position.get()).await?)) })
        });
        Ok(taken.await? > 0)
    }

    async fn versions_at(&self, streams: &[StreamId], position: GlobalPosition) -> Result<Vec<Version>, StoreError> {
        reading!(self, "reading versions of streams", connection => versions_at(connection, streams, position).await)
    }

    async fn events_at(&self, positions: &[GlobalPosition]) -> Result<Vec<Recorded<AnyEvent>>, StoreError> {
        self.picked(positions).await
    }
}

/// What is asked of a version that is not there says so.
fn known(changed: u64, name: &str, version: u32) -> Result<(), StoreError> {
    match changed {
        0 => Err(StoreError::Gone { what: format!("version {version} of projection `{name}`") }),
        _ => Ok(()),
    }
}

async fn checkpoints(connection: &mut PgConnection, name: &str, version: u32) -> Result<Vec<Checkpoint>, DbError> {
    let rows = sqlx::query(
        "SELECT s.name, s.version, s.partition, s.position, s.epoch, s.owner, s.status, s.reason, s.stopped_at, \
         (SELECT count(*) FROM dead_letters AS d WHERE d.name = s.name AND d.version = s.version \
         AND d.partition = s.partition) \
         FROM subscriptions AS s WHERE s.name = $1 AND s.version = $2 ORDER BY s.partition",
    )
    .bind(escaped(name))
    .bind(i64::from(version))
    .fetch_all(connection)
    .await?;
    rows.iter().map(checkpoint).collect()
}

async fn set_status(
    connection: &mut PgConnection,
    name: &str,
    version: u32,
    partition: Option<u32>,
    status: SubscriptionStatus,
) -> Result<u64, sqlx::Error> {
    let (word, reason, at) = match status {
        SubscriptionStatus::Running => ("running", None, None),
        SubscriptionStatus::Paused => ("paused", None, None),
        SubscriptionStatus::Stopped { reason, at } => ("stopped", Some(reason), Some(whole_micros(at))),
    };
    let changed = sqlx::query(
        "UPDATE subscriptions SET status = $4, reason = $5, stopped_at = $6 \
         WHERE name = $1 AND version = $2 AND partition = coalesce($3, partition)",
    )
    .bind(escaped(name))
    .bind(i64::from(version))
    .bind(partition.map(i64::from))
    .bind(word)
    .bind(reason.as_deref().map(escaped))
    .bind(at)
    .execute(connection)
    .await?;
    Ok(changed.rows_affected())
}

async fn versions_at(
    connection: &mut PgConnection,
    streams: &[StreamId],
    position: GlobalPosition,
) -> Result<Vec<Version>, DbError> {
    let named = names(streams);
    // Down from the stream's end: what is looked through stands behind the position.
    let rows = sqlx::query(
        "SELECT e.place, (SELECT l.version FROM event_log AS l WHERE l.stream_no = s.stream_no AND l.position <= $1 \
         ORDER BY l.version DESC LIMIT 1) \
         FROM unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS e (tenant, category, key, place) \
         JOIN streams AS s ON s.tenant = e.tenant AND s.category = e.category AND s.key = e.key",
    )
    .bind(i64::try_from(position.get()).unwrap_or(i64::MAX))
    .bind(named.tenants)
    .bind(named.categories)
    .bind(named.keys)
    .fetch_all(connection)
    .await?;
    let mut versions = vec![Version::NONE; streams.len()];
    for row in rows {
        in_column(streams, &row, 0)?;
        let (place, version): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
        if let Some(found) = usize::try_from(place - 1).ok().and_then(|place| versions.get_mut(place)) {
            *found = Version::new(version.unwrap_or_default().cast_unsigned());
        }
    }
    Ok(versions)
}

/// Reads name, version and partition.
pub(super) fn partition_of_row(row: &PgRow, table: &str) -> Result<PartitionId, DbError> {
    let name = unescaped(row.try_get(0)?);
    Ok(PartitionId { name: name.into(), version: number(row, 1, table)?, partition: number(row, 2, table)? })
}

/// Reads the columns from name to stop of the table, and the number of letters where it is there.
pub(super) fn checkpoint(row: &PgRow) -> Result<Checkpoint, DbError> {
    let id = partition_of_row(row, "subscriptions")?;
    let owner: Option<Uuid> = row.try_get(5)?;
    let status = match row.try_get(6)? {
        "running" => SubscriptionStatus::Running,
        "paused" => SubscriptionStatus::Paused,
        "stopped" => {
            let reason: Option<String> = row.try_get(7)?;
            let at: Option<chrono::DateTime<chrono::Utc>> = row.try_get(8)?;
            SubscriptionStatus::Stopped {
                reason: reason.map(unescaped).unwrap_or_default(),
                at: at.unwrap_or_default(),
            }
        }
        other => {
            let place = format!("table subscriptions, `{}`", id.name);
            return Err(damaged(place, format!("`{other}` is no status")).into());
        }
    };
    let letters = if row.len() > 9 { number(row, 9, "dead_letters")? } else { 0 };
    let position = GlobalPosition::new(number(row, 3, "subscriptions")?);
    let owner = owner.map(ProcessId);
    Ok(Checkpoint { position, epoch: number(row, 4, "subscriptions")?, owner, status, letters, id })
}
