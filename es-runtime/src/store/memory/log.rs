//! The log and its readers.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use super::{MemoryStore, Tables};
use crate::event::{AnyEvent, EventId, GlobalPosition, Metadata, Recorded, StreamId, Version};
use crate::store::{CommitTicket, EventStore, History, NewCommit, NewEvent, StoreError, StoredEvent};
use crate::time::whole_micros;

#[derive(Debug)]
pub(super) struct LogRow {
    pub(super) id: EventId,
    pub(super) stream: StreamId,
    pub(super) version: Version,
    pub(super) event: AnyEvent,
    pub(super) recorded_at: DateTime<Utc>,
    pub(super) metadata: Arc<Metadata>,
}

impl Tables {
    pub(super) fn version(&self, stream: &StreamId) -> Version {
        Version::new(self.streams.get(stream).map_or(0, |places| places.len() as u64))
    }

    pub(super) fn rows_of(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> impl Iterator<Item = (usize, &LogRow)> {
        let places = self.streams.get(stream).map_or(&[][..], Vec::as_slice);
        let skipped = usize::try_from(after.get()).unwrap_or(usize::MAX);
        places.iter().skip(skipped).take(limit).filter_map(|&place| Some((place, self.log.get(place)?)))
    }

    /// Gives the position of the newest event.
    pub(super) fn head(&self) -> GlobalPosition {
        GlobalPosition::new(self.log.len() as u64)
    }

    /// Gives the event at a place of the log.
    pub(super) fn recorded(&self, place: usize) -> Option<Recorded<AnyEvent>> {
        Some(self.log.get(place)?.recorded(place))
    }
}

impl LogRow {
    /// An event of a commit, at its version.
    pub(super) fn of(commit: &NewCommit, event: &NewEvent, version: u64) -> Self {
        Self {
            id: event.id,
            stream: commit.stream.clone(),
            version: Version::new(version),
            event: AnyEvent { name: event.name.clone(), version: event.schema_version, body: event.body.clone() },
            recorded_at: whole_micros(commit.recorded_at),
            metadata: Arc::clone(&commit.metadata),
        }
    }

    pub(super) fn recorded(&self, place: usize) -> Recorded<AnyEvent> {
        Recorded::new(
            self.event.clone(),
            self.id,
            self.stream.clone(),
            self.version,
            GlobalPosition::new(place as u64 + 1),
            self.recorded_at,
            Arc::clone(&self.metadata),
        )
    }
}

impl EventStore for MemoryStore {
    async fn submit(&self, commit: NewCommit) -> CommitTicket {
        CommitTicket::ready(self.commit(commit))
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let tables = self.0.tables.read();
        let stored = |(_, row): (usize, &LogRow)| StoredEvent {
            version: row.version,
            name: row.event.name.clone(),
            schema_version: row.event.version,
            body: row.event.body.clone(),
        };
        Ok(tables.open()?.rows_of(stream, after, limit).map(stored).collect())
    }

    async fn read_history(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Recorded<AnyEvent>>, StoreError> {
        let tables = self.0.tables.read();
        Ok(tables.open()?.rows_of(stream, after, limit).map(|(place, row)| row.recorded(place)).collect())
    }

    async fn read_all(&self, after: GlobalPosition, limit: usize) -> Result<Vec<Recorded<AnyEvent>>, StoreError> {
        let tables = self.0.tables.read();
        let skipped = usize::try_from(after.get()).unwrap_or(usize::MAX);
        let rows = tables.open()?.log.iter().enumerate().skip(skipped).take(limit);
        Ok(rows.map(|(place, row)| row.recorded(place)).collect())
    }

    async fn head(&self) -> Result<GlobalPosition, StoreError> {
        Ok(self.0.tables.read().open()?.head())
    }

    async fn event_count(&self) -> Result<u64, StoreError> {
        Ok(self.0.tables.read().open()?.log.len() as u64)
    }

    fn history(&self) -> History {
        self.0.history.clone()
    }

    fn watch(&self) -> watch::Receiver<GlobalPosition> {
        self.0.head.subscribe()
    }

    async fn close(&self) {
        self.0.tables.write().closed = true;
        // Wakes followers, so that they see the store closed and do not wait for ever.
        self.0.head.send_modify(|_| {});
    }
}
