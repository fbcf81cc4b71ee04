//! Checkpoints: they move with what is written, once, and for nobody else.

use chrono::SubsecRound as _;

use super::fixture::*;
use super::read_side::*;
use crate::event::{GlobalPosition, StreamId, Version};
use crate::projection::ProjectionFailure;
use crate::store::{Batch, BatchError, BatchWork, History, LeaseRequest, Store, StoreError, SubscriptionStatus};

/// Checks what its name says.
pub async fn rows_and_checkpoint_move_together<S: Store>(store: S) {
    record(&store, &stream("a"), 0, &["opened", "deposited:5", "withdrawn:2"]).await;
    record(&store, &stream("b"), 0, &["opened"]).await;
    let mut worker = Worker::start(&store, &FIRST).await;
    assert!(!worker.catch_up().await.switched);
    assert_eq!(state(&store, &FIRST, "a").await, seen(3, "1 2 3"));
    assert_eq!(state(&store, &FIRST, "b").await, seen(0, "1"));
    let found = checkpoints(&store, &FIRST).await;
    assert_eq!((found[0].position.get(), found[0].epoch, found[0].owner), (4, worker.epoch, Some(worker.process)));
    assert_eq!(found[0].status, SubscriptionStatus::Running);
    record(&store, &stream("a"), 3, &["closed"]).await;
    worker.catch_up().await;
    assert_eq!(state(&store, &FIRST, "a").await, None);
    assert_eq!(positions(&store, &FIRST).await, [5]);
}

/// Checks what its name says: inserted and deleted, deleted and inserted, all of it within one batch.
pub async fn a_row_may_come_and_go_within_a_batch<S: Store>(store: S) {
    let mut worker = Worker::start(&store, &FIRST).await;
    record(&store, &stream("a"), 0, &["opened", "deposited", "closed"]).await;
    record(&store, &stream("b"), 0, &["opened", "closed", "opened"]).await;
    worker.catch_up().await;
    assert_eq!(state(&store, &FIRST, "a").await, None);
    assert_eq!(state(&store, &FIRST, "b").await, seen(0, "3"));
    record(&store, &stream("b"), 3, &["closed", "opened", "deposited:7"]).await;
    worker.catch_up().await;
    assert_eq!(state(&store, &FIRST, "b").await, seen(7, "5 6"));
}

/// Checks what its name says.
pub async fn an_event_may_change_two_rows<S: Store>(store: S) {
    record(&store, &stream("a"), 0, &["opened", "deposited:10", "moved:4:b"]).await;
    let mut worker = Worker::start(&store, &FIRST).await;
    worker.catch_up().await;
    assert_eq!(state(&store, &FIRST, "a").await, seen(6, "1 2 3"));
    assert_eq!(state(&store, &FIRST, "b").await, seen(4, "3"));
}

/// Checks what its name says.
pub async fn events_that_no_function_takes_change_nothing<S: Store>(store: S) {
    record(&store, &StreamId::new("other", "a"), 0, &["opened", "deposited"]).await;
    record(&store, &stream("b"), 0, &["unheard of"]).await;
    let mut worker = Worker::start(&store, &FIRST).await;
    worker.catch_up().await;
    assert_eq!(positions(&store, &FIRST).await, [3]);
    assert_eq!(store.count(table(&FIRST), &crate::read_model::Selection::default()).await.expect("readable"), 0);
}

/// Checks what its name says.
pub async fn rows_of_a_batch_belong_to_the_tenant_of_the_event<S: Store>(store: S) {
    record(&store, &stream("a").with_tenant("acme"), 0, &["opened", "deposited:3"]).await;
    record(&store, &stream("a"), 0, &["opened"]).await;
    Worker::start(&store, &FIRST).await.catch_up().await;
    assert_eq!(state(&store, &FIRST, "a").await, seen(0, "1"));
    assert_eq!(balance_of(&store, &FIRST, "acme", "a").await.map(|row| row.cents), Some(3));
}

