//! Processes that die while they make the schema.

use es_runtime::store::EventStore as _;
use sqlx::{ConnectOptions as _, PgConnection};

use crate::crash::{child, kill};
use crate::place::Place as _;
use crate::postgres::{Schema, schema};

/// Counts the locks of those who are connected under the schema's name: they grow with each table that is made.
async fn locks(server: &mut PgConnection, schema: &Schema) -> i64 {
    let locks = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE application_name = $1";
    sqlx::query_scalar(locks).bind(schema.name()).fetch_one(server).await.unwrap()
}

async fn is_made(server: &mut PgConnection, schema: &Schema) -> bool {
    let is_there = "SELECT to_regnamespace($1) IS NOT NULL";
    sqlx::query_scalar(is_there).bind(schema.name()).fetch_one(server).await.unwrap()
}

#[tokio::test]
async fn a_kill_while_the_schema_is_made_leaves_one_that_opens() {
    let mut half_way = 0;
    for round in 0..12 {
        let schema = schema!();
        let mut server = schema.options().application_name("looking on").connect().await.unwrap();
        let mut child = child::start(&schema, 1);
        let enough = i64::from(kill::any(60));
        while locks(&mut server, &schema).await < enough && !is_made(&mut server, &schema).await {}
        child.kill().unwrap();
        half_way += u32::from(!is_made(&mut server, &schema).await);
        let acknowledged = child::acknowledged(&mut child, |_| false);
        child.wait().unwrap();
        let store = schema.open().await;
        child::check::<Schema>(&store, &acknowledged).await;
        store.close().await;
        eprintln!("round {round}: killed at {enough} locks");
    }
    assert!(half_way > 0, "no child was killed while it made the schema");
}
