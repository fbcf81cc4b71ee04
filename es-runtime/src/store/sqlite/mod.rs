//! The store in a SQLite file.
//!
//! One task writes: it makes groups of the commits in line and stores each group with one flush of the disk. Readers have
//! connections of their own and never wait for it. Several processes may use one file; its lock takes turns.
//!
//! | file | what it holds |
//! |---|---|
//! | `options`, `open` | how a store is opened; connections, migrations |
//! | `writer`, `group`, `outcome` | the one task that writes; one group through one transaction; what became of it |
//! | `plan` | what becomes of each commit of a group, decided without the database |
//! | `cache`, `lookup` | what a group is decided on: from memory on trust, or read under the write lock |
//! | `append` | the statements of a group |
//! | `readers`, `lend`, `read`, `pages`, `page` | connections for reading; the log, many events in one row |
//! | `ledger`, `identity`, `snapshot` | the smaller tables |
//! | `claims` | rules of claims, and keys that are built from the log |
//! | `rows`, `select`, `value`, `table`, `decimal` | read models: their tables, rows in and out |
//! | `registry`, `checkpoints`, `letters`, `leases` | projections and those who follow the log |
//! | `sync`, `pending`, `sync_connected` | projections in the commits' own transaction |
//! | `batch`, `fold`, `connected`, `job`, `script` | what followers write; everything else that is written; many statements in one message |
//! | `error` | the database's errors in the store's words |

mod append;
mod batch;
mod checkpoints;
mod claims;
mod connected;
mod decimal;
mod error;
mod fold;
mod group;
mod identity;
mod job;
mod leases;
mod ledger;
mod lend;
mod letters;
mod lookup;
mod open;
mod options;
mod outcome;
mod page;
mod pages;
mod pending;
mod read;
mod readers;
mod registry;
mod rows;
mod script;
mod select;
mod snapshot;
mod sync;
mod sync_connected;
mod table;
mod value;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use quick_cache::sync::Cache;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    AppendError, CommitTicket, EventStore, ExternalId, History, IdentityMap, Ledger, LedgerRecord, NewCommit,
    SnapshotStore, StoreError, StoredEvent,
};
use crate::event::{AnyEvent, GlobalPosition, Recorded, StreamId, Version};
use crate::store::group::answer::Pending;
use error::{DbError, store_error};
use open::Place;
use readers::{Reader, Readers};
use writer::{Forget, Identify, Work, Writer};

pub use lend::ReadConnection;
pub use options::{Durability, SqliteOptions};

/// How often a follower looks for events of other processes.
const POLL: Duration = Duration::from_millis(50);

/// The store in a SQLite file, or in memory for tests. Cloning gives another handle to the same store.
///
/// # Guarantees
///
/// A commit is acknowledged once it is on the disk (WAL with `synchronous = FULL`; see [`Durability`] for less). Concurrent
/// commits share a flush, each with its own fate. Several processes may open one file.
///
/// The last handle that is dropped ends the store: what was submitted is still stored, then the file is freed. To wait for that,
/// [`close`](EventStore::close) it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use es_runtime::event::GlobalPosition;
/// use es_runtime::store::{EventStore, SqliteStore};
///
/// let store = SqliteStore::in_memory().await?;
/// assert_eq!(store.head().await?, GlobalPosition::START);
/// store.close().await;
/// # Ok::<_, es_runtime::store::StoreError>(()) })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SqliteStore {
    queue: mpsc::Sender<Work>,
    shared: Arc<Shared>,
}

