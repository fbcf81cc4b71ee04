//! The store in a PostgreSQL database, for any number of processes.
//!
//! One task of each process writes: it makes groups of the commits in line and stores each group with one call of a function, one round
//! trip and one flush. Several processes append side by side; unique constraints decide. Readers wait at gaps in the positions until those
//! who may still fill them are done, so none of them skips an event.
//!
//! | file | what it holds |
//! |---|---|
//! | `options`, `open`, `pool`, `again` | how a store is opened; connections, migrations; reads and transactions on the pool; repeating them |
//! | `writer`, `group`, `outcome` | the one task that appends; one group through one transaction; what became of it where the server does not say |
//! | `aside` | commits that wait for somebody else's open transaction |
//! | `lookup` | what a group is decided on where it is not decided on trust (`store/group`) |
//! | `append` | the call that writes a group |
//! | `silence` | connections on which nothing comes any more |
//! | `history` | whether the server is still the one that this process knows |
//! | `horizon`, `notify` | up to where the log is final; waking readers of other processes |
//! | `read` | the log |
//! | `ledger`, `identity`, `snapshot` | the smaller tables |
//! | `together` | look-ups that share a statement |
//! | `claims` | rules of claims, and keys that are built from the log |
//! | `rows`, `select`, `value`, `table`, `statement` | read models: their tables, rows in and out |
//! | `registry`, `checkpoints`, `letters`, `leases` | projections and those who follow the log |
//! | `sync`, `pending`, `sync_connected` | projections in the commits' own transaction |
//! | `batch`, `fold`, `connected`, `switch`, `lend` | what followers write; connections for functions of the user's |
//! | `text`, `error` | texts without NUL; the database's errors in the store's words |

mod again;
mod append;
mod aside;
mod batch;
mod checkpoints;
mod claims;
mod connected;
mod error;
mod fold;
mod group;
mod history;
mod horizon;
mod identity;
mod leases;
mod ledger;
mod lend;
mod letters;
mod lookup;
mod notify;
mod open;
mod options;
mod outcome;
mod pending;
mod pool;
mod read;
mod registry;
mod rows;
mod select;
mod silence;
mod snapshot;
mod statement;
mod switch;
mod sync;
mod sync_connected;
mod table;
mod text;
mod together;
mod value;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use quick_cache::sync::Cache;
use sqlx::postgres::{PgConnectOptions, PgPool};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use super::{
    AppendError, CommitTicket, EventStore, ExternalId, History, IdentityMap, Ledger, LedgerRecord, NewCommit,
    SnapshotStore, StoreError, StoredEvent,
};
use crate::event::{AnyEvent, GlobalPosition, Recorded, StreamId, Version};
use crate::store::group::answer::Pending;
use aside::Aside;
use error::{damaged, store_error};
use horizon::Horizon;
use open::Place;
use pool::reading;
use together::Together;
use writer::{GROUP_WAITS, Intake, Work, Writer};

pub use lend::ReadConnection;
pub use options::{PostgresDurability, PostgresOptions};

/// How often a follower looks for events of other processes that nobody told it of.
const POLL: Duration = Duration::from_secs(1);

/// How long connections are waited for that are to close.
const CLOSE: Duration = Duration::from_secs(5);

/// The store in a PostgreSQL database (14 or later), in a schema of its own. Cloning gives another handle to the same store.
///
/// # Guarantees
///
/// A commit is acknowledged once it is flushed (see [`PostgresDurability`] for more and for less). Concurrent commits share a flush, each with
/// its own fate. Any number of processes may use one schema, and append side by side. Positions ascend in the order in which commits take them;
/// there may be gaps between them, and no reader passes a gap that can still be filled.
///
/// A connection that breaks while a commit is on its way is made again, and what became of the commit is looked up; a command never takes effect
/// twice. Where even that is not possible, the answer is [`AppendError::Uncertain`].
///
/// The last handle that is dropped ends the store: what was submitted is still stored, then the connections are closed. To wait for that,
/// [`close`](EventStore::close) it.
///
/// ```no_run
/// # async fn open() -> Result<(), es_runtime::store::StoreError> {
/// use es_runtime::event::GlobalPosition;
/// use es_runtime::store::{EventStore, PostgresStore};
///
/// let store = PostgresStore::connect("postgres://bank@localhost/bank").await?;
/// assert_eq!(store.head().await?, GlobalPosition::START);
/// store.close().await;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    queue: mpsc::Sender<Work>,
    shared: Arc<Shared>,
}

