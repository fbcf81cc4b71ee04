//! Synchronous projections: they are stored with the commit, or the commit is not.

use super::fixture::*;
use super::read_side::*;
use crate::event::{AnyEvent, GlobalPosition, Recorded};
use crate::projection::{ProjectionDescriptor, ProjectionFailure};
use crate::store::{AppendError, BatchError, BatchWork, Committed, DecisionChain, NewCommit, Store, SyncProjections};

fn sync(key: &str, expected: u64, events: &[&'static str]) -> NewCommit {
    commit_of(&stream(key), expected, events).projected(&[&FIRST])
}

/// With another limit of pending events.
fn with_backlog(mut commit: NewCommit, backlog: usize) -> NewCommit {
    let projections = commit.projections.as_deref().cloned().unwrap_or_default();
    commit.projections = Some(std::sync::Arc::new(SyncProjections { backlog, ..projections }));
    commit
}

#[track_caller]
fn assert_behind(result: &Result<Committed, AppendError>) {
    assert!(matches!(result, Err(AppendError::ProjectionBehind { .. })), "{result:?}");
}

/// Checks what its name says.
pub async fn a_commit_is_there_with_its_rows<S: Store>(store: S) {
    register(&store, &FIRST).await;
    store_one(&store, sync("a", 0, &["opened"])).await.expect("stored");
    assert_eq!(state(&store, &FIRST, "a").await, seen(0, "1"));
    store_one(&store, sync("a", 1, &["withdrawn:2", "withdrawn:3"])).await.expect("stored");
    assert_eq!(state(&store, &FIRST, "a").await, seen(-5, "1 2 3"));
    store_one(&store, sync("a", 3, &["closed"])).await.expect("stored");
    assert_eq!(state(&store, &FIRST, "a").await, None);
    assert_eq!(positions(&store, &FIRST).await, [0], "the checkpoint is the worker's");
}

/// Checks what its name says: the worker, too, leaves what a commit has folded.
pub async fn workers_pass_over_what_commits_have_folded<S: Store>(store: S) {
    let mut worker = Worker::start(&store, &FIRST).await;
    store_one(&store, sync("a", 0, &["opened", "withdrawn:2"])).await.expect("stored");
    record(&store, &stream("a"), 2, &["deposited:7"]).await;
    worker.catch_up().await;
    assert_eq!(state(&store, &FIRST, "a").await, seen(5, "1 2 3"));
    // And again, when the first ones are long behind it.
    store_one(&store, sync("a", 3, &["withdrawn:1"])).await.expect("stored");
    store_one(&store, sync("b", 0, &["opened"])).await.expect("stored");
    record(&store, &stream("b"), 1, &["deposited:1"]).await;
    worker.catch_up().await;
    assert_eq!(state(&store, &FIRST, "a").await, seen(4, "1 2 3 4"));
    assert_eq!(state(&store, &FIRST, "b").await, seen(1, "1 2"));
}

/// Checks what its name says: an event that is left out does not shift the others' places.
pub async fn a_failure_behind_what_is_passed_over_names_its_event<S: Store>(store: S) {
    let mut worker = Worker::start(&store, &FIRST).await;
    store_one(&store, sync("a", 0, &["opened", "withdrawn"])).await.expect("stored");
    record(&store, &stream("b"), 0, &["opened"]).await;
    record(&store, &stream("a"), 2, &["spoiled"]).await;
    let batch = worker.next().await;
    let failed = worker.project(batch).await;
    assert!(matches!(failed, Err(BatchError::Failed { index: 3, .. })), "{failed:?}");
}

/// Checks what its name says.
pub async fn pending_events_of_the_stream_are_applied_first<S: Store>(store: S) {
    let mut worker = Worker::start(&store, &FIRST).await;
    record(&store, &stream("a"), 0, &["opened", "deposited:10"]).await;
    record(&store, &stream("b"), 0, &["opened"]).await;
    store_one(&store, sync("a", 2, &["withdrawn:3"])).await.expect("stored");
    assert_eq!(state(&store, &FIRST, "a").await, seen(7, "1 2 3"));
    assert_eq!(state(&store, &FIRST, "b").await, None, "another stream's are the worker's");
    worker.catch_up().await;
    assert_eq!(state(&store, &FIRST, "a").await, seen(7, "1 2 3"));
    assert_eq!(state(&store, &FIRST, "b").await, seen(0, "1"));
    // What the worker has done is not done again.
    record(&store, &stream("a"), 3, &["deposited:1"]).await;
    worker.catch_up().await;
    store_one(&store, sync("a", 4, &["withdrawn:1"])).await.expect("stored");
    assert_eq!(state(&store, &FIRST, "a").await, seen(7, "1 2 3 4 5"));
}

/// Checks what its name says: in front of it they are folded with it.
pub async fn events_behind_the_last_synchronous_one_are_left_to_the_worker<S: Store>(store: S) {
    let mut worker = Worker::start(&store, &FIRST).await;
    store_one(&store, sync("a", 0, &["opened", "deposited:5", "withdrawn:1", "deposited:3"])).await.expect("stored");
    assert_eq!(state(&store, &FIRST, "a").await, seen(4, "1 2 3"));
    store_one(&store, sync("a", 4, &["deposited:9"])).await.expect("stored");
    assert_eq!(state(&store, &FIRST, "a").await, seen(4, "1 2 3"));
    worker.catch_up().await;
    assert_eq!(state(&store, &FIRST, "a").await, seen(16, "1 2 3 4 5"));
}

/// Checks what its name says, in partitions: each event once and in its stream's order, whoever comes first.
pub async fn partitions_and_commits_share_the_events_of_a_stream<S: Store>(store: S) {
    let sync =
        |key: &str, expected, events: &[&'static str]| commit_of(&stream(key), expected, events).projected(&[&PARTED]);
    let mut workers = Vec::new();
    for number in 0..4 {
        workers.push(Worker::of_partition(&store, &PARTED, number).await);
    }
    let accounts: Vec<_> = (0..40).map(|number: u32| number.to_string()).collect();
    for account in &accounts {
        store_one(&store, sync(account, 0, &["opened", "deposited:5"])).await.expect("stored");
    }
    // Two partitions are ahead of the other two.
    workers[0].catch_up().await;
    workers[2].catch_up().await;
    for account in &accounts {
        store_one(&store, sync(account, 2, &["withdrawn:1"])).await.expect("stored");
        assert_eq!(state(&store, &PARTED, account).await, seen(4, "1 2 3"), "account {account}");
        record(&store, &stream(account), 3, &["deposited:2"]).await;
    }
    for worker in &mut workers {
        worker.catch_up().await;
    }
    for account in &accounts {
        assert_eq!(state(&store, &PARTED, account).await, seen(6, "1 2 3 4"), "account {account}");
    }
    let keys = workers.iter().map(|worker| worker.id.partition);
    assert!(keys.eq(0..4));
}

/// Checks what its name says, with every way to fail; nothing of the commit is there.
pub async fn a_failed_projection_fails_the_commit<S: Store>(store: S) {
    type Case = (&'static [&'static str], fn(&ProjectionFailure) -> bool);
    register(&store, &FIRST).await;
    store_one(&store, sync("a", 0, &["opened"])).await.expect("stored");
    let failing: [Case; 5] = [
        (&["withdrawn", "refused"], |cause| matches!(cause, ProjectionFailure::Failed { handler: "spoiled", .. })),
        (&["withdrawn", "panicked"], |cause| matches!(cause, ProjectionFailure::Panicked { .. })),
        (&["opened"], |cause| matches!(cause, ProjectionFailure::RowExists { .. })),
        (&["closed", "withdrawn"], |cause| matches!(cause, ProjectionFailure::RowMissing { .. })),
        (&["immeasurable", "withdrawn"], |cause| matches!(cause, ProjectionFailure::Column(_))),
    ];
    for (events, expected) in failing {
        let chain = DecisionChain::new();
        let commit = sync("a", 1, events).chained(&chain).keyed("k").claiming("x").with_snapshot(1, "state");
        match store_one(&store, commit).await {
            Err(AppendError::ProjectionFailed { projection: "balances", cause }) => {
                assert!(expected(&cause), "{events:?}: {cause:?}");
            }
            other => panic!("{events:?}: expected a failed projection, got {other:?}"),
        }
        assert!(chain.is_broken(), "{events:?}");
        assert_eq!(state(&store, &FIRST, "a").await, seen(0, "1"), "{events:?}");
        assert_eq!(version(&store, &stream("a")).await, 1, "{events:?}");
    }
    assert_eq!(store.event_count().await.expect("countable"), 1);
    assert_eq!(store.find("", "k").await.expect("readable"), None);
    assert_eq!(store.snapshot(&stream("a"), 1).await.expect("readable"), None);
    store_one(&store, sync("a", 1, &["immeasurable", "measured"]).keyed("k").claiming("x")).await.expect("stored");
    assert_eq!(state(&store, &FIRST, "a").await, seen(0, "1 2 3"), "what matters is what is stored");
}

/// Checks what its name says.
pub async fn a_projection_that_takes_too_long_fails_the_commit<S: Store>(store: S) {
    register(&store, &FIRST).await;
    store_one(&store, sync("a", 0, &["opened"])).await.expect("stored");
    let refused = store_one(&store, sync("a", 1, &["withdrawn", "slow"])).await;
    match refused {
        Err(AppendError::ProjectionTimedOut { projection: "balances", after }) => assert_eq!(after.as_millis(), 5),
        other => panic!("expected a time-out, got {other:?}"),
    }
    assert_eq!(version(&store, &stream("a")).await, 1);
    assert_eq!(state(&store, &FIRST, "a").await, seen(0, "1"));
    store_one(&store, sync("a", 1, &["withdrawn"])).await.expect("stored");
}

/// Checks what its name says: each kind of failure between commits that succeed, on the same rows.
pub async fn commits_of_a_group_are_projected_alone<S: Store>(store: S) {
    let mut worker = Worker::start(&store, &FIRST).await;
    for round in 0..5_u64 {
        let name = |key: &str| format!("{key}{round}");
        let (a, b) = (name("a"), name("b"));
        let results = store_together(
            &store,
            vec![
                sync(&a, 0, &["opened", "deposited:5"]),
                sync(&b, 0, &["opened"]),
                sync(&a, 2, &["withdrawn:1", "refused"]),
                sync(&a, 2, &["withdrawn:2"]),
                sync(&b, 1, &["withdrawn:1", "slow"]),
                sync(&b, 7, &["withdrawn:1"]),
                sync(&b, 1, &["withdrawn:1"]).claiming(&name("x")),
                sync(&a, 3, &["panicked"]),
                sync(&a, 3, &["withdrawn:9"]).claiming(&name("x")),
                sync(&a, 3, &["withdrawn:1", "closed", "opened"]),
                sync(&a, 6, &["withdrawn:4"]),
            ],
        )
        .await;
        let stored: Vec<_> = results.iter().map(Result::is_ok).collect();
        let expected = [true, true, false, true, false, false, true, false, false, true, true];
        assert_eq!(stored, expected, "{results:?}");
        assert!(matches!(results[2], Err(AppendError::ProjectionFailed { .. })), "{results:?}");
        assert!(matches!(results[4], Err(AppendError::ProjectionTimedOut { .. })), "{results:?}");
        assert!(matches!(results[5], Err(AppendError::Conflict { .. })), "{results:?}");
        assert!(matches!(results[8], Err(AppendError::Claimed { .. })), "{results:?}");
        assert_eq!(state(&store, &FIRST, &a).await, seen(-4, "6 7"));
        assert_eq!(state(&store, &FIRST, &b).await, seen(-1, "1 2"));
        if round % 2 == 0 {
            worker.catch_up().await;
        }
        assert_eq!(state(&store, &FIRST, &a).await, seen(-4, "6 7"), "nothing is done twice");
        assert_eq!(state(&store, &FIRST, &b).await, seen(-1, "1 2"));
    }
}

/// Checks what its name says: neither where a claim is taken nor where another projection refuses it after the first has folded it.
pub async fn a_refused_commit_leaves_nothing_for_those_behind_it<S: Store>(store: S) {
    register(&store, &FIRST).await;
    let mut other = Worker::start(&store, &OTHER).await;
    record(&store, &stream("z"), 0, &["moved:1:c"]).await;
    let mut batch = other.batch(BatchWork::Nothing, None);
    batch.letters = vec![letter(&whole_log(&store, 1).await[0], key_of("", "c").as_str(), Some("why"))];
    other.project(batch).await.expect("stored");
    let both = commit_of(&stream("c"), 1, &["withdrawn:9"]).projected(&[&FIRST, &OTHER]);
    let results = store_together(
        &store,
        vec![
            sync("a", 0, &["opened"]).claiming("x"),
            sync("b", 0, &["opened"]),
            sync("b", 1, &["withdrawn:9"]).claiming("x"),
            sync("b", 1, &["withdrawn:1"]),
            sync("c", 0, &["opened"]),
            both,
            sync("c", 1, &["withdrawn:2"]),
        ],
    )
    .await;
    let stored: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(stored, [true, true, false, true, true, false, true], "{results:?}");
    assert_eq!(state(&store, &FIRST, "b").await, seen(-1, "1 2"));
    assert_eq!(state(&store, &FIRST, "c").await, seen(-2, "1 2"));
}

/// Checks what its name says.
pub async fn many_commits_at_once_are_projected_once_each<S: Store>(store: S) {
    let mut worker = Worker::start(&store, &FIRST).await;
    let opened = store_together(&store, (0..20).map(|key: u32| sync(&key.to_string(), 0, &["opened"])).collect()).await;
    assert!(opened.iter().all(Result::is_ok));
    let chains = store_together(
        &store,
        (0..400_u64).map(|index| sync(&(index % 20).to_string(), 1 + index / 20, &["withdrawn:1"])).collect(),
    )
    .await;
    assert!(chains.iter().all(Result::is_ok));
    worker.catch_up().await;
    let history: Vec<_> = (1..=21).map(|version: u64| version.to_string()).collect();
    for key in 0..20 {
        assert_eq!(state(&store, &FIRST, &key.to_string()).await, seen(-20, &history.join(" ")));
    }
}

/// Checks what its name says: the commit says so and can be repeated when the worker is further.
pub async fn a_commit_far_ahead_of_the_worker_is_refused<S: Store>(store: S) {
    let mut worker = Worker::start(&store, &FIRST).await;
    record(&store, &stream("a"), 0, &["opened", "deposited", "unheard of", "deposited", "deposited"]).await;
    let chain = DecisionChain::new();
    let commit = || with_backlog(sync("a", 5, &["withdrawn"]), 3);
    match store_one(&store, commit().chained(&chain)).await {
        Err(AppendError::ProjectionBehind { projection: "balances", stream: behind, reason }) => {
            assert_eq!(behind, stream("a"));
            assert!(!reason.is_empty());
        }
        other => panic!("expected a projection that is behind, got {other:?}"),
    }
    assert!(chain.is_broken());
    assert_eq!(version(&store, &stream("a")).await, 5);
    assert_eq!(state(&store, &FIRST, "a").await, None);
    // Exactly so many may be pending; what no function takes does not count.
    store_one(&store, with_backlog(sync("a", 5, &["withdrawn"]), 4)).await.expect("four are pending");
    assert_eq!(state(&store, &FIRST, "a").await, seen(2, "1 2 4 5 6"));
    record(&store, &stream("a"), 6, &["deposited", "deposited"]).await;
    assert_behind(&store_one(&store, with_backlog(sync("a", 8, &["withdrawn"]), 1)).await);
    worker.catch_up().await;
    store_one(&store, with_backlog(sync("a", 8, &["withdrawn"]), 0)).await.expect("nothing is pending");
    assert_eq!(state(&store, &FIRST, "a").await, seen(3, "1 2 4 5 6 7 8 9"));
}

/// Checks what its name says: of the stream, or of a row that one of the events changes.
pub async fn a_commit_behind_a_letter_is_refused<S: Store>(store: S) {
    let mut worker = Worker::start(&store, &FIRST).await;
    record(&store, &stream("a"), 0, &["opened", "deposited"]).await;
    record(&store, &stream("b"), 0, &["opened"]).await;
    record(&store, &stream("c"), 0, &["opened"]).await;
    worker.catch_up().await;
    let events = whole_log(&store, 10).await;
    let mut batch = worker.batch(BatchWork::Nothing, None);
    batch.letters = vec![
        // A letter of the stream under the key of another row.
        letter(&events[1], key_of("", "z").as_str(), Some("why")),
        letter(&events[2], key_of("", "b").as_str(), Some("why")),
    ];
    worker.project(batch).await.expect("stored");
    assert_behind(&store_one(&store, sync("a", 2, &["withdrawn"])).await);
    assert_behind(&store_one(&store, sync("b", 1, &["withdrawn"])).await);
    // What is parked is a row that this commit changes too.
    match store_one(&store, sync("c", 1, &["moved:1:b", "withdrawn"])).await {
        // It is another stream's letter: the key says which.
        Err(AppendError::ProjectionBehind { stream: behind, reason, .. }) => {
            assert_eq!(behind, stream("c"));
            assert!(reason.contains(key_of("", "b").as_str()), "{reason}");
        }
        other => panic!("expected a projection that is behind, got {other:?}"),
    }
    assert_behind(&store_one(&store, sync("z", 0, &["opened"])).await);
    // And so it is where the row changes with a pending event.
    record(&store, &stream("c"), 1, &["moved:1:b"]).await;
    assert_behind(&store_one(&store, sync("c", 2, &["withdrawn"])).await);
    store_one(&store, sync("d", 0, &["opened"])).await.expect("it has nothing to do with them");
    store_one(&store, commit_of(&stream("a"), 2, &["deposited"])).await.expect("no synchronous function takes it");
    assert!(store.skip_letter(&worker.id, GlobalPosition::new(3)).await.expect("skipped"));
    store_one(&store, sync("b", 1, &["withdrawn"])).await.expect("the letter is gone");
    assert_behind(&store_one(&store, sync("a", 3, &["withdrawn"])).await);
}

/// Checks what its name says, whatever the store remembers of what it folded.
pub async fn what_was_rewound_is_folded_again_by_the_next_commit<S: Store>(store: S) {
    let mut worker = Worker::start(&store, &FIRST).await;
    store_one(&store, sync("a", 0, &["opened"])).await.expect("stored");
    let opened = store.head().await.expect("readable");
    store_one(&store, sync("a", 1, &["withdrawn:5"])).await.expect("stored");
    worker.catch_up().await;
    assert_eq!(state(&store, &FIRST, "a").await, seen(-5, "1 2"));
    store.rewind("balances", 1, opened).await.expect("rewound");
    store_one(&store, sync("a", 2, &["withdrawn:1"])).await.expect("stored");
    assert_eq!(state(&store, &FIRST, "a").await, seen(-11, "1 2 2 3"));
}

/// Checks what its name says: a worker that gave an event up meanwhile, or held it back, must not have it done twice.
pub async fn what_a_commit_folded_is_not_put_aside<S: Store>(store: S) {
    let mut worker = Worker::start(&store, &FIRST).await;
    record(&store, &stream("a"), 0, &["opened", "deposited:5"]).await;
    store_one(&store, sync("a", 2, &["withdrawn:1"])).await.expect("stored");
    record(&store, &stream("a"), 3, &["deposited:7"]).await;
    let events = whole_log(&store, 10).await;
    let key = key_of("", "a");
    let mut batch = worker.batch(BatchWork::Nothing, Some(4));
    batch.letters = vec![
        letter(&events[1], key.as_str(), Some("why")),
        letter(&events[2], key.as_str(), None),
        letter(&events[3], key.as_str(), None),
    ];
    worker.project(batch).await.expect("stored");
    let found = store.letters("balances", 1, None, 10).await.expect("readable");
    assert_eq!(found.iter().map(|found| found.letter.position.get()).collect::<Vec<_>>(), [4]);
    let mut retry = worker.batch(BatchWork::Fold { projector: projector(&FIRST), events: events[3..].to_vec() }, None);
    retry.settles = Some(GlobalPosition::new(4));
    worker.project(retry).await.expect("handled");
    assert_eq!(state(&store, &FIRST, "a").await, seen(11, "1 2 3 4"));
}

/// Checks what its name says: of another tenant, it is another stream.
pub async fn tenants_do_not_hold_each_other_up<S: Store>(store: S) {
    let mut worker = Worker::start(&store, &FIRST).await;
    record(&store, &stream("a"), 0, &["opened"]).await;
    worker.catch_up().await;
    let events: Vec<Recorded<AnyEvent>> = whole_log(&store, 10).await;
    let mut batch = worker.batch(BatchWork::Nothing, None);
    batch.letters = vec![letter(&events[0], key_of("", "a").as_str(), Some("why"))];
    worker.project(batch).await.expect("stored");
    let acme = stream("a").with_tenant("acme");
    store_one(&store, commit_of(&acme, 0, &["opened"]).projected(&[&FIRST])).await.expect("another tenant's");
    assert_eq!(balance_of(&store, &FIRST, "acme", "a").await.map(|row| row.history), Some("1 ".to_owned()));
    assert_behind(&store_one(&store, sync("a", 1, &["withdrawn"])).await);
}

/// Checks what its name says: a program of another version leaves the projection to the workers.
pub async fn only_the_active_version_is_projected_with_commits<S: Store>(store: S) {
    async fn store_with<S: Store>(store: &S, expected: u64, projection: &'static ProjectionDescriptor) {
        let event = if expected == 0 { "opened" } else { "withdrawn:1" };
        let commit = commit_of(&stream("a"), expected, &[event]).projected(&[projection]);
        store_one(store, commit).await.expect("stored");
    }
    let mut first = Worker::start(&store, &FIRST).await;
    // Nobody has registered this one.
    store_with(&store, 0, &OTHER).await;
    let mut second = Worker::start(&store, &SECOND).await;
    // The second one is being built.
    store_with(&store, 1, &SECOND).await;
    assert_eq!(state(&store, &FIRST, "a").await, None);
    assert_eq!(state(&store, &SECOND, "a").await, None);
    store_with(&store, 2, &FIRST).await;
    assert_eq!(state(&store, &FIRST, "a").await, seen(-2, "1 2 3"));
    let mut batch = second.next().await;
    batch.switch = true;
    assert!(second.project(batch).await.expect("stored").switched);
    assert_eq!(state(&store, &SECOND, "a").await, seen(-2, "1 2 3"));
    // The first one is retired.
    store_with(&store, 3, &FIRST).await;
    assert_eq!(state(&store, &FIRST, "a").await, seen(-2, "1 2 3"));
    store_with(&store, 4, &SECOND).await;
    assert_eq!(state(&store, &SECOND, "a").await, seen(-4, "1 2 3 4 5"));
    first.catch_up().await;
    second.catch_up().await;
    assert_eq!(state(&store, &FIRST, "a").await, seen(-4, "1 2 3 4 5"));
    assert_eq!(state(&store, &SECOND, "a").await, seen(-4, "1 2 3 4 5"));
}

/// Checks what its name says: where the second fails, nothing of the first is there.
pub async fn several_projections_are_stored_together<S: Store>(store: S) {
    register(&store, &FIRST).await;
    let mut other = Worker::start(&store, &OTHER).await;
    let both =
        |expected, events: &[&'static str]| commit_of(&stream("a"), expected, events).projected(&[&FIRST, &OTHER]);
    store_one(&store, both(0, &["opened"])).await.expect("stored");
    store_one(&store, both(1, &["withdrawn:2"])).await.expect("stored");
    for projection in [&FIRST, &OTHER] {
        assert_eq!(state(&store, projection, "a").await, seen(-2, "1 2"));
    }
    // The row of one of them is away.
    store_one(&store, commit_of(&stream("a"), 2, &["closed"]).projected(&[&FIRST])).await.expect("stored");
    store_one(&store, commit_of(&stream("a"), 3, &["opened"]).projected(&[&OTHER])).await.expect("stored");
    assert_eq!(state(&store, &FIRST, "a").await, None);
    assert_eq!(state(&store, &OTHER, "a").await, seen(0, "4"), "it has taken both");
    // No commit has folded this one.
    record(&store, &stream("z"), 0, &["moved:1:a"]).await;
    let events = whole_log(&store, 10).await;
    let mut batch = other.batch(BatchWork::Nothing, None);
    batch.letters = vec![letter(&events[4], key_of("", "a").as_str(), Some("why"))];
    other.project(batch).await.expect("stored");
    match store_one(&store, both(4, &["withdrawn"])).await {
        Err(AppendError::ProjectionBehind { projection: "other", .. }) => {}
        result => panic!("expected the other one's letter, got {result:?}"),
    }
    assert_eq!(state(&store, &FIRST, "a").await, None, "the first one is undone");
    assert_eq!(version(&store, &stream("a")).await, 4);
}

/// Checks what its name says.
pub async fn a_commit_that_is_refused_is_not_projected<S: Store>(store: S) {
    register(&store, &FIRST).await;
    store_one(&store, sync("a", 0, &["opened"]).claiming("x").keyed("k")).await.expect("stored");
    assert_conflict(store_one(&store, sync("a", 0, &["withdrawn"])).await, 0, 1);
    let claimed = store_one(&store, sync("b", 0, &["opened"]).claiming("x")).await;
    assert!(matches!(claimed, Err(AppendError::Claimed { .. })), "{claimed:?}");
    let recorded = store_one(&store, sync("a", 1, &["withdrawn"]).keyed("k")).await;
    assert!(matches!(recorded, Err(AppendError::KeyRecorded(_))), "{recorded:?}");
    let broken = DecisionChain::new();
    broken.break_off();
    let refused = store_one(&store, sync("a", 1, &["withdrawn"]).chained(&broken)).await;
    assert!(matches!(refused, Err(AppendError::ChainBroken)), "{refused:?}");
    // One that would fail in the projection as well says what is wrong with the commit itself.
    assert_conflict(store_one(&store, sync("a", 0, &["refused"])).await, 0, 1);
    store_one(&store, sync("a", 1, &[])).await.expect("confirmed");
    assert_eq!(state(&store, &FIRST, "a").await, seen(0, "1"));
    assert_eq!(state(&store, &FIRST, "b").await, None);
}