struct Shared {
    place: Place,
    readers: Readers,
    head: Arc<watch::Sender<GlobalPosition>>,
    stream_names: Cache<i64, StreamId>,
    poll: Option<Duration>,
    /// What shows others that the processes of this store live.
    locks: leases::Locks,
    /// Changes no more once the writer has ended and its connection is closed.
    writing: watch::Receiver<()>,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.shared.place.path)
            .field("closed", &self.queue.is_closed())
            .finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens a database file with the default options; creates it where there is none.
    ///
    /// # Errors
    ///
    /// As [`SqliteOptions::open`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime: the store's writer is a task.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::options().open(path).await
    }

    /// Opens a database in memory. It ends with its last handle.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] where there is no memory for it.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime: the store's writer is a task.
    pub async fn in_memory() -> Result<Self, StoreError> {
        Self::options().open_in_memory().await
    }

    /// Begins to open a store with other options than the default ones.
    #[must_use]
    pub fn options() -> SqliteOptions {
        SqliteOptions::default()
    }

    async fn start(options: SqliteOptions, path: Option<&Path>) -> Result<Self, StoreError> {
        let mut place = Place::new(path, &options);
        let mut connection = place.open().await?;
        place.remember_file();
        let head = position_of_head(&mut connection)
            .await
            .map_err(|error| store_error(error, "reading its head", place.busy_timeout))?;
        let head = Arc::new(watch::Sender::new(head));
        let connection = Arc::new(tokio::sync::Mutex::new(Some(connection)));
        let readers = if place.is_in_memory() {
            Readers::Memory(Arc::clone(&connection))
        } else {
            Readers::of_file(place.clone(), options.readers)
        };
        let poll = (!place.is_in_memory() && !options.sole_owner).then_some(POLL);
        let (ended, writing) = watch::channel(());
        let shared = Shared {
            readers,
            head: Arc::clone(&head),
            stream_names: Cache::new(options.cached_streams),
            place: place.clone(),
            poll,
            locks: leases::Locks::default(),
            writing,
        };
        let (queue, work) = mpsc::channel(options.queue);
        // The writer: one task for everything that writes, so that groups form and nobody waits for SQLite's lock. It holds no
        // handle to the store, so it ends when the last one is dropped.
        let writer = Writer::new(place, &options, connection, head, work);
        tokio::spawn(async move {
            writer.run().await;
            drop(ended);
        });
        Ok(Self { queue, shared: Arc::new(shared) })
    }

    async fn reader(&self) -> Result<Reader, StoreError> {
        if self.queue.is_closed() {
            return Err(StoreError::Closed);
        }
        if self.shared.place.history.is_over() {
            return Err(self.shared.place.replaced());
        }
        self.shared.readers.lend().await
    }

    fn busy_timeout(&self) -> Duration {
        self.shared.place.busy_timeout
    }

    fn stream_names(&self) -> &Cache<i64, StreamId> {
        &self.shared.stream_names
    }

    /// Gives a reader back after use, or throws it away if the database failed.
    fn done<T>(&self, reader: Reader, result: Result<T, sqlx::Error>, doing: &str) -> Result<T, StoreError> {
        result.map_err(|error| {
            reader.discard();
            store_error(error, doing, self.busy_timeout())
        })
    }

    /// As [`done`](Self::done), for reads that look closer at what they read.
    fn answer<T>(&self, reader: Reader, result: Result<T, DbError>, doing: &str) -> Result<T, StoreError> {
        result.map_err(|error| {
            reader.discard();
            error.explain(doing, self.busy_timeout())
        })
    }

    /// Hands something to the writer and waits for its answer.
    async fn ask<T>(&self, work: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Work) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue.send(work(answer)).await.map_err(|_| StoreError::Closed)?;
        answered.await.unwrap_or_else(|_| Err(error::disconnected()))
    }
}

impl EventStore for SqliteStore {
    async fn submit(&self, commit: NewCommit) -> CommitTicket {
        // Waiting for a place and taking it are two steps: dropped in the first, the commit is still here.
        let Ok(place) = self.queue.reserve().await else {
            commit.chain.break_off();
            return CommitTicket::ready(Err(AppendError::Store(StoreError::Closed)));
        };
        let (ticket, waiting) = CommitTicket::pair();
        place.send(Work::Commit(Pending { commit, ticket }));
        waiting
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.replay(stream, after, limit).await
    }

