//! Another server takes the place of the one that a program knows, and lacks its last commits: a backup was restored, or a replica became the
//! primary. The program lives on. Nothing of what it knew of the lost commits gets into the new history.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use es_runtime::event::GlobalPosition;
use es_runtime::prelude::*;
use es_runtime::store::{Batch, BatchError, BatchWork, EventStore as _, postgres::PostgresDurability};
use es_runtime::subscription::{StopReason, SubscriptionState};
use es_runtime::testing::contract::fixture::{append, stream, whole_log};
use es_runtime::testing::contract::read_side::{FIRST, Worker, positions, record};
use futures_util::TryStreamExt as _;
use xtask::Cluster;

use super::foreign::Foreign;
use super::{Schema, schema, server_of_its_own, until};
use crate::domain::{Account, AccountEvent, Bank, Deposit, Deposited, Gateway, OpenWith, Opened, Withdraw, Withdrawn};

async fn patient(schema: &Schema) -> PostgresStore {
    let options = PostgresStore::options().schema(schema.name()).connect_timeout(Duration::from_secs(60));
    options.connect_with(schema.options()).await.unwrap()
}

/// How a server ends.
type End = fn(&mut Cluster) -> Result<(), String>;

/// Takes a backup of a server: its files as they are once it has ended. Programs that are connected live on.
fn back_up(server: &mut Cluster, end: End) {
    tokio::task::block_in_place(|| {
        end(server).and_then(|()| server.copy_files()).and_then(|()| server.start_again()).unwrap();
    });
}

/// Kills the server, and starts the backup in its place.
fn restore(server: &mut Cluster) {
    tokio::task::block_in_place(|| {
        server.kill().and_then(|()| server.put_copy_back()).and_then(|()| server.start_again()).unwrap();
    });
}

/// The next numbers of streams, and the next position.
async fn next_numbers(schema: &Schema) -> (i64, i64) {
    let next = "SELECT (SELECT last_value + 1024 FROM stream_numbers), (SELECT max(position) + 1 FROM event_log)";
    sqlx::query_as(next).fetch_one(&mut schema.connect().await).await.unwrap()
}

/// Sets the sequences back, so that the numbers of the lost commits are given again. A server does so where it lost them, too.
async fn number_again(schema: &Schema, (streams, position): (i64, i64)) {
    let set = |sequence, next| format!("ALTER SEQUENCE {sequence} RESTART WITH {next};");
    schema.raw(&(set("stream_numbers", streams) + &set("event_positions", position))).await;
}

async fn names(store: &PostgresStore) -> Vec<String> {
    whole_log(store, 100).await.iter().map(|event| event.stream().key().to_owned()).collect()
}

