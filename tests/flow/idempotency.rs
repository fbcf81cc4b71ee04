//! The ledger: the same key takes effect once.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use es_runtime::error::Difference;
use es_runtime::prelude::*;
use es_runtime::store::Store;

use crate::domain::{Account, Bank, Deposit, Gateway, Open, PayOut, Withdraw, bank, on_every_store};

on_every_store! {
    a_repeat_gets_the_first_receipt,
    a_repeat_of_a_creation_is_not_already_exists,
    a_key_stands_for_one_command,
    the_hashes_in_the_ledger_never_change,
    a_repeat_is_known_whatever_the_order_of_its_maps,
    commands_that_json_writes_alike_are_told_apart,
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
    assert_eq!(error.to_string(), "the idempotency key `k` was used for a `Deposit` with other fields");
    // Also where the other command would be refused.
    let error = bank.dispatch(Withdraw { account, cents: 99 }).idempotency_key("k").await.unwrap_err();
    assert_eq!(error.to_string(), "the idempotency key `k` was used for another command, `Deposit`");
    let error = bank.dispatch(Deposit::of(account, 5)).idempotency_key("").await.unwrap_err();
    assert_eq!(error.to_string(), "`idempotency key` cannot be stored: it must not be empty");
    assert_eq!(bank.load::<Account>(account).await.unwrap().state().unwrap().balance(), 5);
}

/// Ledgers of programs that run are full of them.
async fn the_hashes_in_the_ledger_never_change<S: Store>(store: S) {
    let bank = bank(store.clone()).await;
    let account = Uuid::from_u128(7);
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    bank.dispatch(Deposit { account, cents: 5, note: "n".into() }).idempotency_key("k").await.unwrap();
    let hash = store.find("", "k").await.unwrap().unwrap().hash;
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "43e1335cfc4d10c8f4879b8aef27463844bee242512dad785ebf5001284005c4");
}

#[domain_event]
pub struct Listed {}

#[command(aggregate = List)]
pub struct Enter {
    #[id]
    pub list: u32,
    pub counts: HashMap<String, u8>,
    pub wide: u128,
    pub mean: f64,
    pub left_out: Option<Option<u8>>,
}

#[aggregate(name = "list", id = u32, events(Listed))]
pub struct List {}

#[aggregate]
impl List {
    #[apply]
    fn listed(_: &Listed) -> Self {
        Self {}
    }

    #[command_handler]
    fn enter(_: Enter) -> Listed {
        Listed {}
    }
}

domain! { pub Lists = "lists"; aggregates: [List]; commands: [Enter] }

async fn a_repeat_is_known_whatever_the_order_of_its_maps<S: Store>(store: S) {
    let lists = App::<Lists, _>::builder(store).build().await.unwrap();
    let enter = |counts: HashMap<String, u8>| Enter { list: 1, counts, wide: u128::MAX, mean: 0.5, left_out: None };
    // Each map has an order of its own.
    let counts = || (0..20).map(|number| (number.to_string(), number)).collect();
    for round in 0..20 {
        let receipt = lists.dispatch(enter(counts())).idempotency_key("k").await.unwrap();
        assert_eq!(receipt.replayed(), round > 0);
    }
}

async fn commands_that_json_writes_alike_are_told_apart<S: Store>(store: S) {
    let lists = App::<Lists, _>::builder(store).build().await.unwrap();
    let enter = |mean, left_out| Enter { list: 1, counts: HashMap::new(), wide: 0, mean, left_out };
    let all = [
        enter(f64::NAN, None),
        enter(f64::INFINITY, None),
        enter(f64::NEG_INFINITY, None),
        enter(0.0, None),
        enter(0.0, Some(None)),
        enter(0.0, Some(Some(0))),
    ];
    for (list, first) in (0..).zip(&all) {
        let key = format!("k{list}");
        lists.dispatch(Enter { list, ..first.clone() }).idempotency_key(key.clone()).await.unwrap();
        for (index, second) in (0..).zip(&all) {
            let again = lists.dispatch(Enter { list, ..second.clone() }).idempotency_key(key.clone()).await;
            match again {
                Ok(receipt) => assert!(receipt.replayed() && index == list, "{list} {index}"),
                Err(DispatchError::IdempotencyKeyReused { differs, .. }) => {
                    assert!(differs == Difference::Fields && index != list, "{list} {index}");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
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
