//! A schema of its own for each test, on the server that `ES_TEST_POSTGRES` names.

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

use crate::store::PostgresStore;

const MISSING: &str = "there is no PostgreSQL server for this test: run `cargo xtask test`, or \
    `cargo xtask test --without-postgres` to leave out what needs one";

/// A schema of its own. Dropped, it is taken away.
pub struct Place {
    url: String,
    schema: String,
}

impl Place {
    pub fn new() -> Self {
        let url = std::env::var("ES_TEST_POSTGRES").ok().filter(|url| !url.is_empty()).expect(MISSING);
        Self { url, schema: format!("t_{}", Uuid::now_v7().simple()) }
    }

    pub async fn open(&self) -> PostgresStore {
        let options: PgConnectOptions = self.url.parse().expect("an address");
        let options = options.application_name(&self.schema);
        PostgresStore::options().schema(&self.schema).connections(6).connect_with(options).await.expect("a server")
    }

    /// The name of the store's sessions.
    pub fn application(&self) -> &str {
        &self.schema
    }

    /// A connection beside those of the store, in the same schema.
    pub async fn connect(&self) -> PgConnection {
        let mut connection = PgConnection::connect(&self.url).await.expect("a server");
        let path = AssertSqlSafe(format!("SET search_path = {}, public", self.schema));
        connection.execute(path).await.expect("a schema");
        connection
    }

    /// Reads one column, as text.
    pub async fn column(&self, sql: &'static str) -> Vec<String> {
        sqlx::query_scalar(sql).fetch_all(&mut self.connect().await).await.expect("rows")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (url, schema) = (self.url.clone(), self.schema.clone());
        // The test's own runtime cannot be waited for here.
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let dropped = async {
                let mut connection = PgConnection::connect(&url).await?;
                connection.execute("SET client_min_messages = error").await?;
                connection.execute(AssertSqlSafe(format!("DROP SCHEMA IF EXISTS {schema} CASCADE"))).await.map(drop)
            };
            runtime.block_on(dropped).map_err(std::io::Error::other)
        });
        // A schema that is left over is of no harm.
        let _ = cleaning.join();
    }
}