/// Checks what its name says: behind, ahead, and back.
pub async fn a_batch_from_another_position_is_fenced<S: Store>(store: S) {
    record(&store, &stream("a"), 0, &["opened", "deposited:5", "deposited:5"]).await;
    let mut worker = Worker::start(&store, &FIRST).await;
    let all = worker.next().await;
    let first = worker.batch(fold_of(&all, 1), Some(1));
    worker.project(first).await.expect("stored");
    // The same events again, and events ahead.
    let mut ahead = all.clone();
    ahead.from = GlobalPosition::new(2);
    let mut back = all.clone();
    (back.from, back.to) = (GlobalPosition::new(1), worker.batch(BatchWork::Nothing, Some(0)).to);
    for batch in [all, ahead, back] {
        let fenced = worker.project(batch).await;
        assert!(matches!(fenced, Err(BatchError::Fenced)), "{fenced:?}");
    }
    assert_eq!(state(&store, &FIRST, "a").await, seen(0, "1"));
    assert_eq!(positions(&store, &FIRST).await, [1]);
}

/// The first events of a batch's work.
fn fold_of(batch: &crate::store::Batch, count: usize) -> BatchWork {
    let BatchWork::Fold { projector, events } = batch.work.clone() else { panic!("{batch:?} folds nothing") };
    BatchWork::Fold { projector, events: events.into_iter().take(count).collect() }
}

/// Checks what its name says, whether it is one statement or a transaction.
pub async fn a_batch_of_a_history_that_is_over_is_fenced<S: Store>(store: S) {
    record(&store, &stream("a"), 0, &["opened", "deposited:5"]).await;
    let mut worker = Worker::start(&store, &FIRST).await;
    let over = History::new();
    over.end();
    let nothing = Batch { history: over.clone(), ..worker.batch(BatchWork::Nothing, Some(2)) };
    let events = Batch { history: over.clone(), ..worker.next().await };
    let switch = Batch { history: over, switch: true, ..worker.next().await };
    for batch in [nothing, events, switch] {
        let fenced = worker.project(batch).await;
        assert!(matches!(fenced, Err(BatchError::Fenced)), "{fenced:?}");
    }
    assert_eq!(positions(&store, &FIRST).await, [0]);
    worker.catch_up().await;
}

/// Checks what its name says.
pub async fn a_batch_of_another_epoch_is_fenced<S: Store>(store: S) {
    record(&store, &stream("a"), 0, &["opened"]).await;
    let mut worker = Worker::start(&store, &FIRST).await;
    for epoch in [worker.epoch - 1, worker.epoch + 1] {
        let mut batch = worker.next().await;
        batch.epoch = epoch;
        let fenced = worker.project(batch).await;
        assert!(matches!(fenced, Err(BatchError::Fenced)), "{fenced:?}");
    }
    // Also one that leaves the checkpoint.
    let mut batch = worker.batch(BatchWork::Nothing, None);
    batch.epoch += 1;
    let fenced = worker.project(batch).await;
    assert!(matches!(fenced, Err(BatchError::Fenced)), "{fenced:?}");
    assert_eq!(state(&store, &FIRST, "a").await, None);
    worker.catch_up().await;
    assert_eq!(state(&store, &FIRST, "a").await, seen(0, "1"));
}

/// Checks what its name says: of a projection, a version, a partition that is not there.
pub async fn a_batch_of_an_unknown_partition_is_fenced<S: Store>(store: S) {
    let mut worker = Worker::start(&store, &FIRST).await;
    for id in [partition(&OTHER, 0), partition(&SECOND, 0), partition(&FIRST, 1)] {
        let mut batch = worker.batch(BatchWork::Nothing, Some(0));
        batch.id = id;
        let fenced = worker.project(batch).await;
        assert!(matches!(fenced, Err(BatchError::Fenced)), "{fenced:?}");
    }
}

