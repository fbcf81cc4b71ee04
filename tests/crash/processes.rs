//! Several processes that write one file.

use std::collections::HashSet;

use es_runtime::store::{EventStore as _, SqliteStore};

use super::child;

#[tokio::test]
async fn writers_in_several_processes_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("es.db");
    // All at once, on a file that is not there yet: they also race for its migrations.
    let children: Vec<_> = (0..4).map(|_| child::start(&file, 30)).collect();
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
    let store = SqliteStore::open(&file).await.unwrap();
    let stored: HashSet<_> = child::check(&store, &acknowledged).await.into_iter().collect();
    assert_eq!(stored, acknowledged.into_iter().collect(), "what is stored is what was acknowledged");
    store.close().await;
}
