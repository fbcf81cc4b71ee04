//! Several processes that write at one place.

use std::collections::HashSet;

use es_runtime::store::EventStore as _;

use super::child;
use crate::place::{Place, at_every_place};

at_every_place! {
    writers_in_several_processes_lose_and_double_nothing,
}

async fn writers_in_several_processes_lose_and_double_nothing<P: Place>() {
    let place = P::new();
    // All at once, at a place where nothing is yet: they also race for its migrations.
    let children: Vec<_> = (0..4).map(|_| child::start(&place, 30)).collect();
    let readers: Vec<_> = children
        .into_iter()
        .map(|mut child| {
            // A thread each: a child whose pipe is full would wait for us.
            std::thread::spawn(move || {
                let acknowledged = child::acknowledged(&mut child, |_| false);
                assert!(child.wait().unwrap().success());
                acknowledged
            })
        })
        .collect();
    let mut acknowledged = Vec::new();
    for reader in readers {
        let commits = reader.join().unwrap();
        assert_eq!(commits.len(), 6 * 30, "every commit of a process succeeds in the end");
        acknowledged.extend(commits);
    }
    let store = place.open().await;
    let stored: HashSet<_> = child::check::<P>(&store, &acknowledged).await.into_iter().collect();
    assert_eq!(stored, acknowledged.into_iter().collect(), "what is stored is what was acknowledged");
    store.close().await;
}
