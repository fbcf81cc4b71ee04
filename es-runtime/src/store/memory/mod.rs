//! The store in memory: as strict as the others, gone with the process.

mod read_side;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use tokio::sync::watch;

use super::{
    AppendError, CommitTicket, Committed, EventStore, ExternalId, IdentityMap, Ledger, LedgerRecord, NewCommit,
    SnapshotStore, StoreError, StoredEvent,
};
use crate::event::{AnyEvent, ClaimKind, EventId, GlobalPosition, Metadata, Recorded, StreamId, Version};

/// Keeps everything in memory. For tests, prototypes and domains that need no durability.
///
/// Clones share one log.
///
/// ```
/// use es_runtime::store::{EventStore, MemoryStore};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), es_runtime::store::StoreError> {
/// let store = MemoryStore::new();
/// assert_eq!(store.event_count().await?, 0);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct MemoryStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    // One lock for everything: a commit touches log, claims and ledger together, and none of it awaits.
    tables: RwLock<Tables>,
    head: watch::Sender<GlobalPosition>,
}

#[derive(Debug, Default)]
struct Tables {
    log: Vec<LogRow>,
    streams: FxHashMap<StreamId, Vec<usize>>,
    ledger: HashMap<(String, String), LedgerRow>,
    claims: HashMap<(String, String, String), StreamId>,
    snapshots: HashMap<StreamId, SnapshotRow>,
    identities: HashMap<ExternalId, String>,
    closed: bool,
}

#[derive(Debug)]
struct LogRow {
    id: EventId,
    stream: StreamId,
    version: Version,
    event: AnyEvent,
    recorded_at: DateTime<Utc>,
    metadata: Arc<Metadata>,
}

#[derive(Debug)]
struct LedgerRow {
    record: LedgerRecord,
    recorded_at: DateTime<Utc>,
}

#[derive(Debug)]
struct SnapshotRow {
    version: Version,
    fingerprint: u64,
    state: Bytes,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// Makes an empty store.
    #[must_use]
    pub fn new() -> Self {
        let (head, _) = watch::channel(GlobalPosition::START);
        Self(Arc::new(Shared { tables: RwLock::new(Tables::default()), head }))
    }

    fn commit(&self, commit: NewCommit) -> Result<Committed, AppendError> {
        let committed = self.0.tables.write().commit(commit)?;
        // Whoever subscribes later reads before it waits, so nobody needs to be woken where nobody watches.
        if committed.position > GlobalPosition::START && self.0.head.receiver_count() > 0 {
            self.0.head.send_modify(|head| *head = (*head).max(committed.position));
        }
        Ok(committed)
    }
}

impl Tables {
    fn commit(&mut self, mut commit: NewCommit) -> Result<Committed, AppendError> {
        if commit.events.is_empty() {
            // What only confirms a version changes nothing but the ledger.
            commit.claims.clear();
            commit.snapshot = None;
        }
        if let Err(error) = self.check(&commit) {
            commit.chain.break_off();
            return Err(error);
        }
        let NewCommit { stream, expected, events, metadata, recorded_at, claims, ledger, snapshot, .. } = commit;
        for claim in claims {
            let owned = (stream.tenant().to_owned(), claim.set.into_owned(), claim.key);
            match claim.kind {
                ClaimKind::Claim => drop(self.claims.insert(owned, stream.clone())),
                ClaimKind::Release if self.claims.get(&owned) == Some(&stream) => drop(self.claims.remove(&owned)),
                ClaimKind::Release => {}
            }
        }
        let version = expected.after(events.len() as u64);
        let position = if events.is_empty() { 0 } else { self.log.len() + events.len() };
        let committed = Committed { version, position: GlobalPosition::new(position as u64) };
        if let Some(entry) = ledger {
            let key = (stream.tenant().to_owned(), entry.key);
            let record = LedgerRecord {
                command: entry.command,
                hash: entry.hash,
                output: entry.output,
                stream: stream.clone(),
                committed,
                events: events.iter().map(|event| event.id).collect(),
            };
            self.ledger.insert(key, LedgerRow { record, recorded_at });
        }
        if let Some(snapshot) = snapshot {
            let row = SnapshotRow { version, fingerprint: snapshot.fingerprint, state: snapshot.state };
            self.snapshots.insert(stream.clone(), row);
        }
        if !events.is_empty() {
            let places = self.streams.entry(stream.clone()).or_default();
            for (version, event) in (expected.get() + 1..).zip(events) {
                places.push(self.log.len());
                self.log.push(LogRow {
                    id: event.id,
                    stream: stream.clone(),
                    version: Version::new(version),
                    event: AnyEvent { name: event.name, version: event.schema_version, body: event.body },
                    recorded_at,
                    metadata: Arc::clone(&metadata),
                });
            }
        }
        Ok(committed)
    }

