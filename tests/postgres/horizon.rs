//! A reader at a gap: what stands in front of it comes, what stands behind it waits until the gap is closed.

use std::time::{Duration, Instant};

use es_runtime::event::{GlobalPosition, Recorded};
use es_runtime::store::{EventStore as _, PostgresStore};
use es_runtime::testing::contract::fixture::{append, commit, store_one, stream, whole_log, within};
use futures_util::{StreamExt as _, TryStreamExt as _};
use sqlx::{Connection as _, Executor as _};

use super::foreign::Foreign;
use super::{Schema, schema, until};
use crate::crash;
use crate::place::Place as _;
use crate::read::child::signal;

/// Longer than any read takes that finds a gap, on whatever machine. What it could wait for does not end.
const BOUND: Duration = Duration::from_secs(60);

/// What a follower knows of others within this was told to it: it looks by itself each second only where it is a follower of an application.
const TOLD: Duration = Duration::from_secs(60);

async fn positions(store: &PostgresStore, after: i64, limit: usize) -> Vec<i64> {
    let began = Instant::now();
    let page = store.read_all(GlobalPosition::new(after.cast_unsigned()), limit).await.unwrap();
    assert!(began.elapsed() < BOUND, "a page took {:?}", began.elapsed());
    page.iter().map(|event| event.position().get().cast_signed()).collect()
}

/// Waits to be told, as a follower does, until the whole log is a number of events long.
async fn told_of(store: &PostgresStore, count: usize) -> Vec<i64> {
    let mut watch = store.watch();
    let told = async {
        loop {
            watch.mark_unchanged();
            let log = positions(store, 0, 1_000).await;
            if log.len() == count {
                return log;
            }
            watch.changed().await.unwrap();
        }
    };
    tokio::time::timeout(TOLD, told).await.unwrap_or_else(|_| panic!("nobody said that there are {count} events"))
}

/// Two events, then a gap of two that a foreign transaction may fill, then two more.
async fn with_a_gap(schema: &Schema) -> (PostgresStore, Foreign, Vec<i64>, Vec<i64>) {
    let store = schema.open().await;
    append(&store, &stream("before"), 0, 2).await;
    let before = positions(&store, 0, 10).await;
    let mut foreign = Foreign::begin(schema).await;
    let gap = foreign.reserve(2).await;
    append(&store, &stream("behind"), 0, 2).await;
    assert_eq!(before.len(), 2);
    (store, foreign, before, gap)
}

#[tokio::test]
async fn a_gap_that_may_be_filled_ends_the_page() {
    let schema = schema!();
    let (store, mut foreign, before, gap) = with_a_gap(&schema).await;
    for limit in [3, 4, 1_000] {
        assert_eq!(positions(&store, 0, limit).await, before);
    }
    // Small pages come to the gap, and no further.
    assert_eq!(positions(&store, 0, 1).await, before[..1]);
    assert_eq!(positions(&store, before[1], 1).await, [0_i64; 0]);
    assert_eq!(positions(&store, before[1], 1_000).await, [0_i64; 0]);
    // Written is not yet committed.
    foreign.append(Some(&gap), &stream("late"), &["a".into(), "b".into()]).await;
    assert_eq!(positions(&store, 0, 1_000).await, before);
    foreign.commit().await;
    let all = told_of(&store, 6).await;
    assert_eq!(all[..4], [before, gap].concat());
    let log = whole_log(&store, 3).await;
    let streams: Vec<_> = log.iter().map(|event| event.stream().key()).collect();
    assert_eq!(streams, ["before", "before", "late", "late", "behind", "behind"]);
    store.close().await;
}

#[tokio::test]
async fn a_gap_that_is_rolled_back_is_passed() {
    let schema = schema!();
    let (store, mut foreign, before, gap) = with_a_gap(&schema).await;
    foreign.append(Some(&gap), &stream("never"), &["a".into(), "b".into()]).await;
    assert_eq!(positions(&store, 0, 1_000).await, before);
    foreign.roll_back().await;
    let all = told_of(&store, 4).await;
    assert!(gap.iter().all(|position| !all.contains(position)));
    // A reader that begins anew does not stop there any more.
    assert_eq!(positions(&store, 0, 1_000).await, all);
    store.close().await;
}

#[tokio::test]
async fn a_gap_is_passed_when_its_process_is_gone() {
    let schema = schema!();
    let (store, foreign, before, _) = with_a_gap(&schema).await;
    assert_eq!(positions(&store, 0, 1_000).await, before);
    // Its session ends, as that of a process that was killed.
    drop(foreign);
    told_of(&store, 4).await;
    store.close().await;
}

