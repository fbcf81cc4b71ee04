//! Every event once, in order, whatever fails.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;

use super::fixture::*;
use super::shaky::Shaky;
use crate::event::{AnyEvent, GlobalPosition, Recorded};
use crate::handler::{Dependencies, Dependency};
use crate::projection::{
    BoxFuture, External, ExternalHandler, Fold, FoldSession, ProjectionDescriptor, ProjectionFailure, ProjectionStyle,
    Projections, Projector,
};
use crate::read_model::RowKey;
use crate::store::{CheckpointStore, MemoryStore, SubscriptionStatus};
use crate::subscription::{RewindError, StopReason, SubscriptionState, Subscriptions};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_is_folded_once_through_random_failures_of_the_store() {
    for seed in 1..6 {
        let store = Shaky::new(20, seed * 7_919);
        let small = crate::subscription::SubscriptionOptions { batch: 7, ..options() };
        let subscriptions = start(&store, balances(&BALANCES, HANDLERS), small).await;
        let mut last = GlobalPosition::START;
        for round in 0..40_i64 {
            for key in ["a", "b", "c"] {
                last = pay(&store.inner, key, &[round, 1]).await;
            }
        }
        passed(&subscriptions, "balances", last).await;
        for key in ["a", "b", "c"] {
            let expected: Vec<_> = (1..=80).map(|version| format!("{key}/{version}")).collect();
            assert_eq!(seen(&store.inner, key).await, expected.join(" "));
        }
        assert!(store.faults.failures.load(Ordering::SeqCst) > 5, "nothing failed");
        subscriptions.shutdown().await;
    }
}

#[tokio::test]
async fn an_event_that_comes_after_an_idle_time_is_there_at_once() {
    let store = MemoryStore::new();
    // Longer than anybody waits below.
    let slow = crate::subscription::SubscriptionOptions { poll: Duration::from_hours(1), ..Default::default() };
    let subscriptions = start(&store, balances(&BALANCES, HANDLERS), slow).await;
    state(&subscriptions, |state| *state == SubscriptionState::CaughtUp).await;
    for _ in 0..20 {
        let position = pay(&store, "a", &[1]).await;
        passed(&subscriptions, "balances", position).await;
    }
}

#[tokio::test]
async fn a_lost_wake_up_costs_time_only() {
    let store = Shaky::new(0, 1);
    store.faults.silent.store(true, Ordering::SeqCst);
    let subscriptions = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    state(&subscriptions, |state| *state == SubscriptionState::CaughtUp).await;
    let position = pay(&store.inner, "a", &[1]).await;
    passed(&subscriptions, "balances", position).await;
    assert_eq!(seen(&store.inner, "a").await, "a/1");
}

#[tokio::test]
async fn a_gap_in_the_log_stops_the_subscription_and_says_where() {
    let store = Shaky::new(0, 1);
    pay(&store.inner, "a", &[1, 2]).await;
    store.faults.lost.store(4, Ordering::SeqCst);
    pay(&store.inner, "b", &[1, 2, 3]).await;
    let subscriptions = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    let health = state(&subscriptions, |state| matches!(state, SubscriptionState::Stopped { .. })).await;
    let SubscriptionState::Stopped { reason: StopReason::Gap(gap), .. } = &health.subscriptions[0].state else {
        panic!("{health:?}")
    };
    let found = (gap.stream.clone(), gap.expected.get(), gap.found.get(), gap.position.get());
    assert_eq!(found, (account("b"), 2, 3, 5));
    assert!(!health.is_well());
    // Nothing behind the gap was handled; when the log is whole again it goes on.
    assert_eq!(seen(&store.inner, "b").await, "");
    store.faults.lost.store(0, Ordering::SeqCst);
    subscriptions.control().resume("balances").await.unwrap();
    passed(&subscriptions, "balances", GlobalPosition::new(5)).await;
    assert_eq!(seen(&store.inner, "b").await, "b/1 b/2 b/3");
}

