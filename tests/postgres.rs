//! The server that the tests on PostgreSQL use, and a schema of it for each of them.

use std::str::FromStr as _;

use es_runtime::event::EventId;
use es_runtime::store::PostgresStore;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _};

use crate::place::Place;

/// Where the server is.
const URL: &str = "ES_TEST_POSTGRES";

/// Set to `1`, it leaves out what needs the server.
const WITHOUT: &str = "ES_TEST_WITHOUT_POSTGRES";

const MISSING: &str = "there is no PostgreSQL server for this test: run `cargo xtask test`, or \
    `cargo xtask test --without-postgres` to leave out what needs one. For single tests: `cargo xtask postgres`";

/// The server's address.
pub fn url() -> String {
    std::env::var(URL).ok().filter(|url| !url.is_empty()).expect(MISSING)
}

/// A schema with a name that no other one has.
pub struct Schema {
    name: String,
    is_mine: bool,
}

impl Schema {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How to connect, under a name that tells the connections of this place.
    pub fn options(&self) -> PgConnectOptions {
        PgConnectOptions::from_str(&url()).unwrap().application_name(&self.name)
    }

    /// A connection beside those of the store, in the same schema.
    pub async fn connect(&self) -> PgConnection {
        self.options().options([("search_path", &self.name)]).connect().await.unwrap()
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
        url();
        let random = EventId::new_v7().as_uuid().as_u64_pair().1;
        Self { name: format!("t_{random:x}"), is_mine: true }
    }

    fn at(address: &str) -> Self {
        Self { name: address.to_owned(), is_mine: false }
    }

    fn address(&self) -> String {
        self.name.clone()
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
    sqlx::raw_sql("SET lock_timeout = '5s'; SET client_min_messages = error").execute(&mut connection).await?;
    let drop = format!("DROP SCHEMA IF EXISTS {name} CASCADE");
    sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await?;
    Ok(())
}
