//! Connections that break: what was acknowledged is stored once, what was refused is not stored, and the store goes on by itself.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use es_runtime::event::StreamId;
use es_runtime::store::{AppendError, EventStore as _, Ledger as _, PostgresStore};
use es_runtime::testing::contract::fixture::{With as _, commit, store_one, store_together, stream, whole_log};
use futures_util::future::join_all;
use tokio::sync::Notify;

use super::callers::{Callers, named, submit};
use super::proxy::{Act, Proxy};
use super::{Schema, schema, seed, table, until};
use crate::crash::child::Acknowledged;
use crate::place::Place as _;

/// What connects through a proxy gives up after this.
const CONNECT: Duration = Duration::from_secs(60);

/// A store behind a proxy, in a schema whose tables are there already.
async fn behind_a_proxy(schema: &Schema, connect: Duration) -> (Proxy, PostgresStore) {
    schema.open().await.close().await;
    let proxy = Proxy::start(schema.options()).await;
    let options = PostgresStore::options().schema(schema.name()).connect_timeout(connect);
    let store = options.connect_with(proxy.options()).await.unwrap();
    (proxy, store)
}

async fn broken_at_random(seed: u64, between: Range<u64>, rounds: u64) {
    let schema = schema!();
    let (proxy, store) = behind_a_proxy(&schema, CONNECT).await;
    let began = Instant::now();
    proxy.cut_at_random(seed, between);
    // The connection that appends is there already: it breaks at its first use.
    proxy.arm("caller-", Act::CutRequest(0));
    let callers = Callers::start(&store);
    while proxy.broken() < rounds {
        callers.more(1).await;
    }
    proxy.cut_no_more();
    let figures = callers.end(&schema).await;
    eprintln!(
        "seed {seed}: {} of {} connections broken, {figures}, {:?}",
        proxy.broken(),
        proxy.accepted(),
        began.elapsed()
    );
    assert_eq!(figures.uncertain, 0, "the server was there all the time");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_at_random_places_lose_and_double_nothing() {
    broken_at_random(seed(), 300..30_000, 250).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_soon_lose_and_double_nothing() {
    broken_at_random(seed(), 300..6_000, 250).await;
}

/// One commit while something is done to its connection. Gives what the caller was told.
async fn with(
    store: &PostgresStore,
    proxy: &Proxy,
    name: &str,
    act: Act,
) -> Result<es_runtime::store::Committed, AppendError> {
    proxy.arm(format!("{name} 2"), act);
    let told = submit(store, named(name, &StreamId::new("account", name), 0)).await;
    assert!(proxy.has_acted(), "commit {name} was not sent");
    told
}

/// Asserts that each of these acts, done to a commit's connection, leaves the commit stored and acknowledged.
async fn is_stored_in_spite_of(acts: Vec<Act>) {
    let schema = schema!();
    let (proxy, store) = behind_a_proxy(&schema, CONNECT).await;
    let mut acknowledged = Vec::new();
    for (index, act) in acts.into_iter().enumerate() {
        let name = format!("c{index:03}");
        let done = with(&store, &proxy, &name, act.clone()).await.unwrap_or_else(|error| panic!("{act:?}: {error:?}"));
        let (version, position) = (done.version.get(), done.position.get());
        acknowledged.push(Acknowledged { stream: name.clone(), commit: name, version, position, events: 2 });
    }
    let rows = table::rows(&mut schema.connect().await).await;
    table::assert_sound(&rows);
    table::assert_as_told(&rows, &acknowledged);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_request_is_cut_is_stored_once() {
    is_stored_in_spite_of([0, 1, 5, 40, 200, 1_000, 100_000].map(Act::CutRequest).into()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_cut_is_stored_once() {
    is_stored_in_spite_of((0..60).step_by(3).map(Act::CutAnswer).collect()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_comes_after_its_client_gave_up_is_not_done_twice() {
    is_stored_in_spite_of((0..40).map(|millis| Act::Late(Duration::from_millis(millis))).collect()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_comes_while_the_store_looks_is_not_done_twice() {
    let places = ["pg_stat_activity", "pg_terminate_backend", "WITH ORDINALITY AS e (stream_no, version, id, place)"];
    let acts = places.iter().flat_map(|place| [Act::LateBefore(place), Act::LateAfter(place)]);
    is_stored_in_spite_of(acts.clone().chain(acts.clone()).chain(acts).collect()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_of_the_ledger_that_another_process_made_is_not_taken_for_ones_own() {
    let schema = schema!();
    let (proxy, store) = behind_a_proxy(&schema, CONNECT).await;
    let other = schema.open().await;
    let cut = Arc::<Notify>::default();
    // Commits without events leave nothing but their entries. Their output, which is sent with the group alone, stands in quotes.
    proxy.arm("\"mine\"", Act::CutWhen(Arc::clone(&cut)));
    let both = [("one", "ours"), ("two", "mine")].map(|(name, key)| commit(&stream(name), 0, 0).keyed(key));
    let (one, group) = (store.clone(), both.to_vec());
    let answers = tokio::spawn(async move { store_together(&one, group).await });
    until("the group is on its way", async || proxy.has_acted()).await;
    store_one(&other, commit(&stream("one"), 0, 0).keyed("ours")).await.unwrap();
    cut.notify_one();
    let answers = answers.await.unwrap();
    assert!(matches!(answers[..], [Err(AppendError::KeyRecorded(_)), Ok(_)]), "{answers:?}");
    assert!(store.find("", "mine").await.unwrap().is_some(), "it was acknowledged");
    store.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_without_a_server_answers_and_goes_on_when_it_is_back() {
    let schema = schema!();
    let (proxy, store) = behind_a_proxy(&schema, Duration::from_secs(1)).await;
    for (index, act) in [Act::CutAnswer(0), Act::CutRequest(0)].into_iter().enumerate() {
        proxy.close(true);
        let name = format!("lost{index}");
        // It was on its way: nobody can say.
        let told = with(&store, &proxy, &name, act.clone()).await;
        assert!(matches!(told, Err(AppendError::Uncertain { .. })), "{act:?}: {told:?}");
        // It never was.
        let began = Instant::now();
        let told = submit(&store, named("never", &StreamId::new("account", "never"), 0)).await;
        assert!(matches!(&told, Err(AppendError::Store(error)) if error.is_retryable()), "{told:?}");
        assert!(began.elapsed() < Duration::from_secs(60));
        proxy.close(false);
        let there = format!("there{index}");
        store_one(&store, named(&there, &StreamId::new("account", &*there), 0)).await.unwrap();
    }
    let log = whole_log(&store, 100).await;
    let streams: Vec<_> = log.iter().map(|event| event.stream().key()).collect();
    assert_eq!(streams, ["lost0", "lost0", "there0", "there0", "there1", "there1"]);
    store.close().await;
}

/// A store whose server has this long for a statement, behind a proxy.
async fn impatient(schema: &Schema) -> (Proxy, PostgresStore) {
    schema.open().await.close().await;
    let proxy = Proxy::start(schema.options()).await;
    let options = PostgresStore::options().schema(schema.name()).statement_timeout(Duration::from_secs(1));
    let store = options.connect_with(proxy.options()).await.unwrap();
    (proxy, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_on_which_nothing_comes_any_more_is_given_up() {
    let schema = schema!();
    let (proxy, store) = impatient(&schema).await;
    let done = with(&store, &proxy, "silent", Act::Silence).await.unwrap();
    assert_eq!(done.version.get(), 2);
    assert_eq!(whole_log(&store, 100).await.len(), 2);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_gone_without_a_word_is_given_up_on_all_connections() {
    let schema = schema!();
    let (proxy, store) = impatient(&schema).await;
    // Connections of every kind are in use.
    let reads = (0..6).map(|_| store.read_all(es_runtime::event::GlobalPosition::START, 10));
    join_all(reads).await;
    let foreign = super::foreign::Foreign::begin(&schema).await;
    store_one(&store, named("before", &StreamId::new("account", "before"), 0)).await.unwrap();
    proxy.silence();
    let began = Instant::now();
    submit(&store, named("behind", &StreamId::new("account", "behind"), 0)).await.unwrap();
    foreign.roll_back().await;
    let log = loop {
        match store.read_all(es_runtime::event::GlobalPosition::START, 10).await {
            Ok(log) if log.len() == 4 => break log,
            Ok(_) => {}
            Err(error) => assert!(error.is_retryable(), "{error:?}"),
        }
        assert!(began.elapsed() < Duration::from_secs(240), "the log does not come");
    };
    assert_eq!(log[3].stream().key(), "behind");
    eprintln!("everything works again after {:?}", began.elapsed());
    store.close().await;
}