#[tokio::test]
async fn a_gap_before_the_first_page_of_a_worker_is_found_too() {
    let store = Shaky::new(0, 1);
    let first = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    let position = pay(&store.inner, "a", &[1, 2]).await;
    passed(&first, "balances", position).await;
    first.shutdown().await;
    pay(&store.inner, "a", &[3, 4]).await;
    store.faults.lost.store(3, Ordering::SeqCst);
    let second = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    let health = state(&second, |state| matches!(state, SubscriptionState::Stopped { .. })).await;
    assert!(format!("{health:?}").contains("LogGap"), "{health:?}");
}

/// What an external projection is called with.
#[derive(Default)]
struct Outside {
    calls: Mutex<Vec<(u64, bool)>>,
    /// Fails on these cents, so often.
    fails: Mutex<Vec<(i64, usize)>>,
}
impl Dependency for Outside {}

fn call<'a>(
    (): &'a (),
    dependencies: &'a Dependencies,
    events: &'a [Recorded<AnyEvent>],
) -> BoxFuture<'a, Result<(), ProjectionFailure>> {
    Box::pin(async move {
        let outside = dependencies.take::<Outside>().unwrap();
        for event in events {
            let paid: Paid = serde_json::from_slice(&event.event().body).unwrap();
            let mut fails = outside.fails.lock();
            let fault = fails.iter_mut().find(|(cents, left)| *cents == paid.cents && *left > 0);
            let well = fault.is_none();
            if let Some((_, left)) = fault {
                *left -= 1;
            }
            outside.calls.lock().push((event.position().get(), well));
            assert!(paid.cents != -1 || well, "a panic of the function");
            if !well {
                return Err(failed("tell", "nobody there"));
            }
        }
        Ok(())
    })
}

const TELLS: ProjectionDescriptor = ProjectionDescriptor {
    name: "tells",
    version: 1,
    type_name: "Tells",
    style: ProjectionStyle::External,
    table: None,
    partitions: 1,
    renamed_from: None,
    resets: false,
    handlers: &[handler("tell", "paid", PLAIN)],
};

async fn outside(
    store: &MemoryStore,
    slices: bool,
    fails: &[(i64, usize)],
) -> (Subscriptions<MemoryStore>, Arc<Outside>) {
    const ONE: &[ExternalHandler<()>] = &[ExternalHandler { slices: false, run: call }];
    const MANY: &[ExternalHandler<()>] = &[ExternalHandler { slices: true, run: call }];
    let outside = Arc::new(Outside::default());
    *outside.fails.lock() = fails.to_vec();
    let mut dependencies = Dependencies::default();
    dependencies.insert(Arc::clone(&outside));
    let mut projections = Projections::default();
    projections.external(External::new(&TELLS, (), if slices { MANY } else { ONE }));
    let subscriptions = Subscriptions::start(projections, store.clone(), Arc::new(dependencies), options(), true);
    (subscriptions.await.unwrap(), outside)
}

#[tokio::test]
async fn an_external_function_is_called_for_each_event_and_again_after_a_failure() {
    for slices in [false, true] {
        let store = MemoryStore::new();
        pay(&store, "a", &[1, 2, 3]).await;
        let position = pay(&store, "b", &[4]).await;
        let (subscriptions, outside) = outside(&store, slices, &[(2, 2)]).await;
        passed(&subscriptions, "tells", position).await;
        let calls = outside.calls.lock().clone();
        let done: Vec<u64> = calls.iter().filter(|(_, well)| *well).map(|(position, _)| *position).collect();
        assert_eq!(done.iter().copied().collect::<std::collections::BTreeSet<_>>(), (1..=4).collect());
        assert_eq!(calls.iter().filter(|(_, well)| !well).count(), 2);
        assert!(done.is_sorted(), "{done:?}");
        assert!(slices || done == [1, 2, 3, 4], "without slices nothing is repeated: {done:?}");
    }
}

