//! How a PostgreSQL store is opened.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;

use super::PostgresStore;
use crate::store::StoreError;
use crate::store::group::limits::GroupLimits;

/// What a commit survives once it is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PostgresDurability {
    /// Every commit is flushed to the server's disk before it is acknowledged, and to those of the synchronous replicas where there are any
    /// (`synchronous_commit = on`). The default.
    #[default]
    PowerLoss,
    /// As [`PowerLoss`](Self::PowerLoss), and the synchronous replicas show it to readers, too (`remote_apply`).
    Applied,
    /// A commit is acknowledged before it is flushed (`off`). The death of this process loses nothing; a crash of the server may take the
    /// newest commits, never a part of one.
    ProcessCrash,
}

impl PostgresDurability {
    pub(super) const fn setting(self) -> &'static str {
        match self {
            Self::PowerLoss => "on",
            Self::Applied => "remote_apply",
            Self::ProcessCrash => "off",
        }
    }
}

/// Options of a [`PostgresStore`], from [`PostgresStore::options`].
///
/// ```no_run
/// # async fn open() -> Result<(), es_runtime::store::StoreError> {
/// use std::time::Duration;
///
/// use es_runtime::store::PostgresStore;
///
/// let store = PostgresStore::options()
///     .schema("bank")
///     .connections(16)
///     .statement_timeout(Duration::from_secs(10))
///     .connect("postgres://bank@db.example.org/bank?sslmode=verify-full&sslrootcert=ca.pem")
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    pub(super) schema: String,
    pub(super) read_model_schema: Option<String>,
    pub(super) durability: PostgresDurability,
    pub(super) connections: u32,
    pub(super) connect_timeout: Duration,
    pub(super) statement_timeout: Duration,
    pub(super) idle_in_transaction_timeout: Duration,
    pub(super) group: GroupLimits,
    pub(super) linger: Duration,
    pub(super) queue: usize,
    pub(super) cached_streams: usize,
    pub(super) migrate: bool,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            schema: "es".to_owned(),
            read_model_schema: None,
            durability: PostgresDurability::default(),
            connections: 8,
            connect_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
            idle_in_transaction_timeout: Duration::from_secs(10),
            group: GroupLimits::default(),
            linger: Duration::from_micros(150),
            queue: 4_096,
            cached_streams: 100_000,
            migrate: true,
        }
    }
}

impl PostgresOptions {
    /// Sets the schema that holds the store's tables: letters, digits and `_` of ASCII, in lower case, at most 40. Default: `es`. It is made
    /// where it is not there. Stores in different schemas know nothing of each other.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// Sets the schema of the tables and views of read models. Names as for [`schema`](Self::schema), which is the default. It is made if it is
    /// not there, unless [`migrate`](Self::migrate) is `false`.
    ///
    /// For a role that does not own the store's schema: it may create read models in a schema of its own, and nothing beside the functions
    /// that run with the owner's rights. Changing it later does not move tables; `docs/postgres.md` says how to.
    #[must_use]
    pub fn read_model_schema(mut self, schema: impl Into<String>) -> Self {
        self.read_model_schema = Some(schema.into());
        self
    }

    /// Sets what an acknowledged commit survives. Default: [`PostgresDurability::PowerLoss`].
    #[must_use]
    pub const fn durability(mut self, durability: PostgresDurability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets how many connections read, project and lease at most. Default: 8. One more appends, and one hears of new events; up to as many
    /// again are made for connected projections and for queries that take a connection, where there are any.
    #[must_use]
    pub const fn connections(mut self, connections: u32) -> Self {
        self.connections = if connections < 2 { 2 } else { connections };
        self
    }

    /// Sets how long the store tries to connect before what was asked of it fails, while the server restarts or another takes its place.
    /// Default: 10 s.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long the server works on one statement before it gives it up (`statement_timeout`). Default: 30 s. Migrations, resets and
    /// builds of tables have no limit.
    #[must_use]
    pub const fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout;
        self
    }

    /// Sets how long the server keeps a transaction open of a process that stands still (`idle_in_transaction_session_timeout`). Default:
    /// 10 s. Until then it may hold locks that others wait for.
    #[must_use]
    pub const fn idle_in_transaction_timeout(mut self, timeout: Duration) -> Self {
        self.idle_in_transaction_timeout = timeout;
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

    /// Sets of how many streams the writer keeps number and version in memory. Default: 100,000 (about 20 MB).
    #[must_use]
    pub fn cached_streams(mut self, streams: usize) -> Self {
        self.cached_streams = streams.max(1);
        self
    }

    /// Sets whether the store makes its schema and tables, or brings them up to date. Default: `true`. With `false` it refuses to open
    /// where they are not: for a role that may not make tables.
    #[must_use]
    pub const fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// Connects to a database by its address, `postgres://user:password@host:port/database`, with `?sslmode=…&sslrootcert=…&sslcert=…&sslkey=…`
    /// for TLS. What it does not say is taken from the variables of libpq (`PGHOST`, `PGPASSWORD`, `PGSSLMODE` …).
    ///
    /// # Errors
    ///
    /// [`StoreError::NewerSchema`] where a newer program wrote the tables; [`StoreError::Unavailable`] where the address is none, the server
    /// cannot be reached or is older than PostgreSQL 14, the database is not in UTF-8, the schema's name is not fit, or the role may not do
    /// what is needed.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime: the store's writer is a task.
    pub async fn connect(self, url: &str) -> Result<PostgresStore, StoreError> {
        let options: PgConnectOptions = url.parse().map_err(|error: sqlx::Error| StoreError::Unavailable {
            reason: format!("the address of the database: {error}"),
            source: None,
        })?;
        self.connect_with(options).await
    }

    /// As [`connect`](Self::connect), with sqlx's options for the connection: certificates from memory, a socket, a name of the application.
    ///
    /// # Errors
    ///
    /// # Panics
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_with(self, options: PgConnectOptions) -> Result<PostgresStore, StoreError> {
        PostgresStore::start(self, options).await
    }
}
