//! Poison, pauses, stops: what a subscription does when things go wrong, and how it is mended.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::store::Store;
use es_runtime::subscription::SubscriptionState;
use tokio::time::Instant;

use super::domain::{Account, Bank, Core, Deposit, Deposited, Fragile, Open, Opened, Withdraw, break_for, heal_for};
use super::truth;
use crate::domain::on_every_store;

on_every_store! {
    a_poison_event_parks_its_key_in_order_and_the_others_go_on,
    a_letter_can_be_skipped_alone,
    a_paused_subscription_goes_on_where_it_was,
    an_external_view_gets_every_event_at_least_once_in_order,
    an_external_view_that_fails_for_a_while_is_tried_again,
    a_subscription_that_stops_says_why,
}

async fn bank<S: Store>(store: S) -> App<Bank, S> {
    App::builder(store).build().await.unwrap()
}

async fn account_with<S: Store>(bank: &App<Bank, S>, cents: Vec<i64>) -> Uuid {
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into(), branch: 1 }).await.unwrap();
    bank.dispatch(Deposit { account, branch: 1, cents }).await.unwrap();
    account
}

async fn taken<S: Store>(bank: &App<Bank, S>, account: Uuid) -> Vec<i64> {
    bank.table::<Fragile>().get(&account).await.unwrap().unwrap().taken
}

async fn a_poison_event_parks_its_key_in_order_and_the_others_go_on<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = account_with(&bank, vec![1]).await;
    bank.caught_up().await.unwrap();
    break_for(account);
    bank.dispatch(Deposit { account, branch: 1, cents: vec![2, 3] }).await.unwrap();
    bank.caught_up().await.unwrap();
    // By now the function would take them; they wait behind the one that failed all the same.
    heal_for(account);
    bank.dispatch(Deposit { account, branch: 1, cents: vec![4] }).await.unwrap();
    let other = account_with(&bank, vec![9]).await;
    bank.caught_up().await.unwrap();
    assert_eq!(taken(&bank, account).await, [1]);
    assert_eq!(taken(&bank, other).await, [9]);

    let letters = bank.subscriptions().letters("fragile", None, 10).await.unwrap();
    let causes: Vec<_> = letters.iter().map(|letter| letter.letter.cause.as_deref()).collect();
    assert_eq!(causes, [Some("`deposited` panicked: broken"), None, None]);
    assert!(letters.iter().all(|letter| letter.letter.stream == Account::stream(&account)));

    // A retry that fails changes nothing but the letter's count of tries.
    break_for(account);
    let retried = bank.subscriptions().retry("fragile", None).await.unwrap();
    assert_eq!((retried.handled, retried.failed.len()), (0, 1));
    assert_eq!(taken(&bank, account).await, [1]);
    heal_for(account);
    let retried = bank.subscriptions().retry("fragile", None).await.unwrap();
    assert_eq!((retried.handled, retried.failed.len()), (3, 0));
    assert_eq!(taken(&bank, account).await, [1, 2, 3, 4]);
    bank.dispatch(Deposit { account, branch: 1, cents: vec![5] }).await.unwrap();
    truth::check(&bank).await;
}

async fn a_letter_can_be_skipped_alone<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = account_with(&bank, vec![1]).await;
    bank.caught_up().await.unwrap();
    break_for(account);
    bank.dispatch(Deposit { account, branch: 1, cents: vec![2, 3] }).await.unwrap();
    bank.caught_up().await.unwrap();
    let letters = bank.subscriptions().letters("fragile", None, 10).await.unwrap();
    assert!(bank.subscriptions().skip(&letters[0]).await.unwrap());
    assert!(!bank.subscriptions().skip(&letters[0]).await.unwrap(), "it is gone already");
    heal_for(account);
    assert_eq!(bank.subscriptions().retry("fragile", None).await.unwrap().handled, 1);
    assert_eq!(taken(&bank, account).await, [1, 3]);
}

async fn a_paused_subscription_goes_on_where_it_was<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = account_with(&bank, vec![1]).await;
    bank.caught_up().await.unwrap();
    bank.subscriptions().pause("fragile").await.unwrap();
    bank.dispatch(Deposit { account, branch: 1, cents: vec![2] }).await.unwrap();
    assert!(bank.caught_up().within_secs(120).await.is_err());
    assert_eq!(taken(&bank, account).await, [1]);
    bank.subscriptions().resume("fragile").await.unwrap();
    truth::check(&bank).await;
}

