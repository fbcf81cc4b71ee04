//! Where those who follow the log stand.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::SqliteStore;
use super::append::{json_rows, quote};
use super::batch::PendingBatch;
use super::error::{DbError, damaged};
use super::job::End;
use super::registry::{back_to, number};
use super::rows::read;
use super::script::Script;
use super::writer::Work;
use super::{letters, lookup};
use crate::event::{AnyEvent, GlobalPosition, Recorded, StreamId, Version};
use crate::store::{
    Batch, BatchDone, BatchError, Checkpoint, CheckpointStore, EventStore as _, Letter, PartitionId, ProcessId,
    StoreError, SubscriptionStatus,
};

impl CheckpointStore for SqliteStore {
    async fn project(&self, batch: Batch) -> Result<BatchDone, BatchError> {
        if batch.history.is_over() {
            return Err(BatchError::Fenced);
        }
        let (answer, answered) = tokio::sync::oneshot::channel();
        // Dropped while it waits for a place, the batch was not handed over; behind it, it is stored whole or not at all.
        let place = self.queue.reserve().await.map_err(|_| StoreError::Closed)?;
        place.send(Work::Batch(PendingBatch { batch: Box::new(batch), answer }));
        let lost = || BatchError::Uncertain { reason: "the writer ended without an answer".to_owned() };
        answered.await.unwrap_or_else(|_| Err(lost()))
    }

    async fn checkpoints(&self, name: &str, version: u32) -> Result<Vec<Checkpoint>, StoreError> {
        let mut script = Script::default();
        script.add(
            "SELECT s.name, s.version, s.partition, s.position, s.epoch, s.owner, s.status, s.reason, s.stopped_at, \
             (SELECT count(*) FROM dead_letters AS d WHERE d.name = s.name AND d.version = s.version \
             AND d.partition = s.partition) \
             FROM subscriptions AS s WHERE s.name = ? AND s.version = ? ORDER BY s.partition",
        );
        script.bind(name.to_owned()).bind(version);
        let mut reader = self.reader().await?;
        let found = read(reader.connection()?, script, |row| checkpoint(&row)).await;
        self.answer(reader, found, "reading checkpoints")
    }

    async fn set_status(
        &self,
        name: &str,
        version: u32,
        partition: Option<u32>,
        status: SubscriptionStatus,
    ) -> Result<(), StoreError> {
        let (word, reason, at) = match status {
            SubscriptionStatus::Running => ("running", None, None),
            SubscriptionStatus::Paused => ("paused", None, None),
            SubscriptionStatus::Stopped { reason, at } => ("stopped", Some(reason), Some(at.timestamp_micros())),
        };
        let mut script = Script::default();
        script.add(
            "UPDATE subscriptions SET status = ?, reason = ?, stopped_at = ? \
             WHERE name = ? AND version = ? AND partition = coalesce(?, partition)",
        );
        script.bind(word).bind(reason).bind(at).bind(name.to_owned()).bind(version).bind(partition);
        known(&self.run_script("setting a status", script).await?, name, version)
    }

    async fn rewind(&self, name: &str, version: u32, to: GlobalPosition) -> Result<(), StoreError> {
        // The log only grows: what is not past its end now is not past it then.
        let head = self.head().await?;
        if to > head {
            return Err(StoreError::PastHead { to, head });
        }
        known(&self.run_script("rewinding", back_to(name, version, to.get())).await?, name, version)
    }

