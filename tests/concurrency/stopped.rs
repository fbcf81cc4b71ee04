//! Dispatches that are stopped from outside, and stores that answer late, wrongly or never.

use std::time::Duration;

use es_runtime::app::{CommandReply, CommandRequest, DispatchService};
use es_runtime::error::BoxError;
use es_runtime::event::StreamId;
use es_runtime::prelude::*;
use es_runtime::store::{AppendError, Store};
use futures_util::StreamExt as _;
use tower::ServiceExt as _;

use crate::domain::{
    Account, Bank, Deposit, Gateway, Misbehave, Misbehaviour, Open, PayOut, Rename, Withdraw, bank, on_every_store,
};
use crate::faulty::{FaultyStore, Switch};
use crate::place::{File, Place as _};
use crate::postgres::schema;

on_every_store! {
    the_reader_of_an_import_may_dispatch,
}

const SHORT: Duration = Duration::from_millis(20);

async fn opened() -> (App<Bank, FaultyStore>, FaultyStore, Uuid) {
    let (store, account) = (FaultyStore::new(), Uuid::now_v7());
    let bank = bank(store.clone()).await;
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    (bank, store, account)
}

async fn balance(bank: &App<Bank, FaultyStore>, account: Uuid) -> i64 {
    bank.load::<Account>(account).await.unwrap().state().unwrap().balance()
}

#[tokio::test]
async fn a_timeout_while_the_stores_line_is_full_is_overloaded_and_nothing_happened() {
    let (bank, store, account) = opened().await;
    store.set(Switch::HoldSubmit);
    let error = bank.dispatch(Deposit::of(account, 1)).timeout(SHORT).await.unwrap_err();
    assert!(matches!(error, DispatchError::Overloaded), "{error}");
    store.set(Switch::Open);
    assert_eq!(balance(&bank, account).await, 0);
    assert_eq!(bank.dispatch(Deposit::of(account, 1)).await.unwrap().version(), 2);
}

#[tokio::test]
async fn a_timeout_in_the_aggregates_line_means_that_nothing_happened() {
    let (bank, store, account) = opened().await;
    store.set(Switch::HoldSubmit);
    let first = tokio::spawn(bank.dispatch(Deposit::of(account, 1)).into_future());
    tokio::task::yield_now().await;
    let error = bank.dispatch(Deposit::of(account, 10)).timeout(SHORT).await.unwrap_err();
    assert!(matches!(error, DispatchError::TimedOut { .. }), "{error}");
    store.set(Switch::Open);
    first.await.unwrap().unwrap();
    assert_eq!(balance(&bank, account).await, 1);
}

#[tokio::test]
async fn a_timeout_while_the_store_has_the_command_is_an_unknown_outcome_that_the_key_resolves() {
    let (bank, store, account) = opened().await;
    store.set(Switch::HoldAnswer);
    let deposit = || bank.dispatch(Deposit::of(account, 1)).idempotency_key("k");
    let error = deposit().timeout(SHORT).await.unwrap_err();
    assert!(matches!(error, DispatchError::OutcomeUnknown { .. }), "{error}");
    store.set(Switch::Open);
    assert!(deposit().await.unwrap().replayed());
    assert_eq!(balance(&bank, account).await, 1);
}

#[tokio::test]
async fn a_layer_that_gives_up_while_the_store_has_the_command_leaves_an_unknown_outcome() {
    let (store, account) = (FaultyStore::new(), Uuid::now_v7());
    let layer = tower::timeout::TimeoutLayer::new(SHORT);
    let bank =
        App::<Bank, _>::builder(store.clone()).dependency(Gateway::default()).layer(layer).build().await.unwrap();
    store.set(Switch::HoldAnswer);
    let error = bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap_err();
    assert!(matches!(error, DispatchError::OutcomeUnknown { .. }), "{error}");
    store.set(Switch::Open);
    assert_eq!(bank.load::<Account>(account).await.unwrap().version(), 1);
}