    /// Looks whether a commit fits, before anything changes.
    fn check(&self, commit: &NewCommit) -> Result<(), AppendError> {
        if self.closed {
            return Err(StoreError::Closed.into());
        }
        if commit.chain.is_broken() {
            return Err(AppendError::ChainBroken);
        }
        let tenant = commit.stream.tenant();
        if let Some(entry) = &commit.ledger
            && let Some(row) = self.ledger.get(&(tenant.to_owned(), entry.key.clone()))
        {
            return Err(AppendError::KeyRecorded(Box::new(row.record.clone())));
        }
        let actual = self.version(&commit.stream);
        if actual != commit.expected {
            let (stream, expected) = (commit.stream.clone(), commit.expected);
            return Err(AppendError::Conflict { stream, expected, actual });
        }
        for claim in commit.claims.iter().filter(|claim| claim.kind == ClaimKind::Claim) {
            let key = (tenant.to_owned(), claim.set.clone().into_owned(), claim.key.clone());
            if self.claims.get(&key).is_some_and(|owner| *owner != commit.stream) {
                return Err(AppendError::Claimed { set: key.1, key: key.2 });
            }
        }
        Ok(())
    }

    fn version(&self, stream: &StreamId) -> Version {
        Version::new(self.streams.get(stream).map_or(0, |places| places.len() as u64))
    }

    fn rows_of(&self, stream: &StreamId, after: Version, limit: usize) -> impl Iterator<Item = (usize, &LogRow)> {
        let places = self.streams.get(stream).map_or(&[][..], Vec::as_slice);
        let skipped = usize::try_from(after.get()).unwrap_or(usize::MAX);
        places.iter().skip(skipped).take(limit).filter_map(|&place| Some((place, self.log.get(place)?)))
    }

    fn open(&self) -> Result<&Self, StoreError> {
        if self.closed { Err(StoreError::Closed) } else { Ok(self) }
    }
}

impl LogRow {
    fn recorded(&self, place: usize) -> Recorded<AnyEvent> {
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
        Ok(GlobalPosition::new(self.0.tables.read().open()?.log.len() as u64))
    }

    async fn event_count(&self) -> Result<u64, StoreError> {
        Ok(self.0.tables.read().open()?.log.len() as u64)
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

impl Ledger for MemoryStore {
    async fn find(&self, tenant: &str, key: &str) -> Result<Option<LedgerRecord>, StoreError> {
        let tables = self.0.tables.read();
        Ok(tables.open()?.ledger.get(&(tenant.to_owned(), key.to_owned())).map(|row| row.record.clone()))
    }

    async fn forget_before(&self, time: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut tables = self.0.tables.write();
        tables.open()?;
        let before = tables.ledger.len();
        tables.ledger.retain(|_, row| row.recorded_at >= time);
        Ok((before - tables.ledger.len()) as u64)
    }
}

impl SnapshotStore for MemoryStore {
    async fn snapshot(&self, stream: &StreamId, fingerprint: u64) -> Result<Option<(Version, Bytes)>, StoreError> {
        let tables = self.0.tables.read();
        let row = tables.open()?.snapshots.get(stream).filter(|row| row.fingerprint == fingerprint);
        Ok(row.map(|row| (row.version, row.state.clone())))
    }
}

impl IdentityMap for MemoryStore {
    async fn identity(&self, external: &ExternalId) -> Result<Option<String>, StoreError> {
        Ok(self.0.tables.read().open()?.identities.get(external).cloned())
    }

    async fn identify(&self, external: &ExternalId, candidate: &str) -> Result<String, StoreError> {
        let mut tables = self.0.tables.write();
        tables.open()?;
        Ok(tables.identities.entry(external.clone()).or_insert_with(|| candidate.to_owned()).clone())
    }
}