/// Checks what its name says.
pub async fn one_of_many_equal_batches_is_stored<S: Store>(store: S) {
    record(&store, &stream("a"), 0, &["opened", "deposited:5"]).await;
    let worker = Worker::start(&store, &FIRST).await;
    let batch = worker.next().await;
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let (store, batch) = (store.clone(), batch.clone());
            tokio::spawn(async move { store.project(batch).await })
        })
        .collect();
    let mut stored = 0;
    for task in tasks {
        match task.await.expect("no panic") {
            Ok(_) => stored += 1,
            Err(error) => assert!(matches!(error, BatchError::Fenced), "{error:?}"),
        }
    }
    assert_eq!(stored, 1);
    assert_eq!(state(&store, &FIRST, "a").await, seen(5, "1 2"));
}

/// Checks what its name says.
pub async fn a_batch_without_a_target_leaves_the_checkpoint<S: Store>(store: S) {
    record(&store, &stream("a"), 0, &["opened"]).await;
    let mut worker = Worker::start(&store, &FIRST).await;
    let mut batch = worker.next().await;
    batch.to = None;
    worker.project(batch).await.expect("stored");
    assert_eq!(state(&store, &FIRST, "a").await, seen(0, "1"));
    assert_eq!(positions(&store, &FIRST).await, [0]);
}

/// Checks what its name says: nothing of the batch is stored, letters neither.
pub async fn a_failed_function_names_its_event<S: Store>(store: S) {
    record(&store, &stream("a"), 0, &["opened", "deposited"]).await;
    record(&store, &stream("b"), 0, &["opened", "deposited", "spoiled", "deposited"]).await;
    let mut worker = Worker::start(&store, &FIRST).await;
    let mut batch = worker.next().await;
    let events = whole_log(&store, 10).await;
    batch.letters = vec![letter(&events[0], "k", None)];
    match worker.project(batch).await {
        Err(BatchError::Failed { index: 4, failure: ProjectionFailure::Failed { handler: "spoiled", .. } }) => {}
        other => panic!("expected the failure of event 4, got {other:?}"),
    }
    assert_eq!(state(&store, &FIRST, "a").await, None);
    assert_eq!(positions(&store, &FIRST).await, [0]);
    assert_eq!(checkpoints(&store, &FIRST).await[0].letters, 0);
    let batch = worker.next().await;
    let without = worker.batch(fold_of(&batch, 4), Some(4));
    worker.project(without).await.expect("stored");
    assert_eq!(state(&store, &FIRST, "b").await, seen(1, "1 2"));
}

/// Checks what its name says, and that a panic is such a failure.
pub async fn a_function_that_panics_harms_nobody_else<S: Store>(store: S) {
    record(&store, &stream("a"), 0, &["opened", "panicked"]).await;
    let mut worker = Worker::start(&store, &FIRST).await;
    let batch = worker.next().await;
    match worker.project(batch).await {
        Err(BatchError::Failed { index: 1, failure: ProjectionFailure::Panicked { handler: "panicked", message } }) => {
            assert!(message.contains("a fold panics"), "{message}");
        }
        other => panic!("expected a panic, got {other:?}"),
    }
    assert_eq!(positions(&store, &FIRST).await, [0]);
    append(&store, &stream("b"), 0, 1).await;
}

/// Checks what its name says: a value that is found out only when rows are written still names the event.
pub async fn a_row_that_cannot_be_stored_names_its_event<S: Store>(store: S) {
    record(&store, &stream("a"), 0, &["opened", "deposited", "immeasurable", "deposited"]).await;
    let mut worker = Worker::start(&store, &FIRST).await;
    let batch = worker.next().await;
    match worker.project(batch).await {
        Err(BatchError::Failed { index: 2, failure: ProjectionFailure::Column(error) }) => {
            assert_eq!(error.column, "rate");
        }
        other => panic!("expected the failure of event 2, got {other:?}"),
    }
    assert_eq!(state(&store, &FIRST, "a").await, None);
}

/// Checks what its name says.
pub async fn a_long_batch_is_stored_whole<S: Store>(store: S) {
    for account in 0..300 {
        record(&store, &stream(&account.to_string()), 0, &["opened", "deposited:2", "deposited:3", "withdrawn:1"])
            .await;
    }
    let mut worker = Worker::start(&store, &FIRST).await;
    worker.catch_up().await;
    for account in 0..300 {
        assert_eq!(state(&store, &FIRST, &account.to_string()).await, seen(4, "1 2 3 4"));
    }
    assert_eq!(positions(&store, &FIRST).await, [1_200]);
}