#[tokio::test]
async fn others_decide_while_a_commit_is_on_its_way_and_are_answered_after_it() {
    let (bank, store, account) = opened().await;
    store.set(Switch::HoldAnswer);
    let deposit = tokio::spawn(bank.dispatch(Deposit::of(account, 5)).into_future());
    tokio::task::yield_now().await;
    // Decided on the tentative balance of 5. Both are refused or accepted by the same store.
    let withdraw = tokio::spawn(bank.dispatch(Withdraw { account, cents: 5 }).into_future());
    tokio::task::yield_now().await;
    assert!(!deposit.is_finished() && !withdraw.is_finished());
    store.set(Switch::Open);
    assert_eq!(deposit.await.unwrap().unwrap().version(), 2);
    assert_eq!(withdraw.await.unwrap().unwrap().version(), 3);
}

#[tokio::test]
async fn a_refused_commit_leaves_the_cache_where_the_store_is() {
    let (bank, store, account) = opened().await;
    let full = StoreError::Full { reason: "no room".to_owned() };
    store.set(Switch::Refuse(full.into()));
    let error = bank.dispatch(Deposit::of(account, 5)).await.unwrap_err();
    assert_eq!(error.to_string(), "nothing was stored: the disk is full; nothing was stored: no room");
    assert!(error.is_retryable());
    store.set(Switch::Open);
    let error = bank.dispatch(Withdraw { account, cents: 5 }).await.unwrap_err();
    assert_eq!(error.to_string(), "the balance of 0 does not cover 5");
}

#[tokio::test]
async fn a_conflict_is_decided_again_as_often_as_the_handler_says() {
    let (bank, store, account) = opened().await;
    bank.dispatch(Deposit::of(account, 50)).await.unwrap();
    let stream = StreamId::new("account", account.to_string());
    let conflict = AppendError::Conflict { stream, expected: Version::new(2), actual: Version::new(9) };
    store.set(Switch::Refuse(conflict));
    store.submitted();
    let error = bank.dispatch(Deposit::of(account, 1)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("`account/{account}` is at version 9, not at the expected version 2"));
    assert_eq!(store.submitted(), 5, "five tries unless the handler says otherwise");
    assert!(bank.dispatch(Rename { account, to: "bea".into() }).await.unwrap_err().is_conflict());
    assert_eq!(store.submitted(), 2, "`retries = 1`");
    assert!(bank.dispatch(PayOut { account, cents: 1 }).await.unwrap_err().is_conflict());
    assert_eq!(store.submitted(), 1, "a handler with a dependency is not run again");
    assert!(bank.dispatch(Deposit::of(account, 1)).expect_version(2).await.unwrap_err().is_conflict());
    assert_eq!(store.submitted(), 1, "an expected version is not retried");
}

/// What is in the store's line, even if nobody waits for it any more, is settled before a handler with side effects begins.
#[tokio::test]
async fn a_repeat_of_a_payment_whose_answer_was_lost_does_not_pay_again() {
    let (store, account, gateway) = (FaultyStore::new(), Uuid::now_v7(), Gateway::default());
    let bank = App::<Bank, _>::builder(store.clone()).dependency(gateway.clone()).build().await.unwrap();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    bank.dispatch(Deposit::of(account, 100)).await.unwrap();
    store.set(Switch::HoldCommit);
    let pay = || bank.dispatch(PayOut { account, cents: 100 }).idempotency_key("k");
    // The store confirms the version while it holds nothing back, then holds the payment's commit.
    store.set(Switch::Open);
    let mut first = Box::pin(pay().into_future());
    assert!(futures_util::poll!(&mut first).is_pending());
    store.set(Switch::HoldCommit);
    assert!(futures_util::poll!(&mut first).is_pending());
    drop(first);
    assert_eq!(gateway.calls.load(std::sync::atomic::Ordering::SeqCst), 1);
    let again = tokio::spawn(pay().into_future());
    let other = tokio::spawn(bank.dispatch(PayOut { account, cents: 100 }).into_future());
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    store.set(Switch::Open);
    let again = again.await.unwrap().unwrap();
    assert!(again.replayed() && again.output() == "nobody-1");
    let error = other.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the balance of 0 does not cover 100");
    assert_eq!(gateway.calls.load(std::sync::atomic::Ordering::SeqCst), 1, "it was paid once");
}

