//! Opening connections, and bringing the tables up to date.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqlSafeStr as _};
use tokio::time::Instant;

use super::decimal::{self, COLLATION};
use super::error::{Fault, damaged, fault, store_error};
use super::options::{Durability, SqliteOptions};
use crate::store::{History, StoreError};

const PAGE_BYTES: u32 = 4_096;

/// The file's tables, oldest first. What is published here is never changed.
const MIGRATIONS: [(i64, &str, &str); 5] = [
    (1, "event log", include_str!("../../../migrations/sqlite/0001_event_log.sql")),
    (2, "read side", include_str!("../../../migrations/sqlite/0002_read_side.sql")),
    (3, "claim rules", include_str!("../../../migrations/sqlite/0003_claim_rules.sql")),
    (4, "renamed projections", include_str!("../../../migrations/sqlite/0004_renamed_projections.sql")),
    (5, "following", include_str!("../../../migrations/sqlite/0005_following.sql")),
];

/// The name of the table that remembers which migrations ran. Its own, so that a program may run migrations of its own.
const MIGRATIONS_TABLE: &str = "_es_migrations";

/// Where a store lives, and how its connections are made.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) path: Option<PathBuf>,
    durability: Durability,
    pub(super) busy_timeout: Duration,
    max_pages: Option<u32>,
    /// In KiB, for the writer and for each reader.
    writer_cache: u64,
    reader_cache: u64,
    memory_map: u64,
    /// Over once the file is another one than that which was opened.
    pub(super) history: History,
    file: Option<OpenFile>,
}

/// The file that was opened, to be told from one that is put in its place: a restored backup, for one. SQLite goes on with the file that it has
/// opened, which nobody finds any more, and what is stored there is lost. Its own test is the same (`SQLITE_FCNTL_HAS_MOVED`).
#[derive(Clone, Debug)]
struct OpenFile {
    /// Absolute: the process may change its directory.
    path: PathBuf,
    /// The device and the number of the file there.
    identity: (u64, u64),
}

/// Returns the identity of the file at a path; `None` if there is none, or where files have none.
fn identity(path: &Path) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
    }
    // On Windows a file that is open cannot be replaced.
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

impl Place {
    pub(super) fn new(path: Option<&Path>, options: &SqliteOptions) -> Self {
        // SQLite takes a name that begins with `file:` as a URI; a leading `./` makes it a path again.
        let path = path.map(|path| if path.starts_with("file:") { Path::new(".").join(path) } else { path.to_owned() });
        let pages =
            options.max_file_bytes.map(|bytes| u32::try_from(bytes / u64::from(PAGE_BYTES)).unwrap_or(u32::MAX));
        Self {
            path,
            durability: options.durability,
            busy_timeout: options.busy_timeout,
            max_pages: pages.map(|pages| pages.clamp(1, u32::MAX - 1)),
            writer_cache: (options.page_cache_bytes / 3 * 2 / 1_024).max(1),
            reader_cache: (options.page_cache_bytes / 3 / 1_024 / options.readers.max(1) as u64).max(1),
            memory_map: options.memory_map_bytes,
            history: History::new(),
            file: None,
        }
    }

    /// Remembers which file was opened.
    pub(super) fn remember_file(&mut self) {
        let path = self.path.as_deref().and_then(|path| std::path::absolute(path).ok());
        self.file = path.and_then(|path| Some(OpenFile { identity: identity(&path)?, path }));
    }

    /// Looks whether the file is still the one that was opened. If it is not, the history is over.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Replaced`] if it is another one, or was removed.
    pub(super) fn check_file(&self) -> Result<(), StoreError> {
        let is_there = |file: &OpenFile| identity(&file.path) == Some(file.identity);
        if !self.history.is_over() && self.file.as_ref().is_none_or(is_there) {
            return Ok(());
        }
        self.history.end();
        Err(self.replaced())
    }

    pub(super) fn replaced(&self) -> StoreError {
        StoreError::Replaced { path: self.path.clone().unwrap_or_default() }
    }

    pub(super) const fn is_in_memory(&self) -> bool {
        self.path.is_none()
    }

    /// `cache`: in KiB, which SQLite wants as a negative number.
    fn base(&self, cache: u64) -> SqliteConnectOptions {
        let options = match &self.path {
            Some(path) => SqliteConnectOptions::new().filename(path),
            None => SqliteConnectOptions::new().filename(":memory:"),
        };
        options
            .busy_timeout(self.busy_timeout)
            // The log has no foreign keys: its writer assigns the numbers.
            .foreign_keys(false)
            // Decimals are stored as they are written, and sort as the numbers that they are.
            .collation(COLLATION, decimal::compare)
            .pragma("cache_size", format!("-{cache}"))
            .disable_statement_logging()
    }