    async fn letters(
        &self,
        name: &str,
        version: u32,
        key: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Letter>, StoreError> {
        let mut reader = self.reader().await?;
        let script = letters::some_of(name, version, key, limit);
        let found = read(reader.connection()?, script, |row| letters::of_row(&row)).await;
        self.answer(reader, found, "reading letters")
    }

    async fn first_letter(
        &self,
        name: &str,
        version: u32,
        streams: &[StreamId],
        to: GlobalPosition,
    ) -> Result<Option<GlobalPosition>, StoreError> {
        let mut script = Script::default();
        script.add(
            "SELECT min(d.position) FROM json_each(?) AS e CROSS JOIN dead_letters AS d ON d.name = ? AND d.version = ? \
             AND d.tenant = e.value->>0 AND d.category = e.value->>1 AND d.stream = e.value->>2 WHERE d.position <= ?",
        );
        script.bind(stream_rows(streams)).bind(name.to_owned()).bind(version);
        script.bind(i64::try_from(to.get()).unwrap_or(i64::MAX));
        let mut reader = self.reader().await?;
        let found = read(reader.connection()?, script, |row| Ok(row.try_get::<Option<i64>, _>(0)?)).await;
        let found = self.answer(reader, found, "reading letters")?;
        Ok(found.into_iter().flatten().next().map(|position| GlobalPosition::new(position.cast_unsigned())))
    }

    async fn parked_keys(&self, id: &PartitionId) -> Result<Vec<String>, StoreError> {
        let mut script = Script::default();
        script
            .add("SELECT DISTINCT key FROM dead_letters WHERE name = ? AND version = ? AND partition = ? ORDER BY key");
        script.bind(id.name.to_string()).bind(id.version).bind(id.partition);
        let mut reader = self.reader().await?;
        let found = read(reader.connection()?, script, |row| Ok(row.try_get(0)?)).await;
        self.answer(reader, found, "reading letters")
    }

    async fn touch_letter(&self, id: &PartitionId, position: GlobalPosition, cause: &str) -> Result<(), StoreError> {
        self.run_script("touching a letter", letters::touch(id, position, cause)).await.map(drop)
    }

    async fn skip_letter(&self, id: &PartitionId, position: GlobalPosition) -> Result<bool, StoreError> {
        let changed = self.run_script("skipping a letter", letters::take(id, position)).await?;
        Ok(changed.first().is_some_and(|rows| *rows > 0))
    }

    async fn versions_at(&self, streams: &[StreamId], position: GlobalPosition) -> Result<Vec<Version>, StoreError> {
        let mut script = Script::default();
        // Down from the stream's end: what is looked through stands behind the position.
        script.add(
            "SELECT e.key, (SELECT l.version FROM event_log AS l WHERE l.stream_no = s.stream_no AND l.position <= ? \
             ORDER BY l.version DESC LIMIT 1) FROM json_each(?) AS e CROSS JOIN streams AS s \
             ON s.tenant = e.value->>0 AND s.category = e.value->>1 AND s.key = e.value->>2",
        );
        script.bind(i64::try_from(position.get()).unwrap_or(i64::MAX)).bind(stream_rows(streams));
        let mut reader = self.reader().await?;
        let found = read(reader.connection()?, script, |row| {
            let version: Option<i64> = row.try_get(1)?;
            Ok((row.try_get::<i64, _>(0)?, version.unwrap_or_default()))
        });
        let found = found.await;
        let mut versions = vec![Version::NONE; streams.len()];
        for (place, version) in self.answer(reader, found, "reading versions of streams")? {
            if let Some(found) = usize::try_from(place).ok().and_then(|place| versions.get_mut(place)) {
                *found = Version::new(version.cast_unsigned());
            }
        }
        Ok(versions)
    }

    async fn events_at(&self, positions: &[GlobalPosition]) -> Result<Vec<Recorded<AnyEvent>>, StoreError> {
        self.picked(positions).await
    }
}

impl SqliteStore {
    /// Has the writer run statements in a transaction; gives how many rows each changed.
    pub(super) async fn run_script(&self, doing: &'static str, script: Script) -> Result<Vec<u64>, StoreError> {
        self.work(doing, move |connection| Box::pin(async move { Ok(End::Commit(script.run(connection).await?)) }))
            .await
    }
}

/// What is asked of a version that is not there says so.
fn known(changed: &[u64], name: &str, version: u32) -> Result<(), StoreError> {
    match changed.last() {
        None | Some(0) => Err(StoreError::Gone { what: format!("version {version} of projection `{name}`") }),
        Some(_) => Ok(()),
    }
}

/// Makes an index of streams.
pub(super) fn stream_rows<'a>(streams: impl IntoIterator<Item = &'a StreamId>) -> String {
    json_rows(streams, |text, stream| lookup::texts(text, &[stream.tenant(), stream.category(), stream.key()]))
}

/// Makes an index of partitions.
pub(super) fn partition_rows<'a>(ids: impl IntoIterator<Item = &'a PartitionId>) -> String {
    json_rows(ids, |text, id| {
        quote(text, &id.name);
        // Writing to a `String` cannot fail.
        let _ = std::fmt::Write::write_fmt(text, format_args!(",{},{}", id.version, id.partition));
    })
}

/// Reads name, version and partition.
pub(super) fn partition_of_row(row: &SqliteRow, table: &str) -> Result<PartitionId, DbError> {
    let name: &str = row.try_get(0)?;
    Ok(PartitionId { name: name.into(), version: number(row, 1, table)?, partition: number(row, 2, table)? })
}

/// Reads the columns from name to stop of the table.
pub(super) fn checkpoint(row: &SqliteRow) -> Result<Checkpoint, DbError> {
    let id = partition_of_row(row, "subscriptions")?;
    let wrong = |reason: String| DbError::Store(damaged(format!("table subscriptions, `{}`", id.name), reason));
    let owner: Option<&str> = row.try_get(5)?;
    let owner = owner.map(Uuid::parse_str).transpose().map_err(|error| wrong(error.to_string()))?.map(ProcessId);
    let status = match row.try_get(6)? {
        "running" => SubscriptionStatus::Running,
        "paused" => SubscriptionStatus::Paused,
        "stopped" => {
            let reason: Option<String> = row.try_get(7)?;
            SubscriptionStatus::Stopped { reason: reason.unwrap_or_default(), at: letters::time(row, 8)? }
        }
        other => return Err(wrong(format!("`{other}` is no status"))),
    };
    let letters = if row.len() > 9 { number(row, 9, "dead_letters")? } else { 0 };
    let position = GlobalPosition::new(number(row, 3, "subscriptions")?);
    Ok(Checkpoint { position, epoch: number(row, 4, "subscriptions")?, owner, status, letters, id })
}
