//! The server that the tests on PostgreSQL use, and a schema of it for each of them; beside it what is particular to that store.

pub mod backup;
mod blocked;
mod callers;
mod cut;
mod disk;
mod following;
mod foreign;
mod history;
mod horizon;
pub mod idle;
mod load;
mod loss;
mod naive;
mod opening;
mod proxy;
mod rights;
mod server;
mod table;
mod upgrade;

use std::str::FromStr as _;

use es_runtime::event::EventId;
use es_runtime::store::PostgresStore;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use xtask::Cluster;

use crate::place::Place;

/// A new schema; the test ends here where there is no server and that is meant.
macro_rules! schema {
    () => {{
        use crate::place::Place as _;
        if crate::postgres::Schema::is_left_out() {
            return;
        }
        crate::postgres::Schema::new()
    }};
}
pub(crate) use schema;

/// Where the server is.
const URL: &str = "ES_TEST_POSTGRES";

/// Set to `1`, it leaves out what needs the server.
const WITHOUT: &str = "ES_TEST_WITHOUT_POSTGRES";

const MISSING: &str = "there is no PostgreSQL server for this test: run `cargo xtask test`, or \
    `cargo xtask test --without-postgres` to leave out what needs one. For single tests: `cargo xtask postgres`";

/// A server that one test has to itself, to let it crash; none where tests on PostgreSQL are left out.
pub fn server_of_its_own() -> Option<Cluster> {
    if Schema::is_left_out() {
        return None;
    }
    let binaries = xtask::binaries().expect(xtask::MISSING);
    Some(Cluster::start(&binaries).expect("a server"))
}

/// Another one each time; it is printed.
pub fn seed() -> u64 {
    let seed = EventId::new_v7().as_uuid().as_u64_pair().1 >> 40;
    eprintln!("seed {seed}");
    seed
}

/// Waits, with a limit, until something holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
    while !holds().await {
        assert!(std::time::Instant::now() < deadline, "not within two minutes: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// A schema with a name that no other one has.
pub struct Schema {
    url: String,
    name: String,
    is_mine: bool,
}

impl Schema {
    /// Makes one on another server than that of the tests.
    pub fn on(url: &str) -> Self {
        let random = EventId::new_v7().as_uuid().as_u64_pair().1;
        Self { url: url.to_owned(), name: format!("t_{random:x}"), is_mine: true }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// How to connect, under a name that tells the connections of this place.
    pub fn options(&self) -> PgConnectOptions {
        PgConnectOptions::from_str(&self.url).unwrap().application_name(&self.name)
    }

    /// A connection beside those of the store, in the same schema.
    pub async fn connect(&self) -> PgConnection {
        self.options().options([("search_path", &self.name)]).connect().await.unwrap()
    }

    /// Runs statements in the schema without the store.
    pub async fn raw(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connect().await).await.unwrap();
    }
}

impl Place for Schema {
    type Store = PostgresStore;
    const KIND: &'static str = "postgres";
    // Positions come from a sequence: what fails leaves a gap.
    const WITHOUT_GAPS: bool = false;

    fn is_left_out() -> bool {
        let left_out = std::env::var_os(URL).is_none() && std::env::var_os(WITHOUT).is_some_and(|set| set == "1");
        if left_out {
            eprintln!("NOT RUN: `{WITHOUT}` is set, and there is no server");
        }
        left_out
    }

    fn new() -> Self {
        Self::on(&std::env::var(URL).ok().filter(|url| !url.is_empty()).expect(MISSING))
    }

    fn at(address: &str) -> Self {
        let (name, url) = address.split_once(' ').expect("a name and a URL");
        Self { url: url.to_owned(), name: name.to_owned(), is_mine: false }
    }

    fn address(&self) -> String {
        format!("{} {}", self.name, self.url)
    }

    async fn open(&self) -> PostgresStore {
        PostgresStore::options().schema(&self.name).connect_with(self.options()).await.unwrap()
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        if self.is_mine {
            let (options, name) = (self.options(), self.name.clone());
            // Whatever runs here: a thread of its own has a runtime of its own.
            let dropped = std::thread::spawn(move || crate::block_on(drop_schema(options, name))).join();
            if !matches!(dropped, Ok(Ok(()))) {
                eprintln!("schema `{}` is left behind: {dropped:?}", self.name);
            }
        }
    }
}

async fn drop_schema(options: PgConnectOptions, name: String) -> Result<(), sqlx::Error> {
    let mut connection = options.application_name("cleaning up").connect().await?;
    // Those who still use it would keep us waiting.
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1";
    sqlx::query(end).bind(&name).execute(&mut connection).await?;
    // A prepared transaction has no connection that ends it.
    let prepared: Vec<String> = sqlx::query_scalar("SELECT gid FROM pg_prepared_xacts WHERE gid = $1")
        .bind(&name)
        .fetch_all(&mut connection)
        .await?;
    for prepared in prepared {
        sqlx::raw_sql(AssertSqlSafe(format!("ROLLBACK PREPARED '{prepared}'"))).execute(&mut connection).await?;
    }
    sqlx::raw_sql("SET lock_timeout = '5s'; SET client_min_messages = error").execute(&mut connection).await?;
    let drop = format!("DROP SCHEMA IF EXISTS {name} CASCADE");
    sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await?;
    Ok(())
}
