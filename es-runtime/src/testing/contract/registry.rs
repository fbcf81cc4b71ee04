//! Versions of projections: known once, built beside each other, switched when nothing is left.

use futures_util::future::join_all;

use super::fixture::*;
use super::read_side::*;
use crate::event::GlobalPosition;
use crate::projection::ProjectionDescriptor;
use crate::read_model::{ColumnDescriptor, ColumnType, Selection, TableDescriptor};
use crate::store::{
    Batch, BatchError, BatchWork, LeaseRequest, ProcessId, RegisterError, Store, StoreError, SubscriptionStatus,
    VersionState,
};

async fn states<S: Store>(store: &S, name: &str) -> Vec<(u32, VersionState)> {
    let mut known = store.projections().await.expect("readable");
    known.sort_by_key(|version| version.version);
    known.into_iter().filter(|version| version.name == name).map(|version| (version.version, version.state)).collect()
}

fn with_switch(mut batch: Batch) -> Batch {
    batch.switch = true;
    batch
}

/// Checks what its name says.
pub async fn a_projection_is_registered_once<S: Store>(store: S) {
    assert_eq!(store.projections().await.expect("readable"), []);
    register(&store, &PARTED).await;
    register(&store, &PARTED).await;
    let known = store.projections().await.expect("readable");
    let [version] = &known[..] else { panic!("one version, not {known:?}") };
    assert_eq!((version.name.as_str(), version.version, version.partitions), ("parted", 1, 4));
    assert_eq!(version.table, PARTED.table.expect("a table").describe());
    assert_eq!(version.state, VersionState::Active);
    let found = checkpoints(&store, &PARTED).await;
    assert!((0..4).map(|number| partition(&PARTED, number)).eq(found.iter().map(|checkpoint| checkpoint.id.clone())));
    assert!(found.iter().all(|checkpoint| checkpoint.position == GlobalPosition::START && checkpoint.owner.is_none()));
    assert_eq!(checkpoints(&store, &OTHER).await, []);
}

/// Checks what its name says.
pub async fn many_may_register_at_once<S: Store>(store: S) {
    let tasks = (0..20).map(|index| {
        let store = store.clone();
        let projection: &'static ProjectionDescriptor = [&FIRST, &SECOND, &OTHER][index % 3];
        tokio::spawn(async move { store.register(projection, None).await })
    });
    // Which one comes first is open: a second version that comes before the first leaves no room for it.
    for registered in join_all(tasks.collect::<Vec<_>>()).await {
        let registered = registered.expect("no panic");
        assert!(matches!(registered, Ok(()) | Err(RegisterError::Dropped { version: 1, .. })), "{registered:?}");
    }
    let known = store.projections().await.expect("readable");
    let active: Vec<_> = known.iter().filter(|version| version.state == VersionState::Active).collect();
    assert_eq!(active.len(), 2, "one of each projection: {known:?}");
}

/// Checks what its name says, and that the difference is shown.
pub async fn a_changed_table_wants_a_new_version<S: Store>(store: S) {
    static CHANGED: TableDescriptor = TableDescriptor {
        name: "balances",
        columns: &[
            BALANCES.columns[0],
            BALANCES.columns[1],
            ColumnDescriptor { name: "history", ty: ColumnType::Json, nullable: true, key: false, index: false },
            BALANCES.columns[3],
        ],
    };
    static OTHER_TABLE: ProjectionDescriptor = ProjectionDescriptor { table: Some(&CHANGED), ..FIRST };
    static NO_TABLE: ProjectionDescriptor = ProjectionDescriptor { table: None, ..FIRST };
    register(&store, &FIRST).await;
    match store.register(&OTHER_TABLE, None).await {
        Err(RegisterError::TableChanged { projection, version: 1, difference }) => {
            assert_eq!(projection, "balances");
            let lines: Vec<_> = difference.lines().collect();
            assert!(lines.iter().any(|line| line.starts_with('-') && line.contains("history: text")), "{difference}");
            assert!(
                lines.iter().any(|line| line.starts_with('+') && line.contains("history: json nullable")),
                "{difference}"
            );
            assert!(!lines.iter().any(|line| line.starts_with(['+', '-']) && line.contains("cents")), "{difference}");
        }
        other => panic!("expected a changed table, got {other:?}"),
    }
    let none = store.register(&NO_TABLE, None).await;
    assert!(matches!(none, Err(RegisterError::TableChanged { .. })), "{none:?}");
}