#[tokio::test]
async fn every_gap_counts_on_its_own() {
    let schema = schema!();
    let (store, first, before, _) = with_a_gap(&schema).await;
    let mut second = Foreign::begin(&schema).await;
    let gap = second.reserve(1).await;
    append(&store, &stream("behind both"), 0, 1).await;
    assert_eq!(positions(&store, 0, 1_000).await, before);
    first.roll_back().await;
    // The first gap may be passed from now on, the second may not.
    for _ in 0..10 {
        let some = positions(&store, 0, 1_000).await;
        assert!(some.iter().all(|position| *position < gap[0]), "{some:?} is behind {gap:?}");
    }
    second.append(Some(&gap), &stream("late"), &["a".into()]).await;
    second.commit().await;
    let all = told_of(&store, 6).await;
    assert_eq!((all[4], all.is_sorted()), (gap[0], true));
    store.close().await;
}

#[tokio::test]
async fn readers_of_several_processes_wait_at_one_gap() {
    let schema = schema!();
    let (store, mut foreign, before, gap) = with_a_gap(&schema).await;
    let others = [schema.open().await, schema.open().await];
    for other in &others {
        assert_eq!(positions(other, 0, 1_000).await, before);
    }
    foreign.append(Some(&gap), &stream("late"), &["a".into(), "b".into()]).await;
    foreign.commit().await;
    for each in others.iter().chain([&store]) {
        assert_eq!(told_of(each, 6).await[2..4], gap);
    }
    for each in others.iter().chain([&store]) {
        each.close().await;
    }
}