/// A state that is lost behind commits in flight is loaded when they are answered: order is kept, and nobody conflicts.
#[tokio::test]
async fn commands_behind_a_panic_behind_a_commit_in_flight_keep_their_order() {
    let (store, account) = (FaultyStore::new(), Uuid::now_v7());
    let bank = App::<Bank, _>::builder(store.clone())
        .dependency(Gateway::default())
        .limits(|limits| limits.retries = 0)
        .build()
        .await
        .unwrap();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    bank.dispatch(Open { account: Uuid::now_v7(), owner: "taken".into() }).await.unwrap();
    store.set(Switch::HoldCommit);
    let refused = tokio::spawn(bank.dispatch(Rename { account, to: "taken".into() }).into_future());
    tokio::task::yield_now().await;
    let first = tokio::spawn(bank.dispatch(Deposit::of(account, 1)).into_future());
    tokio::task::yield_now().await;
    let panics = tokio::spawn(bank.dispatch(Misbehave { account, how: Misbehaviour::Panic }).into_future());
    tokio::task::yield_now().await;
    let second = tokio::spawn(bank.dispatch(Deposit::of(account, 2)).into_future());
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    store.set(Switch::Open);
    assert!(matches!(refused.await.unwrap().unwrap_err(), DispatchError::Claimed { .. }));
    assert_eq!(panics.await.unwrap().unwrap_err().kind(), "handler_panicked");
    let (first, second) = (first.await.unwrap().unwrap(), second.await.unwrap().unwrap());
    assert_eq!((first.version().get(), second.version().get()), (2, 3));
}

/// A layer that fails after the command was stored: nobody is told that nothing was stored.
#[tokio::test]
async fn a_layer_that_fails_after_the_command_was_stored_leaves_an_unknown_outcome() {
    let layer = tower::layer::layer_fn(|inner: DispatchService| {
        tower::service_fn(move |request: CommandRequest| {
            let inner = inner.clone();
            async move {
                let _reply = inner.oneshot(request).await?;
                Err::<CommandReply, BoxError>("the audit log is full".into())
            }
        })
    });
    let bank =
        App::<Bank, _>::builder(MemoryStore::new()).dependency(Gateway::default()).layer(layer).build().await.unwrap();
    let account = Uuid::now_v7();
    let error = bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap_err();
    assert!(matches!(error, DispatchError::OutcomeUnknown { .. }) && !error.is_retryable(), "{error}");
    assert_eq!(bank.load::<Account>(account).await.unwrap().version(), 1);
    // A refusal of the domain is passed through: nothing was stored.
    let error = bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap_err();
    assert!(matches!(error, DispatchError::AlreadyExists { .. }), "{error}");
}

/// An import whose reader dispatches in between, to an aggregate that the import is busy with.
async fn the_reader_of_an_import_may_dispatch<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    bank.dispatch(Deposit::of(account, 1_000)).await.unwrap();
    // Each of these keeps its turn until it is durable: most of those in flight wait in the line.
    let payments = futures_util::stream::iter((0..50).map(move |_| PayOut { account, cents: 1 }));
    let mut import = bank.dispatch_all(payments).in_flight(8);
    let work = async {
        while let Some(imported) = import.next().await {
            imported.outcome.unwrap();
            bank.dispatch(Deposit::of(account, 1)).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_mins(1), work).await.expect("nobody waits for the other");
    assert_eq!(bank.load::<Account>(account).await.unwrap().version(), 102);
}

#[tokio::test]
async fn a_dispatch_dropped_at_any_poll_on_sqlite_leaves_all_or_nothing() {
    let file = File::new();
    dropped_at_any_poll(file.open().await).await;
}

#[tokio::test]
async fn a_dispatch_dropped_at_any_poll_on_postgres_leaves_all_or_nothing() {
    let schema = schema!();
    dropped_at_any_poll(schema.open().await).await;
}

/// As below, where loading, handing over and the answer are waited for one by one, with others behind.
async fn dropped_at_any_poll<S: Store>(store: S) {
    let account = Uuid::now_v7();
    let (mut stored, mut gone) = (0, 0);
    bank(store.clone()).await.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    for round in 0..120_usize {
        // A new application now and then: its cache is empty, so loading is among the polls.
        let bank = bank(store.clone()).await;
        let before = bank.load::<Account>(account).await.unwrap();
        let mut dropped = Box::pin(bank.dispatch(Deposit::of(account, 1)).into_future());
        let mut behind = Box::pin(bank.dispatch(Deposit::of(account, 1_000)).into_future());
        let mut finished = false;
        for _ in 0..round % 12 {
            finished = futures_util::poll!(&mut dropped).is_ready();
            if finished {
                break;
            }
            let _ = futures_util::poll!(&mut behind);
            tokio::task::yield_now().await;
        }
        drop(dropped);
        behind.await.unwrap();
        let after = bank.load::<Account>(account).await.unwrap();
        let events = after.version().get() - before.version().get();
        let cents = after.state().unwrap().balance() - before.state().unwrap().balance();
        assert!((events, cents) == (2, 1_001) || (events, cents) == (1, 1_000) && !finished, "{events} {cents}");
        stored += u32::from(events == 2);
        gone += u32::from(events == 1);
        bank.dispatch(Deposit::of(account, 1)).expect_version(after.version()).await.unwrap();
    }
    assert!(stored > 0 && gone > 0, "dropped before and after the store had it: {gone}, {stored}");
}