    async fn read_history(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Recorded<AnyEvent>>, StoreError> {
        self.recorded_stream(stream, after, limit).await
    }

    async fn read_all(&self, after: GlobalPosition, limit: usize) -> Result<Vec<Recorded<AnyEvent>>, StoreError> {
        self.log(after, limit).await
    }

    async fn head(&self) -> Result<GlobalPosition, StoreError> {
        // Followers ask from time to time: they notice soon.
        self.shared.place.check_file()?;
        let mut reader = self.reader().await?;
        let head = position_of_head(reader.connection()?).await;
        self.done(reader, head, "reading the log's head")
    }

    async fn event_count(&self) -> Result<u64, StoreError> {
        // Positions have no gaps and nothing is ever deleted: the last position is the number of events.
        Ok(self.head().await?.get())
    }

    fn watch(&self) -> watch::Receiver<GlobalPosition> {
        self.shared.head.subscribe()
    }

    fn history(&self) -> History {
        self.shared.place.history.clone()
    }

    fn poll_interval(&self) -> Option<Duration> {
        self.shared.poll
    }

    async fn close(&self) {
        self.leave_all().await;
        let (closed, waiting) = oneshot::channel();
        if self.queue.send(Work::Close(closed)).await.is_ok() {
            // The readers first: the last connection moves the write-ahead log into the file, and only a writer can.
            self.shared.readers.close().await;
            let _gone_either_way = waiting.await;
        }
        // Also where somebody else is closing it: everything is in the file when this returns.
        let mut end = self.shared.writing.clone();
        while end.changed().await.is_ok() {}
    }
}

impl Ledger for SqliteStore {
    async fn find(&self, tenant: &str, key: &str) -> Result<Option<LedgerRecord>, StoreError> {
        let mut reader = self.reader().await?;
        let row = ledger::find(reader.connection()?, tenant, key).await;
        self.done(reader, row, "reading the ledger")?.as_ref().map(ledger::record_of_row).transpose()
    }

    async fn forget_before(&self, time: DateTime<Utc>) -> Result<u64, StoreError> {
        self.ask(|answer| Work::Forget(Forget { before: time, forgotten: 0, answer })).await
    }
}

impl SnapshotStore for SqliteStore {
    async fn snapshot(&self, stream: &StreamId, fingerprint: u64) -> Result<Option<(Version, Bytes)>, StoreError> {
        let mut reader = self.reader().await?;
        let found = snapshot::find(reader.connection()?, stream, fingerprint).await;
        let found = self.done(reader, found, "reading a snapshot")?;
        found
            .map(|(version, state)| {
                let version = u64::try_from(version).map_err(|_| {
                    error::damaged(
                        format!("table snapshots, stream `{stream}`"),
                        format!("the version {version} is negative"),
                    )
                })?;
                Ok((Version::new(version), state.into()))
            })
            .transpose()
    }
}

impl IdentityMap for SqliteStore {
    async fn identity(&self, external: &ExternalId) -> Result<Option<String>, StoreError> {
        let mut reader = self.reader().await?;
        let found = identity::find(reader.connection()?, external).await;
        self.done(reader, found, "reading an identity")
    }

    async fn identify(&self, external: &ExternalId, candidate: &str) -> Result<String, StoreError> {
        // Most ids are known: a read is cheaper than a place in the writer's line.
        if let Some(key) = self.identity(external).await? {
            return Ok(key);
        }
        let (external, candidate) = (external.clone(), candidate.to_owned());
        self.ask(|answer| Work::Identify(Identify { external, candidate, answer })).await
    }
}

async fn position_of_head(connection: &mut sqlx::SqliteConnection) -> Result<GlobalPosition, sqlx::Error> {
    let position: i64 =
        sqlx::query_scalar("SELECT coalesce(max(position), 0) FROM event_log").fetch_one(connection).await?;
    Ok(GlobalPosition::new(position.cast_unsigned()))
}

#[cfg(test)]
mod tests;