/// A view that lives elsewhere.
#[derive(Debug, Default)]
pub struct Elsewhere {
    seen: Mutex<Vec<(u64, i64)>>,
    failures: AtomicU32,
}

impl Dependency for Elsewhere {}

#[derive(Debug, Default)]
pub struct Search;

#[projection(name = "search", version = 1, retry = 3, on_failure = stop)]
impl Search {
    #[async_projection]
    async fn opened(&self, elsewhere: Dep<Elsewhere>, event: &Recorded<Opened>) -> Result<(), Unreachable> {
        elsewhere.seen.lock().unwrap().push((event.position().get(), 0));
        Ok(())
    }

    #[async_projection]
    async fn deposited(&self, elsewhere: Dep<Elsewhere>, events: &[Recorded<Deposited>]) -> Result<(), Unreachable> {
        let failing = |left: u32| left.checked_sub(1);
        if elsewhere.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, failing).is_ok() {
            return Err(Unreachable);
        }
        let seen = events.iter().map(|event| (event.position().get(), event.cents));
        elsewhere.seen.lock().unwrap().extend(seen);
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("unreachable")]
pub struct Unreachable;

domain! { pub Searching = "searching"; domains: [Core]; projections: [Search] }

async fn searching<S: Store>(store: S) -> (App<Searching, S>, std::sync::Arc<Elsewhere>) {
    let elsewhere = std::sync::Arc::new(Elsewhere::default());
    let builder = App::builder(store).shared_dependency(std::sync::Arc::clone(&elsewhere));
    (builder.build().await.unwrap(), elsewhere)
}

async fn an_external_view_gets_every_event_at_least_once_in_order<S: Store>(store: S) {
    let (app, elsewhere) = searching(store).await;
    let account = Uuid::now_v7();
    app.dispatch(Open { account, owner: "ann".into(), branch: 1 }).await.unwrap();
    for cents in 1..=30 {
        app.dispatch(Deposit { account, branch: 1, cents: vec![cents] }).await.unwrap();
    }
    app.caught_up().await.unwrap();
    let mut seen = elsewhere.seen.lock().unwrap().clone();
    seen.dedup();
    assert_eq!(seen, (1..=31).map(|position: u64| (position, position as i64 - 1)).collect::<Vec<_>>());
}

async fn an_external_view_that_fails_for_a_while_is_tried_again<S: Store>(store: S) {
    let (app, elsewhere) = searching(store).await;
    elsewhere.failures.store(3, Ordering::SeqCst);
    let account = Uuid::now_v7();
    app.dispatch(Open { account, owner: "ann".into(), branch: 1 }).await.unwrap();
    app.dispatch(Deposit { account, branch: 1, cents: vec![5] }).await.unwrap();
    app.caught_up().await.unwrap();
    assert_eq!(*elsewhere.seen.lock().unwrap(), [(1, 0), (2, 5)]);
    assert_eq!(elsewhere.failures.load(Ordering::SeqCst), 0);
}

async fn a_subscription_that_stops_says_why<S: Store>(store: S) {
    let (app, elsewhere) = searching(store).await;
    elsewhere.failures.store(u32::MAX, Ordering::SeqCst);
    let account = Uuid::now_v7();
    app.dispatch(Open { account, owner: "ann".into(), branch: 1 }).await.unwrap();
    app.dispatch(Deposit { account, branch: 1, cents: vec![5] }).await.unwrap();
    let error = app.caught_up().within_secs(120).await.unwrap_err();
    assert!(error.to_string().contains("`deposited` failed: unreachable"), "{error}");
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut health = app.subscriptions().health();
    let stopped = health
        .wait_for(|health| health.of("search").any(|each| matches!(each.state, SubscriptionState::Stopped { .. })));
    tokio::time::timeout_at(deadline, stopped).await.unwrap().unwrap();
    // The domain goes on; and what stopped goes on when somebody says so.
    app.dispatch(Withdraw { account, cents: 1 }).await.unwrap();
    elsewhere.failures.store(0, Ordering::SeqCst);
    app.subscriptions().resume("search").await.unwrap();
    app.caught_up().within_secs(120).await.unwrap();
    assert_eq!(elsewhere.seen.lock().unwrap().last(), Some(&(2, 5)));
}
