//! Commands that fail: a typed error, nothing stored, and the next command is not affected.

use std::sync::atomic::Ordering;

use es_runtime::prelude::*;
use es_runtime::store::Store;

use crate::domain::{
    Account, Bank, Deposit, Gateway, Misbehave, Misbehaviour, Open, PayOut, Refused, Withdraw, bank, on_every_store,
};

on_every_store! {
    a_domain_error_stores_nothing,
    changing_what_is_absent_is_not_found,
    creating_what_exists_is_already_exists,
    all_invalid_fields_are_reported_at_once,
    a_handler_that_panics_stores_nothing,
    an_apply_that_panics_stores_nothing,
    an_event_that_does_not_fit_stores_nothing,
    a_decision_is_stored_whole_or_not_at_all,
    an_orchestrating_handler_gives_its_output,
    an_orchestrating_handler_that_fails_stores_nothing,
    missing_dependencies_are_reported_at_build,
    ids_and_payloads_have_limits,
    a_closed_application_refuses,
}

async fn opened<S: Store>(store: S) -> (App<Bank, S>, Uuid) {
    let (bank, account) = (bank(store).await, Uuid::now_v7());
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    bank.dispatch(Deposit::of(account, 100)).await.unwrap();
    (bank, account)
}

/// Nothing was stored, and the aggregate goes on where it was.
async fn unharmed<S: Store>(bank: &App<Bank, S>, account: Uuid) {
    assert_eq!(bank.event_count().await.unwrap(), 2);
    assert_eq!(bank.load::<Account>(account).await.unwrap().state().unwrap().balance(), 100);
    assert_eq!(bank.dispatch(Withdraw { account, cents: 100 }).await.unwrap().version(), 3);
    let error = bank.dispatch(Withdraw { account, cents: 1 }).await.unwrap_err();
    assert_eq!(error.domain(), Some(&Refused::Insufficient { balance: 0, cents: 1 }));
}

async fn a_domain_error_stores_nothing<S: Store>(store: S) {
    let (bank, account) = opened(store).await;
    let error = bank.dispatch(Withdraw { account, cents: 101 }).await.unwrap_err();
    assert_eq!(error.domain(), Some(&Refused::Insufficient { balance: 100, cents: 101 }));
    assert_eq!(error.to_string(), "the balance of 100 does not cover 101");
    unharmed(&bank, account).await;
}

async fn changing_what_is_absent_is_not_found<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    let error = bank.dispatch(Deposit::of(account, 1)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("`account/{account}` does not exist"));
    let error =
        bank.dispatch(Open { account, owner: "ann".into() }).idempotency_key("k".repeat(2_001)).await.unwrap_err();
    let expected = "`idempotency key` cannot be stored: 2001 bytes are more than the limit of 2000";
    assert_eq!(error.to_string(), expected);
    assert_eq!(bank.event_count().await.unwrap(), 0);
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
}

async fn creating_what_exists_is_already_exists<S: Store>(store: S) {
    let (bank, account) = opened(store).await;
    let error = bank.dispatch(Open { account, owner: "bob".into() }).await.unwrap_err();
    assert!(matches!(error, DispatchError::AlreadyExists { .. }), "{error}");
    unharmed(&bank, account).await;
}

async fn all_invalid_fields_are_reported_at_once<S: Store>(store: S) {
    let (bank, account) = opened(store).await;
    let error = bank.dispatch(Deposit { account, cents: 0, note: "x".repeat(21) }).await.unwrap_err();
    let DispatchError::Validation(errors) = &error else { panic!("{error}") };
    let fields: Vec<_> = errors.fields().iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["cents", "note"]);
    assert_eq!(error.to_string(), "the command is not valid: `cents`: lower than 1; `note`: length is greater than 20");
    unharmed(&bank, account).await;
}

async fn a_handler_that_panics_stores_nothing<S: Store>(store: S) {
    let (bank, account) = opened(store).await;
    let error = bank.dispatch(Misbehave { account, how: Misbehaviour::Panic }).await.unwrap_err();
    assert_eq!(error.to_string(), "the handler of `Misbehave` panicked: the handler panicked");
    unharmed(&bank, account).await;
}

