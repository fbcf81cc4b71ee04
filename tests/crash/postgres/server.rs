//! A server that crashes.

use es_runtime::store::EventStore as _;

use crate::crash::child;
use crate::place::Place as _;
use crate::postgres::{Schema, server_of_its_own};

#[tokio::test]
async fn what_was_acknowledged_survives_a_crash_of_the_server() {
    let Some(mut server) = server_of_its_own() else { return };
    let schema = Schema::on(server.url());
    let mut acknowledged = Vec::new();
    for round in 0..4 {
        let mut child = child::start(&schema, 1_000_000);
        let crash_at = 100 + 50 * round;
        let new = child::acknowledged(&mut child, |count| {
            if count == crash_at {
                server.crash().unwrap();
                server.start_again().unwrap();
            }
            // Callers that were told of the crash have ended. The others go on.
            count >= crash_at + 200
        });
        child.wait().unwrap();
        assert!(new.len() >= crash_at, "round {round}: the writer ended by itself");
        acknowledged.extend(new);
        let store = schema.open().await;
        // What was stored but not acknowledged counts from here on: it must not go away either.
        acknowledged = child::check::<Schema>(&store, &acknowledged).await;
        store.close().await;
    }
}