/// Checks what its name says.
pub async fn another_number_of_partitions_wants_a_new_version<S: Store>(store: S) {
    static MORE: ProjectionDescriptor = ProjectionDescriptor { partitions: 8, ..PARTED };
    register(&store, &PARTED).await;
    let refused = store.register(&MORE, None).await;
    assert!(
        matches!(refused, Err(RegisterError::PartitionsChanged { version: 1, stored: 4, declared: 8, .. })),
        "{refused:?}"
    );
    assert_eq!(checkpoints(&store, &PARTED).await.len(), 4);
}

/// Checks what its name says, and that nothing of the refused projection is known.
pub async fn a_table_belongs_to_one_projection<S: Store>(store: S) {
    static THIEF: ProjectionDescriptor = ProjectionDescriptor { name: "thief", ..FIRST };
    register(&store, &FIRST).await;
    let refused = store.register(&THIEF, None).await;
    assert!(matches!(refused, Err(RegisterError::TableExists { .. })), "{refused:?}");
    assert_eq!(states(&store, "thief").await, []);
}

/// Checks what its name says.
pub async fn a_later_version_is_built_beside_the_active_one<S: Store>(store: S) {
    register(&store, &FIRST).await;
    record(&store, &stream("a"), 0, &["opened", "deposited:5"]).await;
    let mut first = Worker::start(&store, &FIRST).await;
    first.catch_up().await;
    let mut second = Worker::start(&store, &SECOND).await;
    assert_eq!(states(&store, "balances").await, [(1, VersionState::Active), (2, VersionState::Building)]);
    assert_eq!(second.position, GlobalPosition::START);
    assert!(!second.catch_up().await.switched, "only where it is asked for");
    assert_eq!(states(&store, "balances").await, [(1, VersionState::Active), (2, VersionState::Building)]);
    let batch = with_switch(second.next().await);
    assert!(second.project(batch).await.expect("stored").switched);
    assert_eq!(states(&store, "balances").await, [(1, VersionState::Retired), (2, VersionState::Active)]);
    // It may still be read, and go on.
    assert_eq!(state(&store, &FIRST, "a").await, seen(5, "1 2"));
    record(&store, &stream("a"), 2, &["deposited:1"]).await;
    first.catch_up().await;
    assert_eq!(state(&store, &FIRST, "a").await, seen(6, "1 2 3"));
    register(&store, &FIRST).await;
    assert_eq!(states(&store, "balances").await, [(1, VersionState::Retired), (2, VersionState::Active)]);
}

/// Checks what its name says: the batch is stored all the same.
pub async fn a_switch_is_refused_while_events_are_left<S: Store>(store: S) {
    register(&store, &FIRST).await;
    record(&store, &stream("a"), 0, &["opened"]).await;
    let mut second = Worker::start(&store, &SECOND).await;
    let batch = with_switch(second.next().await);
    record(&store, &stream("b"), 0, &["opened"]).await;
    assert!(!second.project(batch).await.expect("stored").switched);
    assert_eq!(state(&store, &SECOND, "a").await, seen(0, "1"));
    assert_eq!(positions(&store, &SECOND).await, [1]);
    assert_eq!(states(&store, "balances").await, [(1, VersionState::Active), (2, VersionState::Building)]);
    let batch = with_switch(second.next().await);
    assert!(second.project(batch).await.expect("stored").switched);
    // It is the active one already.
    let batch = with_switch(second.batch(BatchWork::Nothing, None));
    assert!(!second.project(batch).await.expect("stored").switched);
}

