//! What a caller says beside the command.

use std::time::Duration;

use es_runtime::event::{CausationId, CommandId, CorrelationId};
use es_runtime::prelude::*;
use es_runtime::store::Store;

use crate::domain::{Account, Deposit, Open, Withdraw, bank, on_every_store};

on_every_store! {
    metadata_is_stored_with_every_event,
    a_dispatch_begins_its_own_correlation,
    an_expected_version_is_enforced,
    an_expected_version_is_compared_with_the_store,
    a_timeout_that_is_long_enough_changes_nothing,
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
