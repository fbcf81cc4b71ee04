//! Queries: what they read, and when.

use std::time::Duration;

use es_runtime::app::Visibility;
use es_runtime::error::QueryError;
use es_runtime::prelude::*;
use es_runtime::store::Store;
use serde_json::json;

use super::domain::{Balance, BalanceOf, Bank, BranchTotal, Core, Deposit, Open, Owner, Owners, TotalOf};
use crate::domain::on_every_store;

on_every_store! {
    a_query_after_a_receipt_sees_what_the_command_did,
    a_query_that_waits_in_vain_says_so,
    a_dispatch_can_wait_until_it_is_visible,
    a_query_is_asked_by_its_name,
    tenants_see_their_own_rows,
    a_closed_application_answers_nothing,
    a_process_without_workers_waits_for_those_of_others,
    what_the_append_projects_is_visible_at_once_and_only_then,
    only_what_is_put_aside_up_to_the_receipt_is_in_its_way,
    a_letter_behind_a_thousand_others_is_found,
}

async fn bank<S: Store>(store: S) -> App<Bank, S> {
    App::builder(store).build().await.unwrap()
}

async fn open<S: Store>(bank: &App<Bank, S>) -> Uuid {
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into(), branch: 1 }).await.unwrap();
    account
}

async fn a_query_after_a_receipt_sees_what_the_command_did<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = open(&bank).await;
    // What a synchronous function does is there at once.
    assert_eq!(bank.query(BalanceOf { account }).await.unwrap().unwrap().owner, "ann");
    for cents in 1..=20 {
        let receipt = bank.dispatch(Deposit { account, branch: 3, cents: vec![cents] }).await.unwrap();
        let balance = bank.query(BalanceOf { account }).after(&receipt).within_secs(120).await.unwrap().unwrap();
        assert_eq!(balance.cents, (1..=cents).sum::<i64>());
        assert_eq!(bank.query(TotalOf { branch: 3 }).after(&receipt).within_secs(120).await.unwrap(), balance.cents);
    }
}

async fn a_query_that_waits_in_vain_says_so<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = open(&bank).await;
    bank.caught_up().await.unwrap();
    bank.subscriptions().pause("branch_totals").await.unwrap();
    let receipt = bank.dispatch(Deposit { account, branch: 3, cents: vec![5] }).await.unwrap();
    let error = bank.query(TotalOf { branch: 3 }).after(&receipt).within_secs(120).await.unwrap_err();
    let QueryError::NotYetVisible { pending, position, .. } = &error else { panic!("{error}") };
    assert_eq!((pending[0].projection, *position), ("branch_totals", receipt.position()));
    assert_eq!(pending[0].reason.as_deref(), Some("it is paused"));
    assert!(error.is_retryable());
    assert_eq!(bank.query(TotalOf { branch: 3 }).after(&receipt).within_secs(0).or_stale().await.unwrap(), 0);
    bank.subscriptions().resume("branch_totals").await.unwrap();
    assert_eq!(bank.query(TotalOf { branch: 3 }).after(&receipt).within_secs(120).await.unwrap(), 5);
}

async fn a_dispatch_can_wait_until_it_is_visible<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = open(&bank).await;
    let deposit = |cents| Deposit { account, branch: 3, cents: vec![cents] };
    let receipt = bank.dispatch(deposit(5)).await.unwrap();
    assert_eq!(receipt.visibility(), Visibility::Unknown);
    let receipt = bank.dispatch(deposit(6)).wait_for_projections(Duration::from_secs(20)).await.unwrap();
    assert_eq!(receipt.visibility(), Visibility::Visible);
    assert_eq!(bank.table::<BranchTotal>().get(&3).await.unwrap().unwrap().cents, 11);
    bank.subscriptions().pause("branch_totals").await.unwrap();
    let receipt = bank.dispatch(deposit(7)).wait_for_projections(Duration::from_secs(20)).await.unwrap();
    assert_eq!(receipt.visibility(), Visibility::Pending);
    assert_eq!(receipt.version().get(), 4, "what is committed is a success");
}

async fn a_query_is_asked_by_its_name<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = open(&bank).await;
    let receipt = bank.dispatch(Deposit { account, branch: 3, cents: vec![5] }).await.unwrap();
    let total = bank.query_json("TotalOf", json!({ "branch": 3 })).after(&receipt).within_secs(120).await.unwrap();
    assert_eq!(total, json!(5));
    let cases = [
        ("TotalOff", json!({}), "no query is called `TotalOff`; there is `TotalOf`"),
        ("TotalOf", json!({}), "query `TotalOf` could not be read at `.`: missing field `branch`"),
        (
            "TotalOf",
            json!({ "branch": "x" }),
            "query `TotalOf` could not be read at `branch`: invalid type: string \"x\", expected u32",
        ),
    ];
    for (name, json, text) in cases {
        assert_eq!(bank.query_json(name, json).await.unwrap_err().to_string(), text);
    }
}

