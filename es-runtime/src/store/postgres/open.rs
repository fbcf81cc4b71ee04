//! Opening connections, and bringing the tables up to date.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::pool::PoolConnectionMetadata;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, SqlSafeStr as _};
use tokio::time::Instant;

use super::error::{Fault, damaged, fault, store_error, unreachable};
use super::history::Histories;
use super::options::PostgresOptions;
use super::outcome::Session;
use super::silence::Patience;
use super::writer::Line;
use crate::projection::BoxFuture;
use crate::store::StoreError;

/// The schema's tables, oldest first. What is published here is never changed.
const MIGRATIONS: [(i64, &str, &str); 8] = [
    (1, "event log", include_str!("../../../migrations/postgres/0001_event_log.sql")),
    (2, "read side", include_str!("../../../migrations/postgres/0002_read_side.sql")),
    (3, "claim rules", include_str!("../../../migrations/postgres/0003_claim_rules.sql")),
    (4, "renamed projections", include_str!("../../../migrations/postgres/0004_renamed_projections.sql")),
    (5, "reserved positions", include_str!("../../../migrations/postgres/0005_reserved_positions.sql")),
    (6, "following", include_str!("../../../migrations/postgres/0006_following.sql")),
    (7, "history", include_str!("../../../migrations/postgres/0007_history.sql")),
    (8, "fewer calls", include_str!("../../../migrations/postgres/0008_fewer_calls.sql")),
];

/// The oldest server that the store runs on, as the server counts.
const OLDEST_SERVER: u32 = 140_000;

/// How long an append waits for another transaction that holds what it needs, a version of the same stream for one.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// How the server plans what the writer asks, which is never more than some rows by their keys. A plan is kept for as long as the tables' statistics are,
/// so one that was made for a table of one page would read the whole of it long afterwards. What has no index would seem worth compiling then.
pub(super) const PLAN_BY_INDEX: &str = "SET enable_seqscan = off; SET jit = off";

/// Lets the server plan as it is set up to.
pub(super) const PLAN_FREELY: &str = "RESET enable_seqscan; RESET jit";

/// The second halves of the keys of advisory locks. Those of projections are none of these.
pub(super) mod locks {
    /// Shared by appends; whoever waits for its holders knows that nothing comes any more behind their positions.
    pub(crate) const APPEND: i32 = 0;
    /// For leases and for the list of projections: one process at a time.
    pub(crate) const REGISTRY: i32 = 1;
    /// For migrations.
    pub(crate) const MIGRATIONS: i32 = 2;
}

/// Where a store lives, and how its connections are made.
#[derive(Clone, Debug)]
pub(super) struct Place {
    options: PgConnectOptions,
    pub(super) schema: String,
    /// The schema of the read models, if it is another one.
    read_models: Option<String>,
    pub(super) connect_timeout: Duration,
    pub(super) patience: Patience,
    pub(super) histories: Histories,
    connections: u32,
}

/// Where tables and views of read models are made: in the store's schema, or in one of their own.
#[derive(Clone, Debug)]
pub(super) struct ReadModels {
    store: String,
    own: Option<String>,
}

impl ReadModels {
    /// Returns the schemas in which their names have to be free.
    pub(super) fn schemas(&self) -> Vec<String> {
        [&self.store].into_iter().chain(&self.own).cloned().collect()
    }

    /// Returns a statement that makes something, so that it is made in their schema.
    pub(super) fn making(&self, sql: &str) -> String {
        let [before, after] = self.paths();
        format!("{before}{sql};{after}")
    }

    /// Returns what is run before and after something is made. Nothing, if they share the store's schema.
    pub(super) fn paths(&self) -> [String; 2] {
        let Some(own) = &self.own else { return Default::default() };
        let store = &self.store;
        [
            format!("SET LOCAL search_path = {}; ", search_path(own, Some(store))),
            format!(" SET LOCAL search_path = {}", search_path(store, Some(own))),
        ]
    }
}

impl Place {
    pub(super) fn new(connection: PgConnectOptions, options: &PostgresOptions) -> Result<Self, StoreError> {
        let fits = |schema: &str| {
            let mut bytes = schema.bytes();
            bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
                && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
                && schema.len() <= 40
                && !schema.starts_with("pg_")
        };
        let read_models = options.read_model_schema.as_ref().filter(|schema| **schema != options.schema).cloned();
        if let Some(schema) = [&options.schema].into_iter().chain(&read_models).find(|schema| !fits(schema)) {
            let reason = format!(
                "`{schema}` cannot be the schema's name: it takes up to 40 lower-case letters, digits and `_`, does not begin with a digit or `pg_`",
            );
            return Err(StoreError::Unavailable { reason, source: None });
        }
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(i32::MAX as u64).min(i32::MAX as u64);
        let connection =
            if connection.get_application_name().is_none() { connection.application_name("es") } else { connection };
        let settings = [
            ("search_path", search_path(&options.schema, read_models.as_deref())),
            ("synchronous_commit", options.durability.setting().to_owned()),
            ("statement_timeout", millis(options.statement_timeout).to_string()),
            ("idle_in_transaction_session_timeout", millis(options.idle_in_transaction_timeout).to_string()),
            ("default_transaction_isolation", "read committed".to_owned()),
            ("client_min_messages", "error".to_owned()),
        ];
        Ok(Self {
            options: connection.options(settings).disable_statement_logging(),
            schema: options.schema.clone(),
            read_models,
            connect_timeout: options.connect_timeout,
            patience: Patience::new(options.statement_timeout),
            histories: Histories::new(),
            connections: options.connections,
        })
    }