/// Checks what its name says: of all partitions or of one, until somebody changes it.
pub async fn partitions_are_paused_and_resumed<S: Store>(store: S) {
    let mut worker = Worker::of_partition(&store, &PARTED, 2).await;
    let statuses = async || -> Vec<SubscriptionStatus> {
        checkpoints(&store, &PARTED).await.into_iter().map(|checkpoint| checkpoint.status).collect()
    };
    let stopped = SubscriptionStatus::Stopped { reason: "a `reason`".to_owned(), at: now().trunc_subsecs(3) };
    store.set_status("parted", 1, None, SubscriptionStatus::Paused).await.expect("set");
    assert_eq!(statuses().await, vec![SubscriptionStatus::Paused; 4]);
    store.set_status("parted", 1, Some(2), stopped.clone()).await.expect("set");
    let expected =
        [SubscriptionStatus::Paused, SubscriptionStatus::Paused, stopped.clone(), SubscriptionStatus::Paused];
    assert_eq!(statuses().await, expected);
    // It is told to whoever has the lease; batches and registering leave it.
    worker.catch_up().await;
    register(&store, &PARTED).await;
    let request = LeaseRequest { process: worker.process, timeout: LONG, wanted: vec![worker.id.clone()] };
    assert_eq!(store.lease(&request).await.expect("readable")[0].status, stopped);
    store.set_status("parted", 1, None, SubscriptionStatus::Running).await.expect("set");
    assert_eq!(statuses().await, vec![SubscriptionStatus::Running; 4]);
}

/// Checks what its name says, whatever its worker has in hand.
pub async fn a_paused_partition_does_not_move<S: Store>(store: S) {
    record(&store, &stream("a"), 0, &["opened"]).await;
    let mut worker = Worker::start(&store, &FIRST).await;
    let batch = worker.next().await;
    store.set_status("balances", 1, None, SubscriptionStatus::Paused).await.expect("set");
    let fenced = worker.project(batch.clone()).await;
    assert!(matches!(fenced, Err(BatchError::Fenced)), "{fenced:?}");
    assert_eq!((state(&store, &FIRST, "a").await, positions(&store, &FIRST).await), (None, vec![0]));
    // Its letters can be dealt with.
    let stays = worker.batch(BatchWork::Nothing, None);
    worker.project(stays).await.expect("stored");
    store.set_status("balances", 1, None, SubscriptionStatus::Running).await.expect("set");
    worker.project(batch).await.expect("stored");
    assert_eq!(state(&store, &FIRST, "a").await, seen(0, "1"));
}

/// Checks what its name says: workers under way are fenced off, and letters are gone.
pub async fn a_rewind_moves_every_partition<S: Store>(store: S) {
    record(&store, &stream("a"), 0, &["opened", "deposited", "deposited"]).await;
    let mut workers = Vec::new();
    for number in 0..4 {
        let mut worker = Worker::of_partition(&store, &PARTED, number).await;
        worker.catch_up().await;
        workers.push(worker);
    }
    let event = whole_log(&store, 10).await.remove(2);
    let mut batch = workers[1].batch(BatchWork::Nothing, None);
    batch.letters = vec![letter(&event, "k", None)];
    workers[1].project(batch).await.expect("stored");
    store.rewind("parted", 1, GlobalPosition::new(2)).await.expect("rewound");
    let found = checkpoints(&store, &PARTED).await;
    for (checkpoint, mut worker) in found.iter().zip(workers) {
        assert_eq!((checkpoint.position.get(), checkpoint.letters), (2, 0));
        assert!(checkpoint.epoch > worker.epoch);
        let late = worker.batch(BatchWork::Nothing, Some(3));
        let fenced = worker.project(late).await;
        assert!(matches!(fenced, Err(BatchError::Fenced)), "{fenced:?}");
        // Even one that stands there by accident.
        worker.position = GlobalPosition::new(2);
        let late = worker.batch(BatchWork::Nothing, Some(3));
        let fenced = worker.project(late).await;
        assert!(matches!(fenced, Err(BatchError::Fenced)), "{fenced:?}");
    }
}

