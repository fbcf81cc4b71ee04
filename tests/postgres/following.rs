//! Projections that follow the log while everything happens: they are a fold of it.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use es_runtime::event::StreamId;
use es_runtime::prelude::*;
use es_runtime::store::PostgresStore;

use super::foreign::Foreign;
use super::rights::Role;
use super::{Schema, schema, server_of_its_own, until};
use crate::place::{Place as _, tell};
use crate::random::Random;
use crate::read::child::{self, Running};
use crate::read::domain::{Bank, Deposit, Open};
use crate::read::truth;

/// How many events the test with several processes waits for.
fn events() -> u64 {
    if std::env::var_os("ES_TEST_LONG").is_some_and(|set| set == "1") { 40_000 } else { 3_000 }
}

async fn bank_on(store: PostgresStore) -> App<Bank, PostgresStore> {
    App::builder(store).subscriptions(|options| options.lease_timeout = child::LEASE).build().await.unwrap()
}

/// One transaction is always open. Half of them append accounts, a third is rolled back.
async fn stay_open(schema: &Schema, ended: &AtomicBool) {
    let mut random = Random::new(7);
    let mut open = Foreign::begin(schema).await;
    while !ended.load(Ordering::SeqCst) {
        let reserved = open.reserve(2).await;
        tokio::time::sleep(Duration::from_millis(random.below(40))).await;
        if random.below(2) == 0 {
            let stream = StreamId::new("account", Uuid::now_v7().to_string());
            let opened = ("Opened", r#"{"owner":"foreign","branch":3}"#);
            let deposited = ("Deposited", r#"{"branch":3,"cents":5}"#);
            open.append_events(Some(&reserved), &stream, &[opened, deposited]).await;
        }
        tokio::time::sleep(Duration::from_millis(30 + random.below(400))).await;
        let next = Foreign::begin(schema).await;
        if random.below(3) == 0 {
            open.roll_back().await
        } else {
            open.commit().await
        }
        open = next;
    }
    open.roll_back().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn projections_in_several_processes_miss_nothing_of_what_commits_late() {
    let schema = schema!();
    let bank = bank_on(schema.open().await).await;
    let ended = Arc::new(AtomicBool::new(false));
    let (others, end) = (Schema::at(&schema.address()), Arc::clone(&ended));
    let foreign = tokio::spawn(async move { stay_open(&others, &end).await });
    let mut children: Vec<_> = (1..4).map(|seed| Running(child::start(&schema, seed, None))).collect();
    let heard: Vec<_> = children.iter_mut().map(|child| child::listen(&mut child.0)).collect();
    let began = Instant::now();
    while bank.event_count().await.unwrap() < events() {
        assert!(began.elapsed() < Duration::from_secs(600), "there are no {} events", events());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(children);
    assert!(heard.iter().all(|heard| !heard.lock().unwrap().is_empty()), "a process did nothing");
    ended.store(true, Ordering::SeqCst);
    foreign.await.unwrap();
    truth::check(&bank).await;
    let health = bank.subscriptions().health().borrow().clone();
    assert!(health.is_well(), "{health:#?}");
    eprintln!("{} events in {:?}", bank.event_count().await.unwrap(), began.elapsed());
    bank.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn projections_follow_through_the_deaths_of_their_server() {
    let Some(mut server) = server_of_its_own() else { return };
    let schema = Schema::on(server.url());
    let options = PostgresStore::options().schema(schema.name()).connect_timeout(Duration::from_secs(60));
    let bank = bank_on(options.connect_with(schema.options()).await.unwrap()).await;
    let callers: Vec<_> = (0..4).map(|seed| tokio::spawn(child::dispatch(bank.clone(), seed, drop))).collect();
    for down in [xtask::Cluster::kill, xtask::Cluster::crash, xtask::Cluster::stop, xtask::Cluster::kill] {
        let enough = bank.event_count().await.unwrap() + 150;
        until("there are more events", async || bank.event_count().await.unwrap() >= enough).await;
        tokio::task::block_in_place(|| down(&mut server).and_then(|()| server.start_again())).unwrap();
    }
    let enough = bank.event_count().await.unwrap() + 150;
    until("there are more events", async || bank.event_count().await.unwrap() >= enough).await;
    assert!(callers.iter().all(|caller| !caller.is_finished()));
    for caller in callers {
        caller.abort();
        let _ = caller.await;
    }
    truth::check(&bank).await;
    let health = bank.subscriptions().health().borrow().clone();
    assert!(health.is_well(), "{health:#?}");
    bank.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn projections_run_with_the_documented_rights() {
    let schema = schema!();
    let role = Role::make(&schema).await;
    let bank = bank_on(role.store(&schema).await).await;
    for number in 0..3 {
        let account = child::account(number);
        bank.dispatch(Open { account, owner: "a".into(), branch: 1 }).await.unwrap();
        bank.dispatch(Deposit { account, branch: 1, cents: vec![1, 2] }).await.unwrap();
    }
    truth::check(&bank).await;
    for name in ["balances", "branch_totals", "owners", "fragile"] {
        bank.subscriptions().rebuild(name).await.unwrap();
    }
    truth::check(&bank).await;
    bank.shutdown().await;
    role.end().await;
}

/// How long the server waits for a process that stands still inside a transaction.
const IDLE: Duration = Duration::from_millis(800);

/// A process that stops itself when its commit is folded: its transaction is open, with positions and locks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs as a child process"]
async fn stopper() {
    child::at("append.folded,5", || child::signal("STOP", std::process::id()));
    let (_, address) = crate::place::told();
    let schema = Schema::at(&address);
    let options = PostgresStore::options().schema(schema.name()).idle_in_transaction_timeout(IDLE);
    let store = options.connect_with(schema.options()).await.unwrap();
    let bank: App<Bank, _> = App::builder(store).without_workers().build().await.unwrap();
    for number in 0..10 {
        let account = Uuid::from_u128(0x5700_0000 + number);
        match bank.dispatch(Open { account, owner: "stopper".into(), branch: 1 }).await {
            Ok(receipt) => println!("\nack {account} {} {}", receipt.version(), receipt.position()),
            Err(error) => println!("\nrefused {} {}", error.is_retryable(), error.kind()),
        }
    }
    bank.shutdown().await;
    println!("\nend");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_stands_still_inside_its_transaction_is_not_waited_for() {
    let schema = schema!();
    let bank = bank_on(schema.open().await).await;
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["postgres::following::stopper", "--exact", "--ignored", "--nocapture"]);
    tell(&schema, &mut command);
    let mut stopped = Running(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let process = stopped.0.id();
    until("it stands still", async || child::is_stopped(process)).await;
    // It holds the locks of the projections that this command writes, and a position below.
    let account = child::account(1);
    until("others go on", async || bank.dispatch(Open { account, owner: "me".into(), branch: 0 }).await.is_ok()).await;
    truth::check(&bank).await;
    child::signal("CONT", process);
    let said = tokio::task::spawn_blocking(move || {
        let mut said = String::new();
        std::io::Read::read_to_string(&mut stopped.0.stdout.take().unwrap(), &mut said).unwrap();
        said
    });
    let said = said.await.unwrap();
    let lines = |word: &str| said.lines().filter(|line| line.starts_with(word)).count();
    // What it had in hand is stored once, or refused; the rest goes well.
    assert_eq!((lines("ack ") + lines("refused true "), lines("end")), (10, 1), "{said}");
    assert!(lines("ack ") >= 9, "{said}");
    let opened: Vec<_> = bank.table::<crate::read::domain::Owner>().list().await.unwrap();
    let of_stopper = opened.iter().find(|owner| owner.name == "stopper").unwrap();
    assert_eq!(of_stopper.accounts as usize, lines("ack "));
    truth::check(&bank).await;
    bank.shutdown().await;
}