    /// Returns where tables and views of read models are made.
    pub(super) fn read_models(&self) -> ReadModels {
        ReadModels { store: self.schema.clone(), own: self.read_models.clone() }
    }

    /// Names the channel that new events are told on.
    pub(super) fn channel(&self) -> String {
        format!("es_{}", self.schema)
    }

    /// Makes the pool of those who read, project and lease. It connects when it is needed.
    pub(super) fn pool(&self) -> PgPool {
        // One more listens.
        self.pool_of(self.connections + 1).before_acquire(self.trusting()).connect_lazy_with(self.options.clone())
    }

    fn pool_of(&self, connections: u32) -> PgPoolOptions {
        let histories = self.histories.clone();
        PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(self.connect_timeout)
            // A connection that is gone shows at its first use, and what was asked is asked again: see `pool.rs`.
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let histories = histories.clone();
                Box::pin(async move {
                    is_primary(connection).await?;
                    histories.meet(connection).await.map(drop)
                })
            })
    }

    /// Leaves out connections that most likely lead nowhere, or to a server that was replaced.
    fn trusting(
        &self,
    ) -> impl Fn(&mut PgConnection, PoolConnectionMetadata) -> BoxFuture<'_, Result<bool, sqlx::Error>> + Send + Sync + 'static
    {
        let (patience, histories) = (self.patience.clone(), self.histories.clone());
        move |_, connection| {
            let trusts = patience.trusts(connection.age) && histories.is_of_now(connection.age);
            Box::pin(async move { Ok(trusts) })
        }
    }

    /// Makes the pool for functions of the user's. It connects when it is needed.
    pub(super) fn functions(&self) -> PgPool {
        super::lend::pool(self.pool_of(self.connections), self.options.clone(), self.histories.clone())
    }

    /// Connects for appending: whoever is in the way is waited for, for a while.
    pub(super) async fn connect_writer(&self, lock_timeout: Duration) -> Result<Line, StoreError> {
        let options = self.options.clone().options([("lock_timeout", lock_timeout.as_millis())]);
        self.connect(&options, Some(&self.histories)).await
    }

    /// Sets how long the writer's connection waits for others, and how the server plans for it.
    pub(super) async fn limit_waiting(
        &self,
        connection: &mut PgConnection,
        lock_timeout: Duration,
    ) -> Result<(), StoreError> {
        let limit = format!("SET lock_timeout = {}; {PLAN_BY_INDEX}", lock_timeout.as_millis());
        let set = self.patience.answered(connection.execute(AssertSqlSafe(limit))).await;
        set.map(drop).map_err(|error| store_error(error, "connecting"))
    }

    /// Connects, and tries again for a while where the server is not there or not ready, or ends the session before it is of use.
    async fn connect(&self, options: &PgConnectOptions, histories: Option<&Histories>) -> Result<Line, StoreError> {
        let until = Instant::now() + self.connect_timeout;
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(10))
            .with_max_delay(Duration::from_millis(500))
            .without_max_times()
            .with_jitter();
        let mut pauses = pauses.build();
        let mut last = String::from("the server did not answer");
        loop {
            let connected = tokio::time::timeout_at(until, connect_once(options, histories)).await;
            match connected {
                Ok(Ok(line)) => return Ok(line),
                Ok(Err(error)) if is_of_a_pooler(&error) => return Err(pooled(&error.to_string())),
                Ok(Err(error)) if is_temporary(&error) => last = error.to_string(),
                Ok(Err(error)) => return Err(store_error(error, "connecting")),
                Err(_) => return Err(unreachable(self.connect_timeout, &last)),
            }
            let pause = pauses.next().unwrap_or(Duration::from_millis(500));
            if Instant::now() + pause >= until {
                return Err(unreachable(self.connect_timeout, &last));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Opens the database for the first time: connects, looks whether the server is fit, updates the tables.
    pub(super) async fn open(&self, migrate: bool) -> Result<Line, StoreError> {
        // Whoever migrates may be the owner: the schema of the read models, where others may make functions, is none of its business.
        let path = search_path(&self.schema, None);
        let Line { mut connection, session, .. } =
            self.connect(&self.options.clone().options([("search_path", path)]), None).await?;
        let unfit = |reason: String| StoreError::Unavailable { reason, source: None };
        let path: String = sqlx::query_scalar("SELECT current_setting('search_path')")
            .fetch_one(&mut connection)
            .await
            .map_err(|error| store_error(error, "reading its settings"))?;
        if !path.starts_with(&self.schema) {
            return Err(pooled("the settings of the connection did not reach the server"));
        }
        if connection.server_version_num().is_some_and(|version| version < OLDEST_SERVER) {
            return Err(unfit("the server is older than PostgreSQL 14".to_owned()));
        }
        let encoding: String = sqlx::query_scalar("SELECT current_setting('server_encoding')")
            .fetch_one(&mut connection)
            .await
            .map_err(|error| store_error(error, "reading its encoding"))?;
        if encoding != "UTF8" {
            return Err(unfit(format!("the database is in {encoding}, not in UTF-8")));
        }
        self.migrate(&mut connection, migrate).await?;
        let met = self.histories.meet(&mut connection).await;
        let era = met.map_err(|error| store_error(error, "reading its history"))?;
        self.look_at_rights(&mut connection).await.map_err(|error| store_error(error, "reading its rights"))?;
        if let Some(read_models) = &self.read_models {
            self.find(&mut connection, read_models, migrate).await?;
        }
        Ok(Line { connection, session, era: Some(era) })
    }

    /// Warns if this role could have its own code run by the owner.
    async fn look_at_rights(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let may_create: Option<bool> = sqlx::query_scalar(
            "SELECT has_schema_privilege(n.oid, 'CREATE') AND NOT pg_has_role(n.nspowner, 'USAGE') \
             FROM pg_namespace AS n WHERE n.nspname::text = $1",
        )
        .bind(&self.schema)
        .fetch_optional(connection)
        .await?;
        if may_create == Some(true) {
            tracing::warn!(
                schema = self.schema,
                "this role may create objects in the schema of the functions that run with the owner's rights: \
                 give its read models a schema of their own (`read_model_schema`), and revoke CREATE on this one"
            );
        }
        Ok(())
    }

    /// Finds the schema of the read models, or makes it.
    async fn find(&self, connection: &mut PgConnection, read_models: &str, may_make: bool) -> Result<(), StoreError> {
        let found =
            sqlx::query_scalar("SELECT to_regnamespace($1) IS NOT NULL").bind(read_models).fetch_one(&mut *connection);
        let is_there: bool =
            found.await.map_err(|error| store_error(error, "looking for the schema of the read models"))?;
        if !is_there && !may_make {
            let reason = format!("there is no schema `{read_models}` for the read models: create it first");
            return Err(StoreError::Unavailable { reason, source: None });
        }
        let path = search_path(&self.schema, Some(read_models));
        let mut sql = format!("SET search_path = {path}");
        if !is_there {
            sql.insert_str(0, &format!("CREATE SCHEMA IF NOT EXISTS {read_models}; "));
        }
        let made = connection.execute(AssertSqlSafe(sql)).await;
        made.map(drop).map_err(|error| store_error(error, "making the schema of the read models"))
    }

    async fn migrate(&self, connection: &mut PgConnection, may: bool) -> Result<(), StoreError> {
        let wrong = |error| store_error(error, "reading its schema version");
        let migrator = migrator();
        // A look without a lock first, so that opening an up-to-date schema needs no rights.
        let known: Vec<_> = migrator.iter().map(|known| (known.version, known.checksum.to_vec())).collect();
        let found = applied(connection, &self.schema).await.map_err(wrong)?;
        if found == known {
            return Ok(());
        }
        if !may {
            let found = found.last().map_or(0, |(version, _)| *version);
            let known = MIGRATIONS.last().map_or(0, |(version, ..)| *version);
            if found > known {
                return Err(StoreError::NewerSchema { found, known });
            }
            let reason =
                format!("schema `{}` is at version {found}, this program needs {known}: migrate it first", self.schema);
            return Err(StoreError::Unavailable { reason, source: None });
        }
        let doing = "bringing its tables up to date";
        let mut transaction = connection.begin().await.map_err(|error| store_error(error, doing))?;
        let prepared = async {
            // Tables are never lost in a crash, whatever may happen to the last commits.
            transaction.execute("SET LOCAL statement_timeout = 0; SET LOCAL synchronous_commit = on").await?;
            // Of several processes one migrates, the others find it done.
            sqlx::query("SELECT pg_advisory_xact_lock(hashtext('es.' || $1), $2)")
                .bind(&self.schema)
                .bind(locks::MIGRATIONS)
                .execute(&mut *transaction)
                .await?;
            let there: bool = sqlx::query_scalar("SELECT to_regnamespace($1) IS NOT NULL")
                .bind(&self.schema)
                .fetch_one(&mut *transaction)
                .await?;
            if !there {
                transaction.execute(AssertSqlSafe(format!("CREATE SCHEMA {}", self.schema))).await?;
            }
            // Functions that append run with the owner's rights, and keep this path: nothing that others put into `public` stands in for
            // what they call.
            let path = format!("SET LOCAL search_path = {}, pg_temp", self.schema);
            transaction.execute(AssertSqlSafe(path)).await?;
            Ok(())
        };
        prepared.await.map_err(|error| store_error(error, doing))?;
        // Not `run`: the future of that one cannot be shown to be `Send`.
        if let Err(error) = migrator.run_direct(None, &mut *transaction, false).await {
            // The transaction is in error: it shows nothing any more.
            let _ = transaction.rollback().await;
            let applied = applied(connection, &self.schema).await.unwrap_or_default();
            return Err(migrate_error(error, &applied));
        }
        transaction.commit().await.map_err(|error| store_error(error, "storing its migrations"))
    }
}

/// Returns where a connection looks for names: in the store's schema first, so that a table of the user's stands in for none of ours.
/// Temporary tables come last for the same reason. What is made is made in the first schema.
fn search_path(first: &str, second: Option<&str>) -> String {
    let second = second.map(|schema| format!("{schema},")).unwrap_or_default();
    format!("{first},{second}public,pg_temp")
}

/// Connects. Before the first migration, there is nothing to ask for the history.
async fn connect_once(options: &PgConnectOptions, histories: Option<&Histories>) -> Result<Line, sqlx::Error> {
    let mut connection = options.connect().await?;
    is_primary(&mut connection).await?;
    let era = match histories {
        Some(histories) => {
            connection.execute(PLAN_BY_INDEX).await?;
            Some(histories.meet(&mut connection).await?)
        }
        None => None,
    };
    let session = Session::of(&mut connection).await?;
    Ok(Line { connection, session, era })
}

/// Refuses a standby. Nothing can be written there, and nobody sees there which positions are still to be filled: a reader would skip events.
async fn is_primary(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    if sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(connection).await? {
        return Err(sqlx::Error::Protocol("the server is a standby; the store needs the primary".to_owned()));
    }
    Ok(())
}

/// Tells whether a pooler in front of the server refuses the settings that each connection brings. `PgBouncer` says so in these words.
fn is_of_a_pooler(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.message().starts_with("unsupported startup parameter"))
}

