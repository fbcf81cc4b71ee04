//! What a caller says beside the command.

use std::time::Duration;

use es_runtime::event::{CausationId, CommandId, CorrelationId};
use es_runtime::prelude::*;
use es_runtime::store::{Store, StoreError};
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::domain::{Account, Bank, Deposit, Open, Withdraw, bank, on_every_store};

on_every_store! {
    metadata_is_stored_with_every_event,
    a_dispatch_begins_its_own_correlation,
    an_expected_version_is_enforced,
    an_expected_version_is_compared_with_the_store,
    a_timeout_that_is_long_enough_changes_nothing,
    a_handle_of_a_tenant_works_on_the_tenants_data,
}

async fn metadata_is_stored_with_every_event<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    let (command, correlation, causation) = (CommandId::new_v7(), CorrelationId::new_v7(), CausationId::new_v7());
    bank.dispatch(Open { account, owner: "ann".into() })
        .command_id(command)
        .correlation(correlation)
        .causation(causation)
        .actor("alice")
        .trace_context("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "vendor=1")
        .entry("ip", "10.0.0.1")
        .await
        .unwrap();
    let history = bank.history::<Account>(account).await.unwrap();
    let metadata = history[0].metadata();
    assert_eq!(metadata.command_id, Some(command));
    assert_eq!(metadata.correlation, Some(correlation));
    assert_eq!(metadata.causation, Some(causation));
    assert_eq!(metadata.actor.as_deref(), Some("alice"));
    let trace = metadata.trace.as_ref().unwrap();
    assert_eq!(trace.traceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    assert_eq!(trace.tracestate, "vendor=1");
    assert_eq!(metadata.entries.get("ip").map(String::as_str), Some("10.0.0.1"));
    assert_eq!(history[0].id_of::<Account>(), account);
}

async fn a_dispatch_begins_its_own_correlation<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    let history = bank.history::<Account>(account).await.unwrap();
    let metadata = history[0].metadata();
    assert_eq!(metadata.correlation.unwrap().0, metadata.command_id.unwrap().0);
}

async fn an_expected_version_is_enforced<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    let error = bank.dispatch(Open { account, owner: "ann".into() }).expect_version(1).await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
    bank.dispatch(Open { account, owner: "ann".into() }).expect_version(0).await.unwrap();
    let error = bank.dispatch(Deposit::of(account, 1)).expect_version(5).await.unwrap_err();
    assert_eq!(error.to_string(), format!("`account/{account}` is at version 1, not at the expected version 5"));
    bank.dispatch(Deposit::of(account, 1)).expect_version(1).await.unwrap();
    let error = bank.dispatch(Deposit::of(account, 1)).expect_version(1).await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
    assert_eq!(bank.event_count().await.unwrap(), 2);
}

/// Two applications on one store: the cache of one lags behind what the other wrote.
async fn an_expected_version_is_compared_with_the_store<S: Store>(store: S) {
    let (one, two) = (bank(store.clone()).await, bank(store).await);
    let account = Uuid::now_v7();
    one.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    two.dispatch(Deposit::of(account, 7)).await.unwrap();
    one.dispatch(Deposit::of(account, 1)).expect_version(2).await.unwrap();
    let error = two.dispatch(Withdraw { account, cents: 1 }).expect_version(2).await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
    // A refusal, too, is given on what is stored and not on what is cached.
    two.dispatch(Withdraw { account, cents: 8 }).await.unwrap();
    let error = one.dispatch(Withdraw { account, cents: 8 }).await.unwrap_err();
    assert_eq!(error.to_string(), "the balance of 0 does not cover 8");
    two.dispatch(Deposit::of(account, 50)).await.unwrap();
    one.dispatch(Withdraw { account, cents: 50 }).await.unwrap();
}

async fn a_timeout_that_is_long_enough_changes_nothing<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    let open = bank.dispatch(Open { account, owner: "ann".into() }).timeout(Duration::from_secs(60));
    assert_eq!(open.await.unwrap().version(), 1);
}

/// A handle of a tenant, against the calls that name the tenant themselves.
async fn a_handle_of_a_tenant_works_on_the_tenants_data<S: Store>(store: S) {
    let bank = bank(store).await;
    let (acme, other) = (bank.of_tenant("acme"), bank.of_tenant("other"));
    let [account, ours] = [Uuid::from_u128(1), Uuid::from_u128(2)];
    acme.dispatch(Open { account, owner: "ada".into() }).await.unwrap();
    let json = serde_json::json!({ "account": account, "cents": 5, "note": "" });
    acme.dispatch_json("Deposit", json.clone()).await.unwrap();
    acme.dispatch_json_slice("Deposit", json.to_string().as_bytes()).await.unwrap();
    let imported = futures_util::stream::iter([Deposit::of(account, 1), Deposit::of(account, 2)]);
    let outcomes: Vec<_> = acme.dispatch_all(imported).collect().await;
    assert!(outcomes.iter().all(|imported| imported.outcome.is_ok()), "{outcomes:?}");
    // Claims are the tenant's, too.
    other.dispatch(Open { account, owner: "ada".into() }).await.unwrap();
    bank.dispatch(Open { account: ours, owner: "ada".into() }).await.unwrap();

    assert_eq!(acme.load::<Account>(account).await.unwrap().into_state().unwrap().balance(), 13);
    assert_eq!(bank.load::<Account>(account).tenant("acme").await.unwrap().version(), 5);
    assert!(bank.load::<Account>(account).await.unwrap().state().is_none());
    assert_eq!(acme.load::<Account>(account).tenant("other").await.unwrap().version(), 1, "a call may name another");
    let lengths =
        [acme.history::<Account>(account).await.unwrap().len(), bank.history::<Account>(account).await.unwrap().len()];
    assert_eq!(lengths, [5, 0]);
    let events = |app: &App<Bank, S>| app.events().try_collect::<Vec<_>>();
    assert_eq!(events(&acme).await.unwrap().len(), 5);
    assert_eq!(events(&other).await.unwrap().len(), 1);
    assert_eq!(events(&bank).await.unwrap().len(), 7, "the whole log");

    let theirs = acme.identify::<Account>("iban", "DE1", account).await.unwrap();
    assert_eq!((theirs, bank.identity::<Account>("iban", "DE1").await.unwrap()), (account, None));
    assert_eq!(bank.identify::<Account>("iban", "DE1", ours).await.unwrap(), ours);
    assert_eq!(acme.identity::<Account>("iban", "DE1").await.unwrap(), Some(account));
    // On every store an id may be as long.
    let long = "x".repeat(2_600);
    for refused in [
        acme.identify::<Account>("iban", &long, account).await.map(drop),
        acme.identity::<Account>("iban", &long).await.map(drop),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, StoreError::Refused { .. }) && !error.is_retryable(), "{error:?}");
    }
}