    /// Connects for writing. `create` makes the file where there is none; a writer that reconnects must not.
    pub(super) async fn connect_writer(&self, create: bool) -> Result<SqliteConnection, sqlx::Error> {
        let mut options = self.base(self.writer_cache).create_if_missing(create).synchronous(match self.durability {
            Durability::PowerLoss => SqliteSynchronous::Full,
            Durability::ProcessCrash => SqliteSynchronous::Normal,
        });
        if !self.is_in_memory() {
            options = options
                .page_size(PAGE_BYTES)
                .journal_mode(SqliteJournalMode::Wal)
                .pragma("wal_autocheckpoint", "4000")
                .pragma("journal_size_limit", "67108864")
                // What a statement with many rows would have to undo is noted in memory, not in a file.
                .pragma("temp_store", "MEMORY");
            if cfg!(target_os = "macos") && self.durability == Durability::PowerLoss {
                // There a plain fsync does not reach the disk.
                options = options.pragma("fullfsync", "1");
            }
        }
        if let Some(pages) = self.max_pages {
            options = options.pragma("max_page_count", pages.to_string());
        }
        options.connect().await
    }

    /// Connects for reading.
    pub(super) async fn connect_reader(&self) -> Result<SqliteConnection, sqlx::Error> {
        self.base(self.reader_cache).read_only(true).pragma("mmap_size", self.memory_map.to_string()).connect().await
    }

    /// Opens the database for the first time: connects, waits out other processes that do the same, updates the tables.
    pub(super) async fn open(&self) -> Result<SqliteConnection, StoreError> {
        let until = Instant::now() + self.busy_timeout;
        let mut connection = loop {
            match self.connect_writer(true).await {
                Ok(connection) => break connection,
                // Switching a new file to WAL does not wait for other connections, so the waiting is done here.
                Err(error) if fault(&error) == Fault::Busy && Instant::now() < until => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => return Err(store_error(error, "opening it", self.busy_timeout)),
            }
        };
        self.migrate(&mut connection).await?;
        Ok(connection)
    }

    async fn migrate(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let wrong = |error| store_error(error, "reading its schema version", self.busy_timeout);
        let migrator = migrator();
        // A look without a lock first, so that opening an up-to-date file writes nothing.
        let known = migrator.iter().map(|known| (known.version, known.checksum.to_vec()));
        if applied(connection).await.map_err(wrong)?.into_iter().eq(known) {
            return Ok(());
        }
        // The write lock is taken before anything is read: of several processes one migrates, the others find it done.
        // sqlx runs each migration in a savepoint inside.
        let mut transaction = connection
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(|error| store_error(error, "locking it for its migrations", self.busy_timeout))?;
        // Not `run`: the future of that one cannot be shown to be `Send`.
        if let Err(error) = migrator.run_direct(None, &mut *transaction, false).await {
            let applied = applied(&mut transaction).await.unwrap_or_default();
            return Err(self.migrate_error(error, &applied));
        }
        transaction.commit().await.map_err(|error| store_error(error, "storing its migrations", self.busy_timeout))
    }

    fn migrate_error(&self, error: MigrateError, applied: &[(i64, Vec<u8>)]) -> StoreError {
        let known = MIGRATIONS.last().map_or(0, |(version, ..)| *version);
        match error {
            MigrateError::VersionMissing(version) => {
                StoreError::NewerSchema { found: applied.last().map_or(version, |(newest, _)| *newest), known }
            }
            MigrateError::VersionMismatch(version) => damaged(
                format!("table {MIGRATIONS_TABLE}, version {version}"),
                "it was applied with another text than this program's",
            ),
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                store_error(error, "bringing its tables up to date", self.busy_timeout)
            }
            other => StoreError::Unavailable {
                reason: "bringing the tables up to date".to_owned(),
                source: Some(std::sync::Arc::new(other)),
            },
        }
    }
}

fn migrator() -> Migrator {
    let migrations = MIGRATIONS.map(|(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.into());
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    migrator
}

/// Gives version and checksum of the migrations that ran, oldest first.
async fn applied(connection: &mut SqliteConnection) -> Result<Vec<(i64, Vec<u8>)>, sqlx::Error> {
    let table: Option<i64> = sqlx::query_scalar("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?")
        .bind(MIGRATIONS_TABLE)
        .fetch_optional(&mut *connection)
        .await?;
    if table.is_none() {
        return Ok(Vec::new());
    }
    sqlx::query_as("SELECT version, checksum FROM _es_migrations WHERE success ORDER BY version")
        .fetch_all(connection)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn synchronous(options: &SqliteOptions) -> (i64, String) {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::new(Some(&folder.path().join("es.db")), options);
        let mut writer = place.connect_writer(true).await.expect("a connection");
        let synchronous = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut writer).await.expect("a number");
        let journal = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut writer).await.expect("a mode");
        writer.close().await.expect("closed");
        (synchronous, journal)
    }

    #[tokio::test]
    async fn every_commit_is_flushed_unless_it_is_asked_otherwise() {
        let flushed = 2;
        assert_eq!(synchronous(&SqliteOptions::default()).await, (flushed, "wal".to_owned()));
        let lower = SqliteOptions::default().durability(Durability::ProcessCrash);
        assert_eq!(synchronous(&lower).await, (1, "wal".to_owned()));
    }
}