struct Shared {
    place: Place,
    pool: PgPool,
    /// The first half of the keys of the schema's advisory locks.
    lock_class: i32,
    horizon: Horizon,
    /// By the number of the history, and that of the stream.
    stream_names: Cache<(u64, i64), StreamId>,
    /// Look-ups in the ledger: by tenant and key.
    ledger: Together<(String, String), ledger::Found>,
    /// Connections for functions of the user's.
    functions: PgPool,
    /// The processes that have leases through this store.
    processes: leases::Processes,
    /// The tasks that end with the last handle.
    tasks: Vec<AbortHandle>,
    /// Changes no more once the writer has ended and its connection is closed.
    writing: watch::Receiver<()>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("schema", &self.shared.place.schema)
            .field("closed", &self.queue.is_closed())
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Connects with the default options. See [`PostgresOptions::connect`] for the form of the address.
    ///
    /// # Errors
    ///
    /// As [`PostgresOptions::connect`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime: the store's writer is a task.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::options().connect(url).await
    }

    /// Begins to open a store with other options than the default ones.
    #[must_use]
    pub fn options() -> PostgresOptions {
        PostgresOptions::default()
    }

    async fn start(options: PostgresOptions, connection: PgConnectOptions) -> Result<Self, StoreError> {
        let place = Place::new(connection, &options)?;
        let mut line = place.open(options.migrate).await?;
        let found = sqlx::query_scalar("SELECT es_lock_class()").fetch_one(&mut line.connection).await;
        let lock_class: i32 = found.map_err(|error| store_error(error, "reading the keys of its locks"))?;
        let pool = place.pool();
        let (stored, news) = watch::channel(GlobalPosition::START);
        let (ended, writing) = watch::channel(());
        let (queue, work) = mpsc::channel(options.queue);
        // The writer: one task for everything that appends, so that groups form. It holds no handle to the store, so it ends when the last
        // one is dropped.
        let writer_of = |lock_timeout| Writer::new(place.clone(), &options, stored.clone(), lock_timeout);
        let mut writer = writer_of(GROUP_WAITS).with_line(line).await?;
        let (aside, task) = Aside::new(writer_of(aside::TRY), options.queue);
        writer.aside = Some(aside);
        let intake = Intake::new(&options, work);
        let ended_too = ended.clone();
        tokio::spawn(async move {
            writer.run(intake).await;
            drop(ended);
        });
        tokio::spawn(async move {
            task.run().await;
            drop(ended_too);
        });
        let (horizon, agent) = Horizon::new(pool.clone(), lock_class, place.histories.clone(), place.patience.clone());
        let tasks = [
            tokio::spawn(agent.run()),
            tokio::spawn(notify::tell(pool.clone(), place.patience.clone(), place.channel(), news)),
            tokio::spawn(notify::listen(pool.clone(), place.channel(), place.histories.clone())),
        ];
        let tasks = tasks.iter().map(tokio::task::JoinHandle::abort_handle).collect();
        let stream_names = Cache::new(options.cached_streams);
        let shared = Shared {
            functions: place.functions(),
            place,
            pool,
            lock_class,
            horizon,
            stream_names,
            ledger: Together::default(),
            processes: leases::Processes::default(),
            tasks,
            writing,
        };
        Ok(Self { queue, shared: Arc::new(shared) })
    }
}