/// Checks what its name says.
pub async fn a_switch_waits_for_every_partition<S: Store>(store: S) {
    register(&store, &PARTED).await;
    for account in ["a", "b", "c", "d", "e"] {
        record(&store, &stream(account), 0, &["opened"]).await;
    }
    for number in 0..4 {
        let mut worker = Worker::of_partition(&store, &PARTED_SECOND, number).await;
        let batch = with_switch(worker.next().await);
        let switched = worker.project(batch).await.expect("stored").switched;
        assert_eq!(switched, number == 3, "partition {number}");
    }
    assert_eq!(states(&store, "parted").await, [(1, VersionState::Retired), (2, VersionState::Active)]);
}

/// Checks what its name says, while others append: what a version that takes over has not seen is appended later.
pub async fn a_switch_holds_appends_off_while_it_looks<S: Store>(store: S) {
    register(&store, &FIRST).await;
    record(&store, &stream("b"), 0, &["opened"]).await;
    let mut second = Worker::start(&store, &SECOND).await;
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for version in 0..300 {
                store_one(
                    &store,
                    commit_of(&stream("a"), version, &[if version == 0 { "opened" } else { "deposited" }])
                        .projected(&[&SECOND]),
                )
                .await
                .expect("stored");
            }
        }
    });
    let switching = async {
        loop {
            let batch = with_switch(second.next().await);
            if second.project(batch).await.expect("stored").switched {
                break;
            }
        }
    };
    within(switching).await;
    within(writer).await.expect("no panic");
    second.catch_up().await;
    let expected: Vec<_> = (1..=300).map(|version: u64| version.to_string()).collect();
    assert_eq!(state(&store, &SECOND, "a").await, seen(299, &expected.join(" ")));
}

/// Checks what its name says: tables, checkpoints, letters; and that a program of that version is told so.
pub async fn retired_versions_are_dropped<S: Store>(store: S) {
    assert_eq!(store.drop_retired("balances").await.expect("nothing there"), 0);
    register(&store, &FIRST).await;
    record(&store, &stream("a"), 0, &["opened"]).await;
    let mut first = Worker::start(&store, &FIRST).await;
    let event = whole_log(&store, 10).await.remove(0);
    let mut batch = first.next().await;
    batch.letters = vec![letter(&event, "k", Some("why"))];
    first.project(batch).await.expect("stored");
    let mut second = Worker::start(&store, &SECOND).await;
    assert_eq!(store.drop_retired("balances").await.expect("dropped"), 0, "the active one serves");
    let batch = with_switch(second.next().await);
    second.project(batch).await.expect("stored");
    assert_eq!(store.drop_retired("other").await.expect("another"), 0);
    assert_eq!(store.drop_retired("balances").await.expect("kept"), 0, "a living process runs it");
    assert_eq!(state(&store, &FIRST, "a").await, seen(0, "1"));
    store.leave(first.process).await.expect("left");
    assert_eq!(store.drop_retired("balances").await.expect("dropped"), 1);
    assert_eq!(store.drop_retired("balances").await.expect("dropped"), 0);

    assert_eq!(states(&store, "balances").await, [(2, VersionState::Active)]);
    assert_eq!(checkpoints(&store, &FIRST).await, []);
    assert_eq!(store.letters("balances", 1, None, 10).await.expect("readable"), []);
    let gone = store.count(table(&FIRST), &Selection::default()).await;
    assert!(matches!(gone, Err(StoreError::Gone { .. })), "{gone:?}");
    assert_eq!(state(&store, &SECOND, "a").await, seen(0, "1"));
    let batch = first.next().await;
    let fenced = first.project(batch).await;
    assert!(matches!(fenced, Err(BatchError::Fenced)), "{fenced:?}");
    let old = store.register(&FIRST, None).await;
    assert!(matches!(old, Err(RegisterError::Dropped { version: 1, active: 2, .. })), "{old:?}");
    let lease = LeaseRequest { process: ProcessId::new(), timeout: LONG, wanted: vec![partition(&FIRST, 0)] };
    let gone = store.lease(&lease).await;
    assert!(matches!(gone, Err(StoreError::Gone { .. })), "{gone:?}");
}

