//! The PostgreSQL store passes the suite, in a schema of its own.

use es_runtime::store::PostgresStore;

use crate::place::Place as _;
use crate::postgres::Schema;

async fn open(schema: &Schema) -> PostgresStore {
    schema.open().await
}

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

es_runtime::store_contract!(schema!(), open);
es_runtime::durable_store_contract!(schema!(), open);