impl EventStore for PostgresStore {
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
        self.number("reading the log's head", notify::HEAD).await.map(GlobalPosition::new)
    }

    async fn event_count(&self) -> Result<u64, StoreError> {
        self.number("counting events", "SELECT count(*) FROM event_log").await
    }

    fn watch(&self) -> watch::Receiver<GlobalPosition> {
        self.shared.place.histories.head.subscribe()
    }

    fn history(&self) -> History {
        self.shared.place.histories.now().history
    }

    fn poll_interval(&self) -> Option<Duration> {
        Some(POLL)
    }

    async fn close(&self) {
        self.leave_all().await;
        let (closed, waiting) = oneshot::channel();
        if self.queue.send(Work::Close(closed)).await.is_ok() {
            let _gone_either_way = waiting.await;
        }
        // Also where somebody else is closing it: everything is stored when this returns.
        let mut end = self.shared.writing.clone();
        while end.changed().await.is_ok() {}
        for task in &self.shared.tasks {
            task.abort();
        }
        let (pool, functions) = (&self.shared.pool, &self.shared.functions);
        let closed = tokio::time::timeout(CLOSE, async { tokio::join!(pool.close(), functions.close()) });
        if closed.await.is_err() {
            tracing::debug!("connections that are in use, or lead nowhere, close later");
        }
    }
}

impl PostgresStore {
    async fn number(&self, doing: &str, sql: &'static str) -> Result<u64, StoreError> {
        let number =
            reading!(self, doing, connection => Ok(sqlx::query_scalar::<_, i64>(sql).fetch_one(connection).await?))?;
        Ok(number.cast_unsigned())
    }

    async fn find_all(&self, keys: Vec<(String, String)>) -> Vec<ledger::Found> {
        let rows = reading!(self, "reading the ledger", connection => Ok(ledger::find(connection, &keys).await?));
        rows.and_then(|rows| ledger::found(&rows, keys.len()))
            .unwrap_or_else(|error| keys.iter().map(|_| Err(error.clone())).collect())
    }
}

impl Ledger for PostgresStore {
    async fn find(&self, tenant: &str, key: &str) -> Result<Option<LedgerRecord>, StoreError> {
        let all = |keys| async move { self.find_all(keys).await };
        self.shared.ledger.ask((tenant.to_owned(), key.to_owned()), all).await
    }

    async fn forget_before(&self, time: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut forgotten = 0;
        loop {
            // Asked again after a connection was lost, it forgets what is left.
            let (some, more) = reading!(self, "forgetting ledger entries", connection => Ok(ledger::forget_some(connection, time).await?))?;
            forgotten += some;
            if !more {
                return Ok(forgotten);
            }
        }
    }
}

impl SnapshotStore for PostgresStore {
    async fn snapshot(&self, stream: &StreamId, fingerprint: u64) -> Result<Option<(Version, Bytes)>, StoreError> {
        let found = reading!(self, "reading a snapshot", connection => Ok(snapshot::find(connection, stream, fingerprint).await?))?;
        found
            .map(|(version, state)| {
                let version = u64::try_from(version).map_err(|_| {
                    damaged(format!("table snapshots, stream `{stream}`"), format!("the version {version} is negative"))
                })?;
                Ok((Version::new(version), state.into()))
            })
            .transpose()
    }
}

impl IdentityMap for PostgresStore {
    async fn identity(&self, external: &ExternalId) -> Result<Option<String>, StoreError> {
        reading!(self, "reading an identity", connection => Ok(identity::find(connection, external).await?))
    }

    async fn identify(&self, external: &ExternalId, candidate: &str) -> Result<String, StoreError> {
        loop {
            if let Some(key) = self.identity(external).await? {
                return Ok(key);
            }
            // What became of it, where the connection broke, shows when it is read.
            reading!(self, "storing an identity", connection => Ok(identity::propose(connection, external, candidate).await?))?;
        }
    }
}

#[cfg(test)]
mod tests;
