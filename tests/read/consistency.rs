//! Mixed projections under load: per aggregate the order is kept, whoever applies an event.

use std::future::IntoFuture as _;
use std::time::Duration;

use es_runtime::app::Visibility;
use es_runtime::prelude::*;
use es_runtime::store::Store;

use super::child::account;
use super::domain::{Balance, Bank, Close, Deposit, Open, POISON, Withdraw};
use super::truth;
use crate::domain::on_every_store;
use crate::random::Random;

on_every_store! {
    synchronous_and_asynchronous_events_of_one_aggregate_keep_their_order_under_load,
    read_your_writes_hold_under_load,
    a_command_that_had_nothing_to_do_is_seen_with_what_it_was_decided_on,
}

async fn bank<S: Store>(store: S) -> App<Bank, S> {
    App::builder(store).build().await.unwrap()
}

async fn synchronous_and_asynchronous_events_of_one_aggregate_keep_their_order_under_load<S: Store>(store: S) {
    let bank = bank(store).await;
    let callers = (0..8).map(|seed| {
        let bank = bank.clone();
        tokio::spawn(async move {
            let mut random = Random::new(seed);
            for _ in 0..120 {
                let account = account(random.below(6));
                // Refusals and failures are part of the load; what is stored is what counts.
                let _ = match random.below(10) {
                    0 => bank.dispatch(Open { account, owner: "ann".into(), branch: 0 }).await.map(drop).is_ok(),
                    1 => bank.dispatch(Withdraw { account, cents: POISON }).await.map(drop).is_ok(),
                    2..=4 => bank.dispatch(Withdraw { account, cents: 1 }).await.map(drop).is_ok(),
                    5 if random.below(9) == 0 => bank.dispatch(Close { account }).await.map(drop).is_ok(),
                    branch => {
                        let (branch, cents) = (u32::try_from(branch).unwrap(), vec![1, 2, 3]);
                        bank.dispatch(Deposit { account, branch, cents }).await.map(drop).is_ok()
                    }
                };
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    truth::check(&bank).await;
}

async fn read_your_writes_hold_under_load<S: Store>(store: S) {
    let bank = bank(store).await;
    let callers = (0..8).map(|number| {
        let bank = bank.clone();
        tokio::spawn(async move {
            let account = account(100 + number);
            bank.dispatch(Open { account, owner: "ann".into(), branch: 0 }).await.unwrap();
            for round in 1..=25 {
                let receipt = bank.dispatch(Deposit { account, branch: 0, cents: vec![1] }).await.unwrap();
                let query = super::domain::BalanceOf { account };
                let row: Option<Balance> =
                    bank.query(query).after(&receipt).within_secs(120).into_future().await.unwrap();
                assert_eq!(row.unwrap().cents, round);
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    truth::check(&bank).await;
}

/// A double click: the second command does nothing, and its page has to show what the first one did.
async fn a_command_that_had_nothing_to_do_is_seen_with_what_it_was_decided_on<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = account(1);
    bank.dispatch(Open { account, owner: "ann".into(), branch: 0 }).await.unwrap();
    bank.caught_up().await.unwrap();
    bank.subscriptions().pause("balances").await.unwrap();
    bank.dispatch(Deposit { account, branch: 0, cents: vec![1] }).await.unwrap();
    let nothing = || bank.dispatch(Deposit { account, branch: 0, cents: Vec::new() });
    let second = nothing().await.unwrap();
    assert!(second.events().is_empty());
    let ask = || bank.query(super::domain::BalanceOf { account }).after(&second).within_secs(1);
    let error = ask().into_future().await.unwrap_err();
    assert_eq!(error.kind(), "not_yet_visible", "{error}");
    let third = nothing().wait_for_projections(Duration::from_millis(100)).await.unwrap();
    assert_eq!(third.visibility(), Visibility::Pending);
    bank.subscriptions().resume("balances").await.unwrap();
    let row: Option<Balance> = ask().within_secs(60).into_future().await.unwrap();
    assert_eq!(row.unwrap().cents, 1);
}
