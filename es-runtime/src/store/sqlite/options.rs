//! How a SQLite store is opened.

use std::path::Path;
use std::time::Duration;

use super::SqliteStore;
use crate::store::StoreError;
use crate::store::group::limits::GroupLimits;

/// What a commit survives once it is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// Every commit is flushed to the disk before it is acknowledged: it survives a power cut. The default.
    #[default]
    PowerLoss,
    /// Commits are flushed by checkpoints only. An acknowledged commit survives the death of the process; a power cut may
    /// take the newest ones. The file stays consistent, and no commit is ever there in part.
    ProcessCrash,
}

/// Options of a [`SqliteStore`], from [`SqliteStore::options`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use es_runtime::store::SqliteStore;
/// use std::time::Duration;
///
/// let folder = tempfile::tempdir()?;
/// let store = SqliteStore::options().busy_timeout(Duration::from_secs(1)).open(folder.path().join("es.db")).await?;
/// # Ok::<_, Box<dyn std::error::Error>>(()) })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    pub(super) durability: Durability,
    pub(super) busy_timeout: Duration,
    pub(super) readers: usize,
    pub(super) group: GroupLimits,
    pub(super) linger: Duration,
    pub(super) queue: usize,
    pub(super) sole_owner: bool,
    pub(super) cached_streams: usize,
    pub(super) max_file_bytes: Option<u64>,
    pub(super) page_cache_bytes: u64,
    pub(super) memory_map_bytes: u64,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            busy_timeout: Duration::from_secs(5),
            readers: 4,
            group: GroupLimits::default(),
            linger: Duration::from_micros(150),
            queue: 4_096,
            sole_owner: false,
            cached_streams: 100_000,
            max_file_bytes: None,
            page_cache_bytes: 96 << 20,
            memory_map_bytes: 0,
        }
    }
}

impl SqliteOptions {
    /// Sets what an acknowledged commit survives. Default: [`Durability::PowerLoss`].
    #[must_use]
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets how long to wait for another process that holds the file's write lock, at most about 24 days. Default: 5 s.
    /// Beyond it commits fail with [`StoreError::Locked`].
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout.min(Duration::from_millis(i32::MAX as u64));
        self
    }

    /// Sets how many connections read at the same time, at least one. Default: 4. Each costs a thread while it is open.
    #[must_use]
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers.clamp(1, 1_024);
        self
    }

    /// Sets how much may share one durable commit: commits, events, and bytes of bodies. Default: 512, 4,096 and 1 MiB.
    /// A commit that is larger by itself is stored alone.
    #[must_use]
    pub fn group_limits(mut self, commits: usize, events: usize, bytes: usize) -> Self {
        self.group = GroupLimits::new(commits, events, bytes);
        self
    }

    /// Sets how long the writer may wait for as many commits as came last time, at most 150 µs (the default). It never
    /// waits for a lone caller. Zero switches it off.
    #[must_use]
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger.min(Duration::from_micros(150));
        self
    }

    /// Sets how many commits may stand in line; a caller who finds it full waits. Default: 4,096.
    #[must_use]
    pub fn queue_length(mut self, length: usize) -> Self {
        self.queue = length.clamp(1, 1 << 20);
        self
    }

    /// Promises that no other process writes the file. Then commits without events are confirmed from memory, and followers
    /// need not poll. A wrong promise makes stale decisions possible; it never harms the log. Default: `false`.
    #[must_use]
    pub const fn sole_owner(mut self, sole: bool) -> Self {
        self.sole_owner = sole;
        self
    }

    /// Sets of how many streams the writer keeps number and version in memory. Default: 100,000 (about 20 MB).
    #[must_use]
    pub fn cached_streams(mut self, streams: usize) -> Self {
        self.cached_streams = streams.max(1);
        self
    }

    /// Limits the size of the database file. Commits beyond it fail with [`StoreError::Full`]. Default: no limit.
    #[must_use]
    pub const fn max_file_bytes(mut self, bytes: u64) -> Self {
        self.max_file_bytes = Some(bytes);
        self
    }

    /// Sets how many bytes of the file's pages the connections keep in memory altogether: two thirds are the writer's, the
    /// readers share the rest. Default: 96 MiB.
    #[must_use]
    pub const fn page_cache_bytes(mut self, bytes: u64) -> Self {
        self.page_cache_bytes = bytes;
        self
    }

    /// Sets how many bytes of the file each reader maps into memory. Loading scattered streams gets faster; what is mapped
    /// counts as resident memory, once for each reader, although the system can take it back. Default: 0.
    #[must_use]
    pub const fn memory_map_bytes(mut self, bytes: u64) -> Self {
        self.memory_map_bytes = bytes;
        self
    }

    /// Opens the database file, creates it where there is none, and brings its tables up to date.
    ///
    /// # Errors
    ///
    /// [`StoreError::NewerSchema`] where a newer program wrote the file, [`StoreError::Damaged`] where it is no database,
    /// [`StoreError::Locked`], [`StoreError::ReadOnly`] and [`StoreError::Full`] where its tables cannot be brought up to
    /// date, [`StoreError::Unavailable`] where it cannot be opened.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime: the store's writer is a task.
    pub async fn open(self, path: impl AsRef<Path>) -> Result<SqliteStore, StoreError> {
        SqliteStore::start(self, Some(path.as_ref())).await
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
    pub async fn open_in_memory(self) -> Result<SqliteStore, StoreError> {
        SqliteStore::start(self, None).await
    }
}
