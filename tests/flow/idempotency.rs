//! The ledger: the same key takes effect once.

use std::sync::atomic::Ordering;

use es_runtime::prelude::*;
use es_runtime::store::Store;

use crate::domain::{Account, Bank, Deposit, Gateway, Open, PayOut, Withdraw, bank, on_every_store};

on_every_store! {
    a_repeat_gets_the_first_receipt,
    a_repeat_of_a_creation_is_not_already_exists,
    a_key_stands_for_one_command,
    a_repeat_of_nothing_to_do_is_a_repeat,
    a_refused_command_leaves_no_record,
    concurrent_repeats_take_effect_once,
    a_handler_with_side_effects_does_not_run_again,
    keys_of_tenants_are_apart,
    forgotten_keys_take_effect_again,
}

async fn a_repeat_gets_the_first_receipt<S: Store>(store: S) {
    let bank = bank(store.clone()).await;
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    let first = bank.dispatch(Deposit::of(account, 5)).idempotency_key("k").await.unwrap();
    bank.dispatch(Deposit::of(account, 6)).await.unwrap();
    let fresh = crate::domain::bank(store).await;
    for bank in [bank, fresh] {
        let again = bank.dispatch(Deposit::of(account, 5)).idempotency_key("k").await.unwrap();
        assert!(again.replayed() && !first.replayed());
        assert_eq!((again.version(), again.position()), (first.version(), first.position()));
        assert_eq!((again.events(), again.stream()), (first.events(), first.stream()));
        assert_eq!(bank.load::<Account>(account).await.unwrap().state().unwrap().balance(), 11);
    }
}

async fn a_repeat_of_a_creation_is_not_already_exists<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    let open = Open { account, owner: "ann".into() };
    bank.dispatch(open.clone()).idempotency_key("k").await.unwrap();
    assert!(bank.dispatch(open.clone()).idempotency_key("k").await.unwrap().replayed());
    let error = bank.dispatch(open).idempotency_key("other").await.unwrap_err();
    assert!(matches!(error, DispatchError::AlreadyExists { .. }), "{error}");
}

async fn a_key_stands_for_one_command<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    bank.dispatch(Deposit::of(account, 5)).idempotency_key("k").await.unwrap();
    let error = bank.dispatch(Deposit::of(account, 6)).idempotency_key("k").await.unwrap_err();
    assert_eq!(error.to_string(), "the idempotency key `k` was used for another command, `Deposit`");
    // Also where the other command would be refused.
    let error = bank.dispatch(Withdraw { account, cents: 99 }).idempotency_key("k").await.unwrap_err();
    assert!(matches!(error, DispatchError::IdempotencyKeyReused { .. }), "{error}");
    let error = bank.dispatch(Deposit::of(account, 5)).idempotency_key("").await.unwrap_err();
    assert_eq!(error.to_string(), "`idempotency key` cannot be stored: it must not be empty");
    assert_eq!(bank.load::<Account>(account).await.unwrap().state().unwrap().balance(), 5);
}

async fn a_repeat_of_nothing_to_do_is_a_repeat<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    let nothing = Withdraw { account, cents: 0 };
    assert!(!bank.dispatch(nothing.clone()).idempotency_key("k").await.unwrap().replayed());
    assert!(bank.dispatch(nothing).idempotency_key("k").await.unwrap().replayed());
}

async fn a_refused_command_leaves_no_record<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    let withdraw = Withdraw { account, cents: 5 };
    bank.dispatch(withdraw.clone()).idempotency_key("k").await.unwrap_err();
    bank.dispatch(Deposit::of(account, 5)).await.unwrap();
    assert!(!bank.dispatch(withdraw).idempotency_key("k").await.unwrap().replayed());
}

async fn concurrent_repeats_take_effect_once<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    for round in 0..20 {
        let key = format!("k{round}");
        let repeats = (0..8).map(|_| bank.dispatch(Deposit::of(account, 1)).idempotency_key(key.clone()).into_future());
        let receipts = futures_util::future::join_all(repeats).await;
        let first = receipts.iter().filter(|receipt| !receipt.as_ref().unwrap().replayed()).count();
        assert_eq!(first, 1, "{receipts:?}");
    }
    assert_eq!(bank.load::<Account>(account).await.unwrap().state().unwrap().balance(), 20);
}

async fn a_handler_with_side_effects_does_not_run_again<S: Store>(store: S) {
    let gateway = Gateway::default();
    let bank = App::<Bank, _>::builder(store).dependency(gateway.clone()).build().await.unwrap();
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    bank.dispatch(Deposit::of(account, 50)).await.unwrap();
    let pay = || bank.dispatch(PayOut { account, cents: 10 }).idempotency_key("k").actor("ann").into_future();
    let receipts = futures_util::future::join_all((0..5).map(|_| pay())).await;
    for receipt in receipts {
        assert_eq!(receipt.unwrap().output(), "ann-1");
    }
    assert_eq!(gateway.calls.load(Ordering::SeqCst), 1);
    assert_eq!(bank.load::<Account>(account).await.unwrap().state().unwrap().balance(), 40);
}

async fn keys_of_tenants_are_apart<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    let open = Open { account, owner: "ann".into() };
    for tenant in ["", "a", "b"] {
        let receipt = bank.dispatch(open.clone()).idempotency_key("k").tenant(tenant).await.unwrap();
        assert!(!receipt.replayed());
        assert_eq!((receipt.version().get(), receipt.stream().tenant()), (1, tenant));
    }
    assert_eq!(bank.load::<Account>(account).tenant("b").await.unwrap().version(), 1);
    assert_eq!(bank.load::<Account>(account).tenant("c").await.unwrap().version(), 0);
}

async fn forgotten_keys_take_effect_again<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    bank.dispatch(Deposit::of(account, 5)).idempotency_key("k").await.unwrap();
    let later = Utc::now() + chrono::TimeDelta::seconds(5);
    assert_eq!(bank.forget_idempotency_keys(later).await.unwrap(), 1);
    assert!(!bank.dispatch(Deposit::of(account, 5)).idempotency_key("k").await.unwrap().replayed());
}