#[tokio::test]
async fn an_uncertain_commit_is_reported_and_the_next_command_sees_what_is_stored() {
    let (bank, store, account) = opened().await;
    store.set(Switch::Lie(AppendError::Uncertain { reason: "the line went dead".to_owned() }));
    let error = bank.dispatch(Deposit::of(account, 5)).idempotency_key("k").await.unwrap_err();
    assert!(matches!(error, DispatchError::Uncertain { .. }), "{error}");
    assert!(!error.is_retryable());
    store.set(Switch::Open);
    assert!(bank.dispatch(Deposit::of(account, 5)).idempotency_key("k").await.unwrap().replayed());
    bank.dispatch(Withdraw { account, cents: 5 }).await.unwrap();
}

/// Drops dispatches at every poll they ever have; after each, the aggregate is what the store says.
#[tokio::test]
async fn a_dispatch_dropped_at_any_poll_leaves_all_or_nothing() {
    let (bank, _store, account) = opened().await;
    let mut dropped = 0;
    for polls in 1..=6 {
        for _ in 0..20 {
            let before = bank.load::<Account>(account).await.unwrap().version().get();
            let mut dispatch = bank.dispatch(Deposit::of(account, 1)).into_future();
            let mut finished = false;
            for _ in 0..polls {
                if futures_util::poll!(&mut dispatch).is_ready() {
                    finished = true;
                    break;
                }
            }
            drop(dispatch);
            dropped += u32::from(!finished);
            let after = bank.load::<Account>(account).await.unwrap();
            assert!(after.version().get() <= before + 1);
            assert!(!finished || after.version().get() == before + 1);
            assert_eq!(after.state().unwrap().balance(), i64::try_from(after.version().get()).unwrap() - 1);
            // The cache agrees with the store: this would be refused or conflict otherwise.
            bank.dispatch(Deposit::of(account, 1)).expect_version(after.version()).await.unwrap();
        }
    }
    // The store in memory answers in the first poll; the others are stopped by a held store below.
    assert_eq!(dropped, 0);
    let (bank, store, account) = opened().await;
    for switch in [Switch::HoldSubmit, Switch::HoldAnswer] {
        let stored = u64::from(matches!(switch, Switch::HoldAnswer));
        for _ in 0..20 {
            let before = bank.load::<Account>(account).await.unwrap().version().get();
            store.set(switch.clone());
            let mut dispatch = bank.dispatch(Deposit::of(account, 1)).into_future();
            assert!(futures_util::poll!(&mut dispatch).is_pending());
            drop(dispatch);
            store.set(Switch::Open);
            let after = bank.load::<Account>(account).await.unwrap();
            assert_eq!(after.version().get(), before + stored);
            bank.dispatch(Deposit::of(account, 1)).expect_version(after.version()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn shutdown_waits_for_what_is_on_its_way() {
    let (bank, store, account) = opened().await;
    store.set(Switch::HoldAnswer);
    let deposit = tokio::spawn(bank.dispatch(Deposit::of(account, 5)).into_future());
    tokio::task::yield_now().await;
    let closing = tokio::spawn({
        let bank = bank.clone();
        async move { bank.shutdown().await }
    });
    tokio::task::yield_now().await;
    assert!(!closing.is_finished());
    let error = bank.dispatch(Deposit::of(account, 5)).await.unwrap_err();
    assert!(matches!(error, DispatchError::Unavailable(StoreError::Closed)), "{error}");
    store.set(Switch::Open);
    deposit.await.unwrap().unwrap();
    tokio::time::timeout(Duration::from_secs(60), closing).await.unwrap().unwrap();
}