/// Checks what its name says: forward, what commits have folded behind the position stays folded.
pub async fn a_rewind_forward_has_nothing_folded_twice<S: Store>(store: S) {
    register(&store, &FIRST).await;
    let commit = commit_of(&stream("a"), 0, &["opened"]).projected(&[&FIRST]);
    store_one(&store, commit).await.expect("stored");
    let commit = commit_of(&stream("a"), 1, &["withdrawn:1"]).projected(&[&FIRST]);
    store_one(&store, commit).await.expect("stored");
    store.rewind("balances", 1, GlobalPosition::new(1)).await.expect("moved");
    Worker::start(&store, &FIRST).await.catch_up().await;
    assert_eq!(state(&store, &FIRST, "a").await, seen(-1, "1 2"));
}

/// Verifies that a checkpoint is not moved past the end of the log, where it would skip an event that comes later. The error names both positions,
/// and nothing changes.
pub async fn no_checkpoint_stands_ahead_of_the_log<S: Store>(store: S) {
    register(&store, &FIRST).await;
    for (head, to) in [(0, 1), (1, 2), (1, 1_000), (1, u64::MAX)] {
        if head == 1 && store.event_count().await.expect("countable") == 0 {
            record(&store, &stream("a"), 0, &["opened"]).await;
        }
        let before = checkpoints(&store, &FIRST).await;
        match store.rewind("balances", 1, GlobalPosition::new(to)).await {
            Err(StoreError::PastHead { to: named, head: end }) => assert_eq!((named.get(), end.get()), (to, head)),
            other => panic!("expected a refusal of position {to}, got {other:?}"),
        }
        assert_eq!(checkpoints(&store, &FIRST).await, before);
    }
    store.rewind("balances", 1, GlobalPosition::new(1)).await.expect("rewound");
    assert_eq!(positions(&store, &FIRST).await, [1]);
    record(&store, &stream("b"), 0, &["opened"]).await;
    Worker::start(&store, &FIRST).await.catch_up().await;
    assert_eq!(state(&store, &FIRST, "b").await, seen(0, "1"));
}

/// Checks what its name says.
pub async fn versions_of_streams_are_known_at_every_position<S: Store>(store: S) {
    let acme = stream("a").with_tenant("acme");
    append(&store, &stream("a"), 0, 2).await;
    append(&store, &stream("b"), 0, 1).await;
    append(&store, &acme, 0, 1).await;
    append(&store, &stream("a"), 2, 2).await;
    let streams = [stream("a"), stream("b"), stream("c"), acme, stream("a")];
    let expected = [
        [0, 0, 0, 0, 0],
        [1, 0, 0, 0, 1],
        [2, 0, 0, 0, 2],
        [2, 1, 0, 0, 2],
        [2, 1, 0, 1, 2],
        [3, 1, 0, 1, 3],
        [4, 1, 0, 1, 4],
        [4, 1, 0, 1, 4],
    ];
    for (position, expected) in (0..).zip(expected) {
        let found = store.versions_at(&streams, GlobalPosition::new(position)).await.expect("readable");
        assert_eq!(found, expected.map(Version::new), "at {position}");
    }
    let none = store.versions_at(&[], GlobalPosition::new(3)).await.expect("readable");
    assert!(none.is_empty());
}

/// Checks what its name says: in ascending order, each once, those that are there.
pub async fn events_are_read_by_their_positions<S: Store>(store: S) {
    record(&store, &stream("a"), 0, &["opened", "deposited:5"]).await;
    record(&store, &stream("b").with_tenant("acme"), 0, &["opened", "withdrawn:7"]).await;
    let log = whole_log(&store, 10).await;
    let found = store.events_at(&[4, 9, 0, 2, 4].map(GlobalPosition::new)).await.expect("readable");
    assert_eq!(found, [log[1].clone(), log[3].clone()]);
    assert_eq!(store.events_at(&[]).await.expect("readable"), []);
}