#[tokio::test]
async fn an_open_transaction_keeps_no_writer_waiting() {
    let schema = schema!();
    let (store, foreign, ..) = with_a_gap(&schema).await;
    let began = Instant::now();
    for version in 0..20 {
        store_one(&store, commit(&stream("busy"), version, 1)).await.unwrap();
    }
    assert!(began.elapsed() < BOUND, "20 commits took {:?}", began.elapsed());
    foreign.roll_back().await;
    told_of(&store, 24).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_is_stopped_stops_nobody() {
    let schema = schema!();
    let store = schema.open().await;
    let mut writer = crash::child::start(&schema, 60);
    let (process, (tell, mut told)) = (writer.id(), tokio::sync::mpsc::unbounded_channel());
    let heard = std::thread::spawn(move || {
        let acknowledged = crash::child::acknowledged(&mut writer, |count| {
            let _ = tell.send(count);
            false
        });
        assert!(writer.wait().unwrap().success());
        acknowledged
    });
    for round in 1..=3 {
        // In the middle of its work, wherever that is.
        while within(told.recv()).await.unwrap() < round * 80 {}
        signal("STOP", process);
        let began = Instant::now();
        let mine = stream(&format!("mine-{round}"));
        for version in 0..10 {
            store_one(&store, commit(&mine, version, 1)).await.unwrap();
        }
        until("the log is read to its end", async || {
            let head = store.head().await.unwrap().get().cast_signed();
            positions(&store, 0, 2_000).await.last() == Some(&head)
        })
        .await;
        assert!(began.elapsed() < Duration::from_secs(10), "others waited for {:?}", began.elapsed());
        signal("CONT", process);
    }
    let acknowledged = tokio::task::spawn_blocking(move || heard.join().unwrap()).await.unwrap();
    assert_eq!(acknowledged.len(), 6 * 60, "it goes on as if nothing had happened");
    let rows = super::table::rows(&mut schema.connect().await).await;
    super::table::assert_sound(&rows);
    store.close().await;
}

#[tokio::test]
async fn an_open_transaction_that_does_not_append_keeps_no_reader_waiting() {
    let schema = schema!();
    let store = schema.open().await;
    // A transaction id of its own, older than all others: a horizon made of transaction ids would stand still.
    let mut idle = schema.connect().await;
    idle.execute("BEGIN; SELECT pg_current_xact_id()").await.unwrap();
    append(&store, &stream("a"), 0, 1).await;
    let mut gap = Foreign::begin(&schema).await;
    gap.reserve(1).await;
    gap.roll_back().await;
    append(&store, &stream("b"), 0, 1).await;
    told_of(&store, 2).await;
    idle.close().await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_refused_commit_leaves_a_gap_that_is_passed() {
    let schema = schema!();
    let (store, other) = (schema.open().await, schema.open().await);
    append(&store, &stream("hot"), 0, 1).await;
    append(&other, &stream("hot"), 1, 1).await;
    // On trust in what it remembers, the first store takes a position, and the constraint refuses it.
    let refused = store_one(&store, commit(&stream("hot"), 1, 1)).await;
    assert!(refused.unwrap_err().is_conflict());
    append(&store, &stream("hot"), 2, 1).await;
    let log = told_of(&store, 3).await;
    assert!(log[2] - log[1] > 1, "there is no gap: {log:?}");
    store.close().await;
    other.close().await;
}

#[tokio::test]
async fn a_prepared_transaction_delays_and_loses_nothing() {
    let schema = schema!();
    let (store, mut foreign, before, gap) = with_a_gap(&schema).await;
    let limit: String =
        sqlx::query_scalar("SHOW max_prepared_transactions").fetch_one(foreign.connection()).await.unwrap();
    if limit == "0" {
        eprintln!("NOT RUN: the server has `max_prepared_transactions = 0`");
        return;
    }
    let name = schema.name();
    foreign.append(Some(&gap), &stream("late"), &["a".into(), "b".into()]).await;
    // A reader waits for it already when it is prepared.
    assert_eq!(positions(&store, 0, 1_000).await, before);
    let mut connection = foreign.end(&format!("PREPARE TRANSACTION '{name}'")).await;
    assert_eq!(positions(&store, 0, 1_000).await, before);
    // Also one that begins after that.
    let other = schema.open().await;
    assert_eq!(positions(&other, 0, 1_000).await, before);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(positions(&store, 0, 1_000).await, before);
    connection.execute(sqlx::AssertSqlSafe(format!("COMMIT PREPARED '{name}'"))).await.unwrap();
    for each in [&store, &other] {
        assert_eq!(told_of(each, 6).await[2..4], gap);
        each.close().await;
    }
}

#[tokio::test]
async fn what_waits_at_a_gap_is_followed_in_order() {
    let schema = schema!();
    let (store, mut foreign, before, gap) = with_a_gap(&schema).await;
    let follower = schema.open().await;
    let (tell, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let task = tokio::spawn(async move {
        let (mut watch, mut after) = (follower.watch(), GlobalPosition::START);
        loop {
            watch.mark_unchanged();
            let page = follower.read_all(after, 2).await.unwrap();
            after = page.last().map_or(after, Recorded::position);
            for event in &page {
                let _ = tell.send(event.position().get().cast_signed());
            }
            if page.is_empty() {
                let _ = tokio::time::timeout(follower.poll_interval().unwrap(), watch.changed()).await;
            }
        }
    });
    for expected in before {
        assert_eq!(within(seen.recv()).await, Some(expected));
    }
    foreign.append(Some(&gap), &stream("late"), &["a".into(), "b".into()]).await;
    // More comes meanwhile.
    let last = store_one(&store, commit(&stream("behind"), 2, 1)).await.unwrap();
    foreign.commit().await;
    let mut rest = Vec::new();
    for _ in 0..5 {
        rest.push(within(seen.recv()).await.unwrap());
    }
    assert_eq!(rest[..2], gap);
    assert!(rest.is_sorted());
    assert_eq!(rest[4].cast_unsigned(), last.position.get());
    task.abort();
    store.close().await;
}

#[tokio::test]
async fn whoever_reads_the_whole_log_takes_no_open_gap_for_its_end() {
    let schema = schema!();
    // Built before there is a gap: the first program that claims looks for its events in the whole log.
    let app = crate::domain::bank(schema.open().await).await;
    let (_store, foreign, before, _) = with_a_gap(&schema).await;
    let mut log = app.events();
    for position in before {
        assert_eq!(within(log.next()).await.unwrap().unwrap().position().get().cast_signed(), position);
    }
    let early = tokio::time::timeout(Duration::from_millis(300), log.next()).await;
    assert!(early.is_err(), "what the gap hides was taken for nothing: {early:?}");
    foreign.roll_back().await;
    let rest: Vec<_> = within(log.try_collect()).await.unwrap();
    assert_eq!(rest.len(), 2);
    app.shutdown().await;
}

/// Anybody may notify.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_of_anybody_is_a_reason_to_look_and_no_more() {
    let schema = schema!();
    let (store, other) = (schema.open().await, schema.open().await);
    let mut head = store.watch();
    append(&other, &stream("a"), 0, 1).await;
    let end = append(&other, &stream("a"), 1, 1).await.position;
    until("the head is known", async || *head.borrow_and_update() == end).await;
    let channel = format!("es_{}", schema.name());
    for payload in ["18446744073709551615", "9223372036854775807", "-1", "", "news"] {
        schema.raw(&format!("SELECT pg_notify('{channel}', '{payload}')")).await;
    }
    let end = append(&other, &stream("a"), 2, 1).await.position;
    until("the next event is heard of", async || *head.borrow_and_update() == end).await;
    assert_eq!(*store.watch().borrow(), end);
    store.close().await;
    other.close().await;
}
