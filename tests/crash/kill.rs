//! A process that dies at any moment loses nothing it acknowledged, and leaves nothing in part.

use es_runtime::event::EventId;
use es_runtime::store::{EventStore as _, SqliteStore};

use super::child;
use crate::place::{File, Place, at_every_place};

at_every_place! {
    what_was_acknowledged_survives_a_kill,
}

/// A number below a limit, another one each time.
pub(super) fn any(limit: u16) -> u16 {
    let id = EventId::new_v7();
    let bytes = id.as_uuid().as_bytes();
    u16::from_le_bytes([bytes[14], bytes[15]]) % limit
}

async fn what_was_acknowledged_survives_a_kill<P: Place>() {
    let place = P::new();
    let mut acknowledged = Vec::new();
    for round in 0..25 {
        let mut child = child::start(&place, 1_000_000);
        let kill_after = usize::from(any(150)) + 1;
        let new = child::acknowledged(&mut child, |count| count == kill_after);
        child.wait().unwrap();
        assert!(new.len() >= kill_after, "round {round}: the writer ended by itself");
        acknowledged.extend(new);

        let store = place.open().await;
        let stored = child::check::<P>(&store, &acknowledged).await;
        // What was stored but not yet acknowledged counts from here on: it must not go away either.
        acknowledged = stored;
        if round % 2 == 0 {
            store.close().await;
        }
    }
}

#[tokio::test]
async fn a_kill_while_the_file_is_made_leaves_a_file_that_opens() {
    for round in 0..12 {
        let file = File::new();
        let mut child = child::start(&file, 1);
        // Somewhere between the file's first byte and the first commits.
        let bytes = u64::from(any(10)) * 4_096;
        let seen = |file: &std::path::Path| file.metadata().map_or(0, |meta| meta.len());
        while seen(file.path()) + seen(&file.path().with_extension("db-wal")) < bytes
            && child.try_wait().unwrap().is_none()
        {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        let acknowledged = child::acknowledged(&mut child, |_| false);
        child.wait().unwrap();
        let store = SqliteStore::open(file.path()).await.unwrap_or_else(|error| panic!("round {round}: {error}"));
        child::check::<File>(&store, &acknowledged).await;
        store.close().await;
    }
}