/// Makes the error of a store behind a pooler. Its connections have settings of their own, listen, and hold prepared statements.
fn pooled(reason: &str) -> StoreError {
    let reason = format!("a pooler stands in front of the server ({reason}): connect to the server itself");
    StoreError::Unavailable { reason, source: None }
}

/// Tells whether a connection may come about a moment later.
pub(super) fn is_temporary(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => {
            !matches!(error.kind(), std::io::ErrorKind::InvalidInput | std::io::ErrorKind::Unsupported)
        }
        // Starting up, shutting down, or too many connections for now.
        sqlx::Error::Database(database) => {
            fault(error) == Fault::Lost || database.code().is_some_and(|code| code == "53300")
        }
        sqlx::Error::Protocol(_) => true,
        _ => false,
    }
}

fn migrate_error(error: MigrateError, applied: &[(i64, Vec<u8>)]) -> StoreError {
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
            store_error(error, "bringing its tables up to date")
        }
        other => StoreError::Unavailable {
            reason: "bringing the tables up to date".to_owned(),
            source: Some(std::sync::Arc::new(other)),
        },
    }
}

/// The name of the table that remembers which migrations ran. Its own, so that a program may run migrations of its own.
const MIGRATIONS_TABLE: &str = "_es_migrations";

fn migrator() -> Migrator {
    let migrations = MIGRATIONS.map(|(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.into());
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    migrator.set_locking(false);
    migrator
}

/// Gives version and checksum of the migrations that ran, oldest first.
async fn applied(connection: &mut PgConnection, schema: &str) -> Result<Vec<(i64, Vec<u8>)>, sqlx::Error> {
    // Of this schema alone: another store's table may stand in `public`.
    let there: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM pg_tables WHERE tablename::text = $1 AND schemaname::text = $2)",
    )
    .bind(MIGRATIONS_TABLE)
    .bind(schema)
    .fetch_one(&mut *connection)
    .await?;
    if !there {
        return Ok(Vec::new());
    }
    sqlx::query_as("SELECT version, checksum FROM _es_migrations WHERE success ORDER BY version")
        .fetch_all(connection)
        .await
}
