//! Somebody else's transaction stays open, and holds what a commit needs. Those who need something else do not wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use es_runtime::event::StreamId;
use es_runtime::store::{AppendError, DecisionChain, EventStore as _, PostgresStore, StoreError};
use es_runtime::testing::contract::fixture::{With as _, append, commit, store_one, stream, version, within};
use futures_util::future::join_all;
use tokio::task::JoinHandle;

use super::foreign::Foreign;
use super::{Schema, schema};
use crate::place::Place as _;
use crate::random::Random;

fn is_locked(answer: &Result<es_runtime::store::Committed, AppendError>) -> bool {
    matches!(answer, Err(AppendError::Store(error @ StoreError::Locked { .. })) if error.is_retryable())
}

/// A transaction that holds the first versions of some streams.
async fn holding(schema: &Schema, streams: &[StreamId]) -> Foreign {
    let mut foreign = Foreign::begin(schema).await;
    for stream in streams {
        foreign.append(None, stream, &["held".to_owned()]).await;
    }
    foreign
}

/// Begins one stream after the other, and counts.
fn others(store: &PostgresStore, count: &Arc<AtomicUsize>) -> JoinHandle<()> {
    let (store, count) = (store.clone(), Arc::clone(count));
    tokio::spawn(async move {
        for number in 0.. {
            append(&store, &stream(&format!("other {number}")), 0, 1).await;
            count.fetch_add(1, Ordering::SeqCst);
        }
    })
}

/// Callers on streams that are held: each is told so, some times. Meanwhile one on other streams goes on.
async fn one_goes_on_while_others_wait(held: &[StreamId]) {
    let schema = schema!();
    let store = schema.open().await;
    let foreign = holding(&schema, held).await;
    let count = Arc::new(AtomicUsize::new(0));
    let others = others(&store, &count);
    let callers = held.iter().cycle().take(10).map(async |stream| {
        for _ in 0..3 {
            let answer = store_one(&store, commit(stream, 0, 1)).await;
            assert!(is_locked(&answer), "{answer:?}");
        }
    });
    join_all(callers).await;
    others.abort();
    let count = count.load(Ordering::SeqCst);
    eprintln!("{count} commits went through meanwhile");
    // Each of the callers waited for three seconds; ten commits in twenty seconds was what it was like before.
    assert!(count > 100, "{count} commits went through meanwhile");
    foreign.roll_back().await;
    for stream in held {
        append(&store, stream, 0, 1).await;
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_held_holds_nobody_else_up() {
    one_goes_on_while_others_wait(&[stream("held")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_that_are_held_hold_nobody_else_up() {
    let held: Vec<_> = (0..10).map(|number| stream(&format!("held {number}"))).collect();
    one_goes_on_while_others_wait(&held).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_wait_are_stored_in_their_order_once_the_stream_is_free() {
    let schema = schema!();
    let store = schema.open().await;
    let held = stream("held");
    let foreign = holding(&schema, std::slice::from_ref(&held)).await;
    let chain = DecisionChain::new();
    let mut tickets = Vec::new();
    for number in 0..40 {
        tickets.push(store.submit(commit(&held, number, 1).chained(&chain)).await);
        tickets.push(store.submit(commit(&stream(&format!("other {number}")), 0, 1)).await);
    }
    let mut tickets = tickets.into_iter();
    let (mut waiting, mut free) = (Vec::new(), Vec::new());
    while let (Some(one), Some(other)) = (tickets.next(), tickets.next()) {
        waiting.push(one);
        free.push(other);
    }
    for answer in join_all(free).await {
        answer.expect("nothing is in its way");
    }
    assert_eq!(version(&store, &held).await, 0);
    foreign.roll_back().await;
    let answers = within(join_all(waiting)).await;
    // The first ones may have waited for too long; then nothing that stands on them is stored.
    let stored = answers.iter().filter(|answer| answer.is_ok()).count() as u64;
    assert!(stored == 40 || stored == 0 && chain.is_broken(), "{answers:?}");
    assert_eq!(version(&store, &held).await, stored);
    append(&store, &held, stored, 1).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_closed_answers_those_who_wait() {
    let schema = schema!();
    let store = schema.open().await;
    let held = stream("held");
    let foreign = holding(&schema, std::slice::from_ref(&held)).await;
    let waiting = [store.submit(commit(&held, 0, 1)).await, store.submit(commit(&held, 0, 1)).await];
    within(store.close()).await;
    for answer in within(join_all(waiting)).await {
        assert!(is_locked(&answer), "{answer:?}");
    }
    foreign.roll_back().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_waits_for_the_winner_of_a_stream_gets_its_conflict() {
    let schema = schema!();
    let store = schema.open().await;
    let held = stream("held");
    let foreign = holding(&schema, std::slice::from_ref(&held)).await;
    let waiting = store.submit(commit(&held, 0, 1)).await;
    append(&store, &stream("other"), 0, 1).await;
    foreign.commit().await;
    let answer = within(waiting).await;
    assert!(matches!(answer, Err(AppendError::Conflict { .. })) || is_locked(&answer), "{answer:?}");
    store.close().await;
}

/// Somebody holds one stream after the other for a while, under load. What a caller was told is what is stored: the first so many of a chain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_held_for_a_while_chains_are_stored_from_their_beginning() {
    let schema = schema!();
    let store = schema.open().await;
    let ended = Arc::new(AtomicBool::new(false));
    let holder = {
        let ended = Arc::clone(&ended);
        let schema = Schema::at(&schema.address());
        tokio::spawn(async move {
            let mut random = Random::new(1);
            while !ended.load(Ordering::SeqCst) {
                let streams: Vec<_> = (0..3).map(|_| stream(&format!("s{}", random.below(600)))).collect();
                let mut foreign = Foreign::begin(&schema).await;
                for stream in &streams {
                    // It may be there already, or be on its way.
                    if foreign.try_append_events(None, stream, &[("made", "held")]).await.is_err() {
                        break;
                    }
                }
                tokio::time::sleep(Duration::from_millis(random.below(1_500))).await;
                foreign.roll_back().await;
            }
        })
    };
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..8_u64 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut told = Vec::new();
            for number in 0..75 {
                let stream = stream(&format!("s{}", caller + 8 * number));
                let chain = DecisionChain::new();
                let mut tickets = Vec::new();
                for version in 0..4 {
                    tickets.push(store.submit(commit(&stream, version, 1).chained(&chain)).await);
                }
                let answers = within(join_all(tickets)).await;
                let stored = answers.iter().take_while(|answer| answer.is_ok()).count();
                assert!(answers[stored..].iter().all(|answer| !answer.is_ok()), "{answers:?}");
                told.push((stream, stored as u64));
            }
            told
        });
    }
    let mut whole = 0;
    while let Some(told) = tasks.join_next().await {
        for (stream, stored) in told.unwrap() {
            assert_eq!(version(&store, &stream).await, stored, "{stream}");
            whole += u64::from(stored == 4);
        }
    }
    ended.store(true, Ordering::SeqCst);
    holder.await.unwrap();
    eprintln!("{whole} of 600 chains were stored whole");
    assert!(whole > 300, "{whole}");
    store.close().await;
}