/// A stream of the new history may have the number of one that is lost.
async fn names_are_read_again(end: End) {
    let Some(mut server) = server_of_its_own() else { return };
    let schema = Schema::on(server.url());
    let store = patient(&schema).await;
    append(&store, &stream("before"), 0, 1).await;
    back_up(&mut server, end);
    let numbers = next_numbers(&schema).await;
    // Another process, whose numbers are a block of their own.
    append(&patient(&schema).await, &stream("lost"), 0, 1).await;
    assert_eq!(names(&store).await, ["before", "lost"]);
    let history = store.history();
    assert!(!history.is_over());
    restore(&mut server);
    number_again(&schema, numbers).await;
    append(&patient(&schema).await, &stream("new"), 0, 1).await;
    assert_eq!(names(&store).await, ["before", "new"]);
    assert!(history.is_over() && !store.history().is_over());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_streams_are_read_again_from_the_backup_of_a_server_that_was_killed() {
    names_are_read_again(Cluster::kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_streams_are_read_again_from_the_backup_of_a_server_that_was_stopped() {
    names_are_read_again(Cluster::stop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_is_waited_for_again_where_readers_had_passed_lost_positions() {
    let Some(mut server) = server_of_its_own() else { return };
    let schema = Schema::on(server.url());
    let store = patient(&schema).await;
    append(&store, &stream("before"), 0, 1).await;
    back_up(&mut server, Cluster::kill);
    let numbers = next_numbers(&schema).await;
    // A gap that readers pass, and lost events behind it.
    let mut foreign = Foreign::begin(&schema).await;
    foreign.reserve(3).await;
    foreign.roll_back().await;
    append(&store, &stream("lost"), 0, 5).await;
    until("the reader has passed them", async || names(&store).await.len() == 6).await;
    restore(&mut server);
    number_again(&schema, numbers).await;
    let mut foreign = Foreign::begin(&schema).await;
    foreign.append(None, &stream("late"), &["late 1".to_owned()]).await;
    append(&patient(&schema).await, &stream("behind"), 0, 1).await;
    for _ in 0..10 {
        let page = store.read_all(GlobalPosition::START, 100).await.unwrap();
        assert_eq!(page.len(), 1, "it has passed the gap");
    }
    foreign.commit().await;
    assert_eq!(names(&store).await, ["before", "late", "behind"]);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_lost_events_is_refused() {
    let Some(mut server) = server_of_its_own() else { return };
    let schema = Schema::on(server.url());
    let store = patient(&schema).await;
    record(&store, &stream("a"), 0, &["opened", "deposited:5"]).await;
    let mut worker = Worker::start(&store, &FIRST).await;
    worker.catch_up().await;
    back_up(&mut server, Cluster::kill);
    record(&store, &stream("a"), 2, &["deposited:7"]).await;
    let in_hand = worker.next().await;
    let nothing = Batch { work: BatchWork::Nothing, ..in_hand.clone() };
    restore(&mut server);
    for batch in [in_hand, nothing] {
        let refused = worker.project(batch).await;
        assert!(matches!(refused, Err(BatchError::Fenced)), "{refused:?}");
    }
    assert_eq!(positions(&store, &FIRST).await, [store.head().await.unwrap().get()]);
    store.close().await;
}

/// The server recovers from the death of one of its processes without a new start, and may have lost what was not flushed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_a_server_that_goes_on_is_another_history_and_a_lost_connection_is_none() {
    let Some(server) = server_of_its_own() else { return };
    let schema = Schema::on(server.url());
    let options = PostgresStore::options().schema(schema.name()).connect_timeout(Duration::from_secs(60));
    let store = options.durability(PostgresDurability::ProcessCrash).connect_with(schema.options()).await.unwrap();
    append(&store, &stream("before"), 0, 1).await;
    // It is written by now.
    schema.raw("CHECKPOINT").await;
    let history = store.history();
    schema
        .raw("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = current_setting('application_name') AND pid <> pg_backend_pid()")
        .await;
    append(&store, &stream("between"), 0, 1).await;
    assert_eq!(names(&store).await, ["before", "between"]);
    assert!(!history.is_over(), "only connections were lost");
    let mut connection = schema.connect().await;
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await.unwrap();
    assert!(std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
    until("it is noticed", async || {
        store.head().await.unwrap();
        history.is_over()
    })
    .await;
    store.close().await;
}

/// Behind the log.
#[read_model(table = "sums")]
pub struct Sum {
    #[key]
    pub account: Uuid,
    pub cents: i64,
    pub events: u32,
}

#[projection(name = "sums", version = 1)]
impl Sum {
    #[async_projection]
    fn opened(event: &Recorded<Opened>) -> Self {
        Self { account: event.id_of::<Account>(), cents: 0, events: 1 }
    }

    #[async_projection]
    fn deposited(&mut self, event: &Recorded<Deposited>) {
        self.cents += event.cents;
        self.events += 1;
    }

    #[async_projection]
    fn withdrawn(&mut self, event: &Recorded<Withdrawn>) {
        self.cents -= event.cents;
        self.events += 1;
    }
}

domain! { pub Sums = "sums"; domains: [Bank]; projections: [Sum] }

async fn sums(schema: &Schema) -> App<Sums, PostgresStore> {
    App::builder(patient(schema).await).dependency(Gateway::default()).build().await.unwrap()
}

/// What the rows have to be: a fold of the log, in which no account is ever below zero.
async fn truth(app: &App<Sums, PostgresStore>) -> BTreeMap<Uuid, (i64, u32)> {
    let mut sums: BTreeMap<Uuid, (i64, u32)> = BTreeMap::new();
    let mut events = app.events();
    while let Some(event) = events.try_next().await.unwrap() {
        let event = event.decode_as::<Account>().unwrap();
        let (cents, count) = sums.entry(event.id_of::<Account>()).or_default();
        *cents += match event.event() {
            AccountEvent::Deposited(deposited) => deposited.cents,
            AccountEvent::Withdrawn(withdrawn) => -withdrawn.cents,
            _ => 0,
        };
        *count += 1;
        assert!(*cents >= 0, "an account is at {cents}");
    }
    sums
}

pub async fn assert_rows_are_the_fold(app: &App<Sums, PostgresStore>) {
    app.caught_up().await.unwrap();
    let rows = app.table::<Sum>().list().await.unwrap();
    let rows: BTreeMap<_, _> = rows.into_iter().map(|row| (row.account, (row.cents, row.events))).collect();
    assert_eq!(rows, truth(app).await);
    until("its health knows the new head", async || {
        let health = app.subscriptions().health();
        health.borrow().subscriptions.iter().all(|it| {
            // Of a partition that the other process runs, its health is what this one knew last.
            it.state == SubscriptionState::WaitingForLease
                || it.lag_events == 0 && it.state == SubscriptionState::CaughtUp
        })
    })
    .await;
}

pub fn account(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub fn opened(number: u128, cents: i64) -> OpenWith {
    OpenWith { account: account(number), owner: format!("owner {number}"), cents: vec![cents] }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_decided_on_a_lost_event_and_new_ones_are_projected() {
    let Some(mut server) = server_of_its_own() else { return };
    let schema = Schema::on(server.url());
    let (one, two) = (sums(&schema).await, sums(&schema).await);
    one.dispatch(opened(1, 100)).await.unwrap();
    one.caught_up().await.unwrap();
    back_up(&mut server, Cluster::kill);
    let numbers = next_numbers(&schema).await;
    one.dispatch(Deposit::of(account(1), 1_000)).await.unwrap();
    one.caught_up().await.unwrap();
    two.caught_up().await.unwrap();
    restore(&mut server);
    number_again(&schema, numbers).await;
    // The same version of the account, at the same position, is another event.
    two.dispatch(Deposit::of(account(1), 1)).await.unwrap();
    let refused = one.dispatch(Withdraw { account: account(1), cents: 500 }).await;
    assert!(matches!(refused, Err(DispatchError::Domain(_))), "{refused:?}");
    assert_rows_are_the_fold(&one).await;
    assert_rows_are_the_fold(&two).await;
    let row = two.table::<Sum>().get(&account(1)).await.unwrap().unwrap();
    assert_eq!((row.cents, row.events), (101, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_under_load_go_on_with_what_the_new_server_has() {
    let Some(mut server) = server_of_its_own() else { return };
    let schema = Schema::on(server.url());
    let apps = [Arc::new(sums(&schema).await), Arc::new(sums(&schema).await)];
    for number in 0..6 {
        apps[0].dispatch(opened(number, 100)).await.unwrap();
    }
    let ended = Arc::new(AtomicBool::new(false));
    let mut tasks = tokio::task::JoinSet::new();
    for (place, app) in (0_u128..8).zip(apps.iter().cycle()) {
        let (app, ended) = (Arc::clone(app), Arc::clone(&ended));
        tasks.spawn(async move {
            let mut done = 0;
            while !ended.load(Ordering::SeqCst) {
                let of = account((place + done) % 6);
                let _ = app.dispatch(Deposit::of(of, 60)).await;
                let _ = app.dispatch(Withdraw { account: of, cents: 70 }).await;
                let _ = app.dispatch(opened(1_000 + place * 100_000 + done, 5)).await;
                done += 1;
            }
        });
    }
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        back_up(&mut server, Cluster::kill);
        let before = apps[0].event_count().await.unwrap();
        until("more is stored", async || apps[0].event_count().await.unwrap() > before + 100).await;
        restore(&mut server);
    }
    let before = apps[0].event_count().await.unwrap();
    until("they go on", async || apps[0].event_count().await.unwrap() > before + 100).await;
    ended.store(true, Ordering::SeqCst);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    for app in &apps {
        assert_rows_are_the_fold(app).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_behind_the_end_of_the_log_stops_its_projection() {
    let schema = schema!();
    let app = sums(&schema).await;
    app.dispatch(opened(1, 100)).await.unwrap();
    app.caught_up().await.unwrap();
    app.shutdown().await;
    // As if the log alone came from an older backup.
    schema.raw("UPDATE subscriptions SET position = position + 5").await;
    let app = sums(&schema).await;
    let health = app.subscriptions().health();
    until("it stops", async || {
        let health = health.borrow();
        let ahead = |state: &SubscriptionState| {
            matches!(state, SubscriptionState::Stopped { reason: StopReason::AheadOfLog { .. }, .. })
        };
        assert!(health.subscriptions.iter().all(|it| it.state != SubscriptionState::CaughtUp));
        !health.is_well() && health.subscriptions.iter().all(|it| ahead(&it.state))
    })
    .await;
    app.dispatch(Deposit::of(account(1), 1)).await.unwrap();
    app.subscriptions().rebuild("sums").await.unwrap();
    app.subscriptions().resume("sums").await.unwrap();
    assert_rows_are_the_fold(&app).await;
}