#[tokio::test]
async fn an_external_function_that_fails_for_good_parks_its_stream_alone() {
    let store = MemoryStore::new();
    pay(&store, "a", &[1, -1, 3]).await;
    let position = pay(&store, "b", &[4]).await;
    let (subscriptions, outside) = outside(&store, false, &[(-1, usize::MAX)]).await;
    passed(&subscriptions, "tells", position).await;
    let done: Vec<u64> = outside.calls.lock().iter().filter(|(_, well)| *well).map(|(position, _)| *position).collect();
    assert_eq!(done, [1, 4]);
    let letters = subscriptions.control().letters("tells", None, 10).await.unwrap();
    let found: Vec<_> = letters.iter().map(|it| (it.letter.position.get(), it.letter.attempts)).collect();
    assert_eq!(found, [(2, 4), (3, 0)]);
    assert!(letters[0].letter.cause.as_deref().unwrap().contains("panic"), "{letters:?}");
    // It heals, and the order is kept.
    outside.fails.lock().clear();
    outside.calls.lock().clear();
    let retried = subscriptions.control().retry("tells", None).await.unwrap();
    assert_eq!((retried.handled, retried.waiting, retried.failed.len()), (2, 0, 0));
    assert_eq!(*outside.calls.lock(), [(2, true), (3, true)]);
}

#[tokio::test]
async fn an_external_projection_is_rewound_to_any_position() {
    let store = MemoryStore::new();
    let position = pay(&store, "a", &[1, 2, 3]).await;
    let (subscriptions, outside) = outside(&store, false, &[]).await;
    passed(&subscriptions, "tells", position).await;
    outside.calls.lock().clear();
    subscriptions.control().rewind("tells", GlobalPosition::new(1)).await.unwrap();
    let done = async {
        while outside.calls.lock().len() < 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, done).await.unwrap();
    assert_eq!(*outside.calls.lock(), [(2, true), (3, true)]);
}

#[tokio::test]
async fn an_external_projection_is_not_rewound_past_the_end_of_the_log() {
    let store = MemoryStore::new();
    let head = pay(&store, "a", &[1, 2, 3]).await;
    let (subscriptions, outside) = outside(&store, false, &[]).await;
    passed(&subscriptions, "tells", head).await;
    let to = GlobalPosition::new(head.get() + 1);
    let refused = subscriptions.control().rewind("tells", to).await;
    let Err(RewindError::PastHead { name, to: named, head: end }) = refused else { panic!("{refused:?}") };
    assert_eq!((&*name, named, end), ("tells", to, head));
    // Nothing changed: what comes next is handled once.
    let position = pay(&store, "b", &[4]).await;
    passed(&subscriptions, "tells", position).await;
    assert_eq!(outside.calls.lock().iter().map(|(position, _)| *position).collect::<Vec<_>>(), [1, 2, 3, 4]);
    // The end itself is no event that is skipped.
    subscriptions.control().rewind("tells", position).await.unwrap();
}

#[tokio::test]
async fn an_event_that_is_read_twice_is_folded_once() {
    let store = Shaky::new(0, 1);
    store.faults.twice.store(2, Ordering::SeqCst);
    let position = pay(&store.inner, "a", &[1, 2, 3]).await;
    let subscriptions = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    passed(&subscriptions, "balances", position).await;
    assert_eq!(seen(&store.inner, "a").await, "a/1 a/2 a/3");
}

/// Panics where no panic is caught.
struct Panics(Fold<Balance>);

impl Projector for Panics {
    fn descriptor(&self) -> &'static ProjectionDescriptor {
        self.0.descriptor()
    }
    fn begin(&self) -> Box<dyn FoldSession> {
        panic!("no memory for {}", self.descriptor().name)
    }
    fn sequence_keys(&self, event: &Recorded<AnyEvent>) -> Vec<RowKey> {
        self.0.sequence_keys(event)
    }
}

#[tokio::test]
async fn a_worker_that_panics_stops_visibly_for_all_processes() {
    let store = MemoryStore::new();
    pay(&store, "a", &[1]).await;
    let mut projections = Projections::default();
    projections.folded(Panics(Fold::new(&BALANCES, HANDLERS)));
    let subscriptions = start(&store, projections, options()).await;
    let panicked = |state: &SubscriptionState| matches!(state, SubscriptionState::Stopped { reason: StopReason::Panicked { message }, .. } if message.contains("no memory"));
    state(&subscriptions, panicked).await;
    subscriptions.shutdown().await;
    let checkpoints = store.checkpoints("balances", 1).await.unwrap();
    assert!(
        matches!(&checkpoints[0].status, SubscriptionStatus::Stopped { reason, .. } if reason.contains("no memory"))
    );
}
