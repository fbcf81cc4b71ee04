//! Synchronous projections whose rows are shared by streams: what is served is the fold of the log, in its order.

use std::time::Duration;

use super::fixture::*;
use super::read_side::*;
use crate::event::GlobalPosition;
use crate::projection::ProjectionDescriptor;
use crate::read_model::RowKey;
use crate::store::{AppendError, BatchDone, BatchError, BatchWork, NewCommit, Store};

/// A commit that writes an amount on the row `r`.
fn put(key: &str, expected: u64, event: &'static str) -> NewCommit {
    commit_of(&stream(key), expected, &[event])
}

async fn follows<S: Store>(store: &S, projection: &ProjectionDescriptor) -> bool {
    let known = store.projections().await.expect("readable");
    let is_it = |known: &&crate::store::ProjectionVersion| {
        (known.name.as_str(), known.version) == (projection.name, projection.version)
    };
    known.iter().find(is_it).expect("it is registered").follows
}

/// Asks for the switch until it comes.
async fn fold_again<S: Store>(worker: &mut Worker<S>) -> BatchDone {
    for _ in 0..600 {
        let mut batch = worker.next().await;
        batch.switch = true;
        let done = worker.project(batch).await.expect("projected");
        if done != BatchDone::default() {
            return done;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("commits do not fold the version again");
}

/// Checks what its name says: what a program appends that has another version, or none, comes before what is appended later.
pub async fn an_event_that_its_commit_does_not_fold_makes_the_version_follow<S: Store>(store: S) {
    let mut worker = Worker::start(&store, &SHARED).await;
    store_one(&store, put("a", 0, "put:1:r").projected(&[&SHARED])).await.expect("stored");
    assert_eq!(state(&store, &SHARED, "r").await, seen(1, "1"));
    assert!(!follows(&store, &SHARED).await);
    // Events that the projection does not take change nothing.
    record(&store, &stream("z"), 0, &["opened"]).await;
    assert!(!follows(&store, &SHARED).await);
    record(&store, &stream("b"), 0, &["put:2:r"]).await;
    assert!(follows(&store, &SHARED).await);
    store_one(&store, put("c", 0, "put:3:r").projected(&[&SHARED])).await.expect("stored");
    store_one(&store, put("d", 0, "put:4:r").projected(&[&SHARED_SECOND])).await.expect("stored");
    assert_eq!(state(&store, &SHARED, "r").await, seen(1, "1"), "these are the worker's");
    worker.catch_up().await;
    assert_eq!(state(&store, &SHARED, "r").await, seen(4, "1 2 3 4"));

    // It is folded again, but not at once.
    assert_eq!(worker.catch_up().await, BatchDone::default());
    store_one(&store, put("c", 1, "put:5:r").projected(&[&SHARED])).await.expect("stored");
    assert_eq!(state(&store, &SHARED, "r").await, seen(4, "1 2 3 4"));
    let done = fold_again(&mut worker).await;
    assert_eq!(done, BatchDone { switched: false, folds: true });
    assert!(!follows(&store, &SHARED).await);
    store_one(&store, put("a", 1, "put:6:r").projected(&[&SHARED])).await.expect("stored");
    assert_eq!(state(&store, &SHARED, "r").await, seen(6, "1 2 3 4 5 6"));
    worker.catch_up().await;
    assert_eq!(state(&store, &SHARED, "r").await, seen(6, "1 2 3 4 5 6"));
}

/// Checks what its name says.
pub async fn commits_of_one_group_leave_a_shared_row_to_the_worker_together<S: Store>(store: S) {
    let mut worker = Worker::start(&store, &SHARED).await;
    for round in 0..5 {
        let mut tickets = Vec::new();
        for key in ["a", "b", "c"] {
            let commit = put(key, round, "put:1:r");
            let folds = key != "b";
            let commit = if folds { commit.projected(&[&SHARED]) } else { commit };
            tickets.push(store.submit(commit).await);
        }
        for ticket in tickets {
            ticket.await.expect("stored");
        }
    }
    worker.catch_up().await;
    let row = balance(&store, &SHARED, "r").await.expect("written");
    assert_eq!(row.history.split_whitespace().count(), 15, "each once: {}", row.history);
}

/// Checks what its name says: the one that is retired then follows the log like any other.
pub async fn a_version_that_takes_over_is_folded_from_there_on<S: Store>(store: S) {
    let mut first = Worker::start(&store, &SHARED).await;
    store_one(&store, put("a", 0, "put:1:r").projected(&[&SHARED])).await.expect("stored");
    let mut second = Worker::start(&store, &SHARED_SECOND).await;
    store_one(&store, put("b", 0, "put:2:r").projected(&[&SHARED_SECOND])).await.expect("stored");
    assert!(follows(&store, &SHARED).await, "the new program does not fold it");
    let done = fold_again(&mut second).await;
    assert_eq!(done, BatchDone { switched: true, folds: false });
    assert!(!follows(&store, &SHARED_SECOND).await);
    store_one(&store, put("c", 0, "put:3:r").projected(&[&SHARED_SECOND])).await.expect("stored");
    assert_eq!(state(&store, &SHARED_SECOND, "r").await, seen(3, "1 2 3"));
    // The old program is still there.
    store_one(&store, put("a", 1, "put:4:r").projected(&[&SHARED])).await.expect("stored");
    store_one(&store, put("b", 1, "put:5:r").projected(&[&SHARED_SECOND])).await.expect("stored");
    assert_eq!(state(&store, &SHARED_SECOND, "r").await, seen(3, "1 2 3"));
    for (worker, projection) in [(&mut first, &SHARED), (&mut second, &SHARED_SECOND)] {
        worker.catch_up().await;
        assert_eq!(state(&store, projection, "r").await, seen(5, "1 2 3 4 5"));
    }
}

/// Checks what its name says: what is behind the letter on its row is not there yet.
pub async fn a_version_with_a_letter_goes_on_following<S: Store>(store: S) {
    let mut worker = Worker::start(&store, &SHARED).await;
    record(&store, &stream("a"), 0, &["put:1:r"]).await;
    let events = whole_log(&store, 10).await;
    let mut batch = worker.batch(BatchWork::Nothing, Some(events[0].position().get()));
    batch.letters = vec![letter(&events[0], key_of("", "r").as_str(), Some("why"))];
    worker.project(batch).await.expect("stored");
    store.rewind("shared", 1, events[0].position()).await.expect("its letters are gone");
    assert!(follows(&store, &SHARED).await);

    let mut worker = again(&store, worker).await;
    let mut batch = worker.batch(BatchWork::Nothing, None);
    batch.letters = vec![letter(&events[0], key_of("", "r").as_str(), Some("why"))];
    worker.project(batch).await.expect("stored");
    let mut batch = worker.batch(BatchWork::Nothing, None);
    batch.switch = true;
    assert_eq!(worker.project(batch).await.expect("stored"), BatchDone::default());
    assert!(store.skip_letter(&worker.id, events[0].position()).await.expect("skipped"));
    let mut batch = worker.batch(BatchWork::Nothing, None);
    batch.switch = true;
    assert!(worker.project(batch).await.expect("stored").folds, "nothing was left to it lately");
}

async fn again<S: Store>(store: &S, worker: Worker<S>) -> Worker<S> {
    store.leave(worker.process).await.expect("left");
    Worker::start(store, &SHARED).await
}

/// Checks what its name says: what was folded is to be folded again.
pub async fn a_version_that_is_rewound_follows<S: Store>(store: S) {
    let mut worker = Worker::start(&store, &SHARED).await;
    store_one(&store, put("a", 0, "put:1:r").projected(&[&SHARED])).await.expect("stored");
    store.reset(&SHARED, None).await.expect("reset");
    store_one(&store, put("b", 0, "put:2:r").projected(&[&SHARED])).await.expect("stored");
    assert_eq!(state(&store, &SHARED, "r").await, None);
    worker = again(&store, worker).await;
    assert_eq!(worker.position, GlobalPosition::START);
    assert!(fold_again(&mut worker).await.switched);
    assert_eq!(state(&store, &SHARED, "r").await, seen(2, "1 2"));
    store_one(&store, put("c", 0, "put:3:r").projected(&[&SHARED])).await.expect("stored");
    assert_eq!(state(&store, &SHARED, "r").await, seen(3, "1 2 3"));
}

/// Checks what its name says: it is no trouble of the store, and trying again does not help.
pub async fn a_row_whose_key_is_too_long_fails_its_event_alone<S: Store>(store: S) {
    let mut worker = Worker::start(&store, &SHARED).await;
    let event = |bytes: usize| -> &'static str { Box::leak(format!("put:1:{}", "x".repeat(bytes)).into_boxed_str()) };
    let fits = RowKey::LONGEST - r#"["",""]"#.len();
    store_one(&store, put("a", 0, event(fits)).projected(&[&SHARED])).await.expect("stored");
    let refused = store_one(&store, put("b", 0, event(fits + 1)).projected(&[&SHARED])).await;
    let Err(error @ AppendError::ProjectionFailed { projection: "shared", .. }) = &refused else {
        panic!("{refused:?}")
    };
    assert!(error.to_string().contains("account"), "{error}");
    assert_eq!(version(&store, &stream("b")).await, 0);
    // Left to the worker, it fails there.
    record(&store, &stream("c"), 0, &["put:1:r"]).await;
    record(&store, &stream("b"), 0, &[event(fits + 1)]).await;
    record(&store, &stream("c"), 1, &["put:2:r"]).await;
    let batch = worker.next().await;
    let failed = worker.project(batch).await;
    let Err(BatchError::Failed { index: 2, failure }) = &failed else { panic!("{failed:?}") };
    assert!(failure.to_string().contains("more than 2100"), "{failure}");
}

/// Checks what its name says: which events they leave out, nobody knows.
pub async fn commits_with_other_functions_than_are_stored_fold_nothing<S: Store>(store: S) {
    let mut worker = Worker::start(&store, &SHARED).await;
    store_one(&store, put("a", 0, "put:1:r").projected(&[&SHARED])).await.expect("stored");
    register(&store, &SHARED_LESS).await;
    assert!(follows(&store, &SHARED).await);
    assert!(fold_again(&mut worker).await.folds);
    // The other program of the same version is still there.
    store_one(&store, put("b", 0, "put:2:r").projected(&[&SHARED])).await.expect("stored");
    assert_eq!(state(&store, &SHARED, "r").await, seen(1, "1"));
    assert!(follows(&store, &SHARED).await);
    worker.catch_up().await;
    assert_eq!(state(&store, &SHARED, "r").await, seen(2, "1 2"));
}

/// Checks what its name says: a log that never stands still does not keep it from that.
pub async fn a_version_is_folded_again_whatever_else_is_appended<S: Store>(store: S) {
    let mut worker = Worker::start(&store, &SHARED).await;
    record(&store, &stream("a"), 0, &["put:1:r"]).await;
    worker.catch_up().await;
    let head = store.head().await.expect("readable");
    // From here on it may fold at once.
    store.rewind("shared", 1, head).await.expect("rewound");
    worker = again(&store, worker).await;
    let switch = |worker: &Worker<S>| crate::store::Batch { switch: true, ..worker.batch(BatchWork::Nothing, None) };
    record(&store, &stream("z"), 0, &["put:2:r"]).await;
    let batch = switch(&worker);
    assert_eq!(worker.project(batch).await.expect("stored"), BatchDone::default(), "an event of it is left");
    worker.catch_up().await;
    store.rewind("shared", 1, store.head().await.expect("readable")).await.expect("rewound");
    worker = again(&store, worker).await;
    record(&store, &stream("z"), 1, &["opened"]).await;
    let batch = switch(&worker);
    assert!(worker.project(batch).await.expect("stored").folds, "it takes no such event");
}