async fn an_apply_that_panics_stores_nothing<S: Store>(store: S) {
    let (bank, account) = opened(store).await;
    let error = bank.dispatch(Misbehave { account, how: Misbehaviour::Explode }).await.unwrap_err();
    assert_eq!(error.to_string(), "applying event `Exploded` to `account` panicked: apply exploded");
    unharmed(&bank, account).await;
}

async fn an_event_that_does_not_fit_stores_nothing<S: Store>(store: S) {
    let (bank, account) = opened(store).await;
    let error = bank.dispatch(Misbehave { account, how: Misbehaviour::OpenAgain }).await.unwrap_err();
    assert_eq!(error.to_string(), "event `Opened` creates `account`, which exists already");
    unharmed(&bank, account).await;
}

async fn a_decision_is_stored_whole_or_not_at_all<S: Store>(store: S) {
    let (bank, account) = opened(store).await;
    let error = bank.dispatch(Misbehave { account, how: Misbehaviour::DepositThenOpenAgain }).await.unwrap_err();
    assert!(matches!(error, DispatchError::CannotApply(CannotApply::Exists { .. })), "{error}");
    unharmed(&bank, account).await;
}

async fn an_orchestrating_handler_gives_its_output<S: Store>(store: S) {
    let (bank, account) = opened(store).await;
    let receipt = bank.dispatch(PayOut { account, cents: 40 }).actor("ann").await.unwrap();
    assert_eq!((receipt.output().as_str(), receipt.version().get()), ("ann-1", 3));
    assert_eq!(bank.load::<Account>(account).await.unwrap().state().unwrap().balance(), 60);
    let error = bank.dispatch(PayOut { account: Uuid::now_v7(), cents: 40 }).await.unwrap_err();
    assert!(matches!(error, DispatchError::NotFound { .. }), "{error}");
}

async fn an_orchestrating_handler_that_fails_stores_nothing<S: Store>(store: S) {
    let (bank, account) = opened(store).await;
    for cents in [13, 14] {
        let error = bank.dispatch(PayOut { account, cents }).await.unwrap_err();
        assert_eq!(error.domain(), Some(&Refused::Gateway));
    }
    unharmed(&bank, account).await;
}

async fn missing_dependencies_are_reported_at_build<S: Store>(store: S) {
    let error = App::<Bank, _>::builder(store.clone()).build().await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("missing dependencies: ") && text.contains("Gateway"), "{text}");
    let gateway = Gateway::default();
    let bank = App::<Bank, _>::builder(store).dependency(gateway.clone()).build().await.unwrap();
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    bank.dispatch(PayOut { account, cents: 0 }).await.unwrap();
    assert_eq!(gateway.calls.load(Ordering::SeqCst), 1);
}

async fn ids_and_payloads_have_limits<S: Store>(store: S) {
    let bank = App::<Bank, _>::builder(store)
        .dependency(Gateway::default())
        .limits(|limits| {
            limits.payload_bytes = 200;
            limits.metadata_bytes = 100;
        })
        .build()
        .await
        .unwrap();
    let account = Uuid::now_v7();
    let error = bank.dispatch(Open { account, owner: "x".repeat(500) }).await.unwrap_err();
    assert_eq!(error.to_string(), "`Opened` cannot be stored: 512 bytes are more than the limit of 200");
    let error = bank.dispatch(Open { account, owner: "ann".into() }).entry("note", "x".repeat(200)).await.unwrap_err();
    assert_eq!(error.to_string(), "`metadata` cannot be stored: 204 bytes are more than the limit of 100");
    let error = bank.dispatch_json_slice("Open", &[b' '; 300]).await.unwrap_err();
    assert_eq!(error.to_string(), "`Open` cannot be stored: 300 bytes are more than the limit of 200");
    assert_eq!(bank.event_count().await.unwrap(), 0);
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
}

async fn a_closed_application_refuses<S: Store>(store: S) {
    let (bank, account) = opened(store).await;
    let other = bank.clone();
    bank.shutdown().await;
    let error = other.dispatch(Deposit::of(account, 1)).await.unwrap_err();
    assert_eq!(error.to_string(), "nothing was stored: the store is closed");
    other.shutdown().await;
}