/// Checks what its name says: a worker under way is fenced off, and the rows come again from the log.
pub async fn a_reset_begins_anew<S: Store>(store: S) {
    register(&store, &FIRST).await;
    record(&store, &stream("a"), 0, &["opened", "deposited:5"]).await;
    let mut worker = Worker::start(&store, &FIRST).await;
    let event = whole_log(&store, 10).await.remove(0);
    let mut batch = worker.next().await;
    batch.letters = vec![letter(&event, "k", None)];
    worker.project(batch).await.expect("stored");
    // What a commit folded is folded anew as well.
    store_one(&store, commit_of(&stream("b"), 0, &["opened", "withdrawn:1"]).projected(&[&FIRST]))
        .await
        .expect("stored");
    register(&store, &OTHER).await;
    store.reset(&FIRST, None).await.expect("reset");

    assert_eq!(state(&store, &FIRST, "a").await, None);
    assert_eq!(state(&store, &FIRST, "b").await, None);
    assert_eq!(states(&store, "balances").await, [(1, VersionState::Building)]);
    assert_eq!(positions(&store, &FIRST).await, [0]);
    assert_eq!(checkpoints(&store, &FIRST).await[0].letters, 0);
    let batch = worker.next().await;
    let fenced = worker.project(batch).await;
    assert!(matches!(fenced, Err(BatchError::Fenced)), "{fenced:?}");
    let request = LeaseRequest { process: worker.process, timeout: LONG, wanted: vec![worker.id.clone()] };
    let lease = store.lease(&request).await.expect("readable").remove(0);
    assert!(lease.epoch > worker.epoch, "the same owner goes on under another epoch");
    (worker.epoch, worker.position) = (lease.epoch, lease.position);
    worker.catch_up().await;
    assert_eq!(state(&store, &FIRST, "a").await, seen(5, "1 2"));
    assert_eq!(state(&store, &FIRST, "b").await, seen(-1, "1 2"));
    let batch = with_switch(worker.batch(BatchWork::Nothing, None));
    assert!(worker.project(batch).await.expect("stored").switched);
    assert_eq!(states(&store, "balances").await, [(1, VersionState::Active)]);
}

/// Checks what its name says: what is read is never a part of the history.
pub async fn a_first_version_is_built_before_it_serves<S: Store>(store: S) {
    record(&store, &stream("a"), 0, &["opened", "deposited:5"]).await;
    let mut worker = Worker::start(&store, &FIRST).await;
    assert_eq!(states(&store, "balances").await, [(1, VersionState::Building)]);
    // A commit of that time is the worker's: the projection is not active.
    store_one(&store, commit_of(&stream("a"), 2, &["withdrawn:1"]).projected(&[&FIRST])).await.expect("stored");
    assert_eq!(state(&store, &FIRST, "a").await, None);
    let batch = with_switch(worker.next().await);
    assert!(worker.project(batch).await.expect("stored").switched);
    assert_eq!(states(&store, "balances").await, [(1, VersionState::Active)]);
    assert_eq!(state(&store, &FIRST, "a").await, seen(4, "1 2 3"));
}

/// Checks what its name says.
pub async fn what_is_asked_of_an_unknown_version_says_so<S: Store>(store: S) {
    register(&store, &FIRST).await;
    let asked = [
        store.reset(&SECOND, None).await,
        store.rewind("balances", 2, GlobalPosition::START).await,
        store.set_status("balances", 2, None, SubscriptionStatus::Paused).await,
        store.set_status("balances", 1, Some(1), SubscriptionStatus::Paused).await,
    ];
    for unknown in asked {
        assert!(matches!(unknown, Err(StoreError::Gone { .. })), "{unknown:?}");
    }
}
