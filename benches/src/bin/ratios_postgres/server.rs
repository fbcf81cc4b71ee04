//! The server, and new schemas in it.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use es_benches::Result;
use es_benches::ratios::flush::Shim;
use es_runtime::store::postgres::PostgresOptions;
use es_runtime::store::{EventStore as _, PostgresStore};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use xtask::{Cluster, Extra};

/// Beyond what xtask says: `fsync`, `synchronous_commit` and `full_page_writes` are on. Checkpoints come seldom, so that none falls into one
/// variant's turn.
const SETTINGS: &str =
    "shared_buffers = 1GB\nmax_wal_size = 16GB\ncheckpoint_timeout = 30min\nlog_line_prefix = '%a: '\n";

/// For a look at what the server does.
const STATEMENTS: &str = "shared_preload_libraries = 'pg_stat_statements'\npg_stat_statements.track = 'all'\n\
    pg_stat_statements.track_planning = on\n";

/// Those of all schemas together, by what planning and execution took. A statement's time has that of those inside of it.
const COSTLIEST: &str = "SELECT round(sum(total_exec_time + total_plan_time))::bigint, sum(calls)::bigint, \
    (1000 * sum(total_exec_time) / greatest(sum(calls), 1))::float8, (1000 * sum(total_plan_time) / greatest(sum(calls), 1))::float8, sum(rows)::bigint, left(regexp_replace(query, '\\s+', ' ', 'g'), 150) \
    FROM pg_stat_statements GROUP BY 6 ORDER BY 1 DESC LIMIT 25";

/// What `describe` prints.
const SHOWN: [&str; 5] = ["fsync", "synchronous_commit", "wal_sync_method", "shared_buffers", "max_connections"];

/// A server that goes away with this.
pub(crate) struct Server {
    cluster: Cluster,
    version: String,
    schemas: AtomicU64,
}

impl Server {
    pub(crate) async fn start(shim: Option<&Shim>, statements: bool) -> Result<Arc<Self>> {
        let binaries = xtask::binaries().ok_or(xtask::MISSING)?;
        let environment = shim.map(Shim::environment).unwrap_or_default();
        let settings = if statements { format!("{SETTINGS}{STATEMENTS}") } else { SETTINGS.to_owned() };
        let cluster = Cluster::start_with(&binaries, &Extra { settings, environment, parent: None })?;
        let server = Self { cluster, version: binaries.version, schemas: AtomicU64::new(0) };
        if let Some(shim) = shim {
            server.sees(shim).await?;
        }
        Ok(Arc::new(server))
    }

    /// Makes sure that the server flushes as it is told.
    async fn sees(&self, shim: &Shim) -> Result<()> {
        let mut connection = self.connect("public").await?;
        let before = shim.count()?;
        connection.execute("CREATE TABLE flushed (); DROP TABLE flushed").await?;
        if shim.count()? == before {
            return Err("the fixed flush is not in place: nothing was counted".into());
        }
        Ok(())
    }

    /// Gives the number of its first process.
    pub(crate) fn process(&self) -> Result<u32> {
        Ok(self.cluster.process()?)
    }

    pub(crate) fn url(&self) -> &str {
        self.cluster.url()
    }

    /// Where it writes what it says.
    pub(crate) fn log(&self) -> PathBuf {
        self.cluster.folder().join("log")
    }

    /// Says what it is.
    pub(crate) async fn describe(&self) -> Result<String> {
        let mut connection = self.connect("public").await?;
        let mut settings = Vec::new();
        for name in SHOWN {
            let value: String =
                sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(&mut connection).await?;
            settings.push(format!("{name} = {value}"));
        }
        let processors = std::thread::available_parallelism()?;
        Ok(format!("{}; {}. {processors} processors.", self.version, settings.join(", ")))
    }

    /// Begins to count statements.
    pub(crate) async fn forget_statements(&self) -> Result<()> {
        let mut connection = self.connect("public").await?;
        connection.execute("CREATE EXTENSION pg_stat_statements; SELECT pg_stat_statements_reset()").await?;
        Ok(())
    }

    /// Says which statements took most of the time, those inside of functions too.
    pub(crate) async fn statements(&self) -> Result<String> {
        let mut connection = self.connect("public").await?;
        let rows: Vec<(i64, i64, f64, f64, i64, String)> = sqlx::query_as(COSTLIEST).fetch_all(&mut connection).await?;
        let mut text =
            "\n| ms | calls | µs a call | and to plan | rows | statement |\n|---|---|---|---|---|---|\n".to_owned();
        for (total, calls, each, plan, rows, query) in rows {
            writeln!(text, "| {total} | {calls} | {each:.0} | {plan:.0} | {rows} | `{query}` |")?;
        }
        Ok(text)
    }

    /// Names a schema that is not there yet.
    pub(crate) fn fresh(self: &Arc<Self>) -> Schema {
        let number = self.schemas.fetch_add(1, Ordering::Relaxed);
        Schema { server: Arc::clone(self), name: format!("bench_{number}") }
    }

    /// Connects, with a schema in front.
    pub(crate) async fn connect(&self, schema: &str) -> Result<PgConnection> {
        Ok(self.options(schema)?.connect().await?)
    }

    pub(crate) fn options(&self, schema: &str) -> Result<PgConnectOptions> {
        let options: PgConnectOptions = self.url().parse()?;
        Ok(options.options([("search_path", schema)]).application_name("by hand").disable_statement_logging())
    }
}

/// A schema for one measurement.
pub(crate) struct Schema {
    pub(crate) server: Arc<Server>,
    pub(crate) name: String,
}

impl Schema {
    pub(crate) async fn store(&self) -> Result<PostgresStore> {
        self.store_with(PostgresStore::options()).await
    }

    pub(crate) async fn store_with(&self, options: PostgresOptions) -> Result<PostgresStore> {
        Ok(options.schema(&self.name).connect(self.server.url()).await?)
    }

    pub(crate) async fn connect(&self) -> Result<PgConnection> {
        self.server.connect(&self.name).await
    }

    pub(crate) fn options(&self) -> Result<PgConnectOptions> {
        self.server.options(&self.name)
    }

    /// Makes it, with tables.
    pub(crate) async fn create(&self, tables: &'static str) -> Result<()> {
        self.run(format!("CREATE SCHEMA {}", self.name)).await?;
        self.run(tables.to_owned()).await
    }

    /// Makes it, with the store's tables.
    pub(crate) async fn with_store(&self) -> Result<()> {
        self.store().await?.close().await;
        Ok(())
    }

    /// Runs statements in it.
    pub(crate) async fn run(&self, sql: String) -> Result<()> {
        let mut connection = self.connect().await?;
        connection.execute(AssertSqlSafe(sql)).await?;
        connection.close().await?;
        Ok(())
    }

    /// Drops it.
    pub(crate) async fn drop(self) -> Result<()> {
        self.run(format!("SET client_min_messages = error; DROP SCHEMA IF EXISTS {} CASCADE", self.name)).await
    }
}
