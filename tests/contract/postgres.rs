//! The PostgreSQL store passes the suite, in a schema of its own.

use es_runtime::store::PostgresStore;

use crate::place::Place as _;
use crate::postgres::{Schema, schema};

async fn open(schema: &Schema) -> PostgresStore {
    schema.open().await
}

es_runtime::store_contract!(schema!(), open);
es_runtime::durable_store_contract!(schema!(), open);