async fn tenants_see_their_own_rows<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    let open = |owner: &str| Open { account, owner: owner.to_owned(), branch: 1 };
    bank.dispatch(open("ann")).await.unwrap();
    bank.dispatch(open("bob")).tenant("acme").await.unwrap();
    assert_eq!(bank.query(BalanceOf { account }).await.unwrap().unwrap().owner, "ann");
    assert_eq!(bank.query(BalanceOf { account }).tenant("acme").await.unwrap().unwrap().owner, "bob");
    assert_eq!(bank.query(BalanceOf { account }).tenant("other").await.unwrap(), None);
    let acme = bank.of_tenant("acme");
    assert_eq!(acme.query(BalanceOf { account }).await.unwrap().unwrap().owner, "bob");
    let json = acme.query_json("BalanceOf", serde_json::json!({ "account": account })).await.unwrap();
    assert_eq!(json["owner"], "bob");
    assert_eq!(acme.table::<Balance>().get(&account).await.unwrap().unwrap().owner, "bob");
    assert_eq!(bank.table::<Balance>().of_tenant("acme").count().await.unwrap(), 1);
}

async fn a_closed_application_answers_nothing<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = open(&bank).await;
    bank.shutdown().await;
    let error = bank.query(BalanceOf { account }).await.unwrap_err();
    assert_eq!(error.to_string(), "the store is closed");
}

async fn a_process_without_workers_waits_for_those_of_others<S: Store>(store: S) {
    let writer: App<Bank, S> = App::builder(store.clone()).without_workers().build().await.unwrap();
    let account = open(&writer).await;
    let receipt = writer.dispatch(Deposit { account, branch: 3, cents: vec![5] }).await.unwrap();
    let query = writer.query(TotalOf { branch: 3 }).after(&receipt).within(Duration::from_millis(50));
    assert!(matches!(query.await, Err(QueryError::NotYetVisible { .. })));
    let _worker = bank(store).await;
    assert_eq!(writer.query(TotalOf { branch: 3 }).after(&receipt).within_secs(120).await.unwrap(), 5);
}

async fn what_the_append_projects_is_visible_at_once_and_only_then<S: Store>(store: S) {
    let owners: App<Owners, S> = App::builder(store.clone()).without_workers().build().await.unwrap();
    let visibility = async |limit| {
        let open = Open { account: Uuid::now_v7(), owner: "ann".into(), branch: 1 };
        owners.dispatch(open).wait_for_projections(limit).await.unwrap().visibility()
    };
    let (long, short) = (Duration::from_secs(20), Duration::from_millis(50));
    assert_eq!(visibility(long).await, Visibility::Visible);
    owners.subscriptions().pause("owners").await.unwrap();
    assert_eq!(visibility(long).await, Visibility::Visible, "nobody follows the log for it");
    owners.subscriptions().resume("owners").await.unwrap();
    owners.caught_up().within(short).await.unwrap_err();

    // While it is built anew, commits leave it to the workers; and those of another program never bring it.
    owners.subscriptions().rebuild("owners").await.unwrap();
    assert_eq!(visibility(short).await, Visibility::Pending);
    let worker: App<Owners, S> = App::builder(store.clone()).build().await.unwrap();
    worker.caught_up().within_secs(120).await.unwrap();
    let core: App<Core, S> = App::builder(store).build().await.unwrap();
    core.dispatch(Open { account: Uuid::now_v7(), owner: "ann".into(), branch: 1 }).await.unwrap();
    worker.caught_up().within_secs(120).await.unwrap();
    assert_eq!(worker.table::<Owner>().get(&"ann".to_owned()).await.unwrap().unwrap().accounts, 4);
}

/// An amount that overflows the row's column parks the stream.
async fn overflow<S: Store>(bank: &App<Bank, S>, account: Uuid, more: usize) -> Receipt<()> {
    let mut cents = vec![i64::MAX, i64::MAX];
    cents.extend(std::iter::repeat_n(1, more));
    bank.dispatch(Deposit { account, branch: 1, cents: vec![1] }).await.unwrap();
    bank.dispatch(Deposit { account, branch: 1, cents }).await.unwrap()
}

async fn only_what_is_put_aside_up_to_the_receipt_is_in_its_way<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = open(&bank).await;
    let before = bank.dispatch(Deposit { account, branch: 1, cents: vec![-7] }).await.unwrap();
    let after = overflow(&bank, account, 0).await;
    bank.caught_up().await.unwrap();
    let error = bank.query(BalanceOf { account }).after(&after).within_secs(120).await.unwrap_err();
    assert!(matches!(error, QueryError::NotYetVisible { .. }), "{error}");
    bank.query(BalanceOf { account }).after(&before).within_secs(120).await.unwrap();
}

async fn a_letter_behind_a_thousand_others_is_found<S: Store>(store: S) {
    let bank = bank(store).await;
    let (first, second) = (open(&bank).await, open(&bank).await);
    overflow(&bank, first, 1_100).await;
    let receipt = overflow(&bank, second, 0).await;
    bank.caught_up().await.unwrap();
    let error = bank.query(BalanceOf { account: second }).after(&receipt).within_secs(120).await.unwrap_err();
    assert!(matches!(error, QueryError::NotYetVisible { .. }), "{error}");
}
