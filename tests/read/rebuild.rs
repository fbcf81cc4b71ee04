//! A new version of a projection is built beside the old one, and takes over in one step.

use std::time::Duration;

use es_runtime::app::{BuildError, NotCaughtUp, Visibility};
use es_runtime::prelude::*;
use es_runtime::store::{RegisterError, Store, VersionState};
use futures_util::TryStreamExt as _;
use tokio::time::Instant;

use super::child::account;
use super::domain::{
    AccountEvent, BalanceChanged, BalanceV2, Bank, BankChanged, BankV2, BranchTotal, Close, Deposit, Open, Withdraw,
};
use crate::domain::on_every_store;
use crate::random::Random;

on_every_store! {
    a_new_version_is_built_beside_the_old_one_and_takes_over,
    a_rebuild_under_load_misses_nothing,
    who_waits_until_all_have_caught_up_waits_for_what_is_being_built,
    a_rebuild_that_is_interrupted_goes_on_where_it_was,
    a_table_that_changed_without_a_new_version_fails_at_start_with_the_difference,
    a_projection_can_be_rebuilt_from_the_start,
    what_is_built_anew_is_not_read_in_part,
    what_is_rebuilt_in_place_is_not_read_before_it_is_done,
}

async fn some_history<S: Store>(bank: &App<Bank, S>, seed: u64, commands: u64) {
    let mut random = Random::new(seed);
    for _ in 0..commands {
        let account = account(random.below(20));
        let _ = match random.below(8) {
            0 | 1 => bank.dispatch(Open { account, owner: "ann".into(), branch: 0 }).await.is_ok(),
            2 => bank.dispatch(Withdraw { account, cents: 1 }).await.is_ok(),
            3 if random.below(5) == 0 => bank.dispatch(Close { account }).await.is_ok(),
            branch => {
                let branch = u32::try_from(branch).unwrap();
                bank.dispatch(Deposit { account, branch, cents: vec![3, 4] }).await.is_ok()
            }
        };
    }
}

/// What version 2 must hold, by account.
async fn truth<S: Store>(app: &App<BankV2, S>) -> Vec<BalanceV2> {
    let mut rows = std::collections::BTreeMap::<Uuid, BalanceV2>::new();
    let mut events = app.events();
    while let Some(event) = events.try_next().await.unwrap() {
        let event = event.decode_as::<super::domain::Account>().unwrap();
        let account = event.id_of::<super::domain::Account>();
        if let AccountEvent::Opened(_) = event.event() {
            rows.insert(account, BalanceV2 { account, cents: 0, open: true, steps: 0 });
        }
        let row = rows.get_mut(&account).unwrap();
        row.steps += 1;
        match event.event() {
            AccountEvent::Opened(_) => {}
            AccountEvent::Deposited(deposited) => row.cents += deposited.cents,
            AccountEvent::Withdrawn(withdrawn) => row.cents -= withdrawn.cents,
            AccountEvent::Closed(_) => row.open = false,
        }
    }
    rows.into_values().collect()
}

/// Waits until a version of the projection is in a state.
async fn until<S: Store>(store: &S, version: u32, state: VersionState) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let all = store.projections().await.unwrap();
        if all.iter().any(|known| known.name == "balances" && known.version == version && known.state == state) {
            return;
        }
        assert!(Instant::now() < deadline, "version {version} is not {state:?}: {all:#?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn check<S: Store>(app: &App<BankV2, S>) {
    app.caught_up().within_secs(120).await.unwrap();
    let mut rows = app.table::<BalanceV2>().list().await.unwrap();
    rows.sort_by_key(|row| row.account);
    assert_eq!(rows, truth(app).await);
}

async fn a_new_version_is_built_beside_the_old_one_and_takes_over<S: Store>(store: S) {
    let old: App<Bank, S> = App::builder(store.clone()).build().await.unwrap();
    some_history(&old, 1, 300).await;
    old.caught_up().await.unwrap();
    // A process that does not work: it makes the version known, and nothing builds it.
    let new: App<BankV2, S> = App::builder(store.clone()).without_workers().build().await.unwrap();
    until(&store, 2, VersionState::Building).await;
    let error = new.table::<BalanceV2>().list().await.unwrap_err();
    assert_eq!(error.to_string(), "version 2 of the table `balances` is still being built");
    some_history(&old, 2, 50).await;
    super::truth::check(&old).await;

    let working: App<BankV2, S> = App::builder(store.clone()).build().await.unwrap();
    until(&store, 2, VersionState::Active).await;
    check(&working).await;
    // From now on the append runs the new version's functions, also where nobody follows the log.
    let fresh = account(99);
    new.dispatch(Open { account: fresh, owner: "new".into(), branch: 0 }).await.unwrap();
    assert!(new.table::<BalanceV2>().get(&fresh).await.unwrap().unwrap().open);
    check(&working).await;
}

async fn who_waits_until_all_have_caught_up_waits_for_what_is_being_built<S: Store>(store: S) {
    let old: App<Bank, S> = App::builder(store.clone()).build().await.unwrap();
    some_history(&old, 1, 300).await;
    old.caught_up().await.unwrap();
    let new: App<BankV2, S> = App::builder(store.clone()).without_workers().build().await.unwrap();
    let error = new.caught_up().within(Duration::from_millis(200)).await.unwrap_err();
    let NotCaughtUp::Pending { pending, .. } = &error else { panic!("{error}") };
    assert_eq!(pending[0].projection, "balances");
    assert_eq!(pending[0].reason.as_deref(), Some("version 2 is being built"));
    let working: App<BankV2, S> = App::builder(store.clone()).build().await.unwrap();
    working.caught_up().await.unwrap();
    assert!(working.table::<BalanceV2>().count().await.is_ok(), "it serves");
    new.caught_up().await.unwrap();
    // The old program's own version goes on, for whoever runs it still.
    old.caught_up().await.unwrap();
}

async fn a_rebuild_under_load_misses_nothing<S: Store>(store: S) {
    let old: App<Bank, S> = App::builder(store.clone()).build().await.unwrap();
    some_history(&old, 1, 200).await;
    let load = {
        let old = old.clone();
        tokio::spawn(async move { some_history(&old, 2, 600).await })
    };
    let new: App<BankV2, S> = App::builder(store.clone()).build().await.unwrap();
    until(&store, 2, VersionState::Active).await;
    load.await.unwrap();
    check(&new).await;
}

async fn a_rebuild_that_is_interrupted_goes_on_where_it_was<S: Store>(store: S) {
    let old: App<Bank, S> = App::builder(store.clone()).build().await.unwrap();
    some_history(&old, 1, 800).await;
    old.caught_up().await.unwrap();
    let mut before = es_runtime::event::GlobalPosition::START;
    for _ in 0..30 {
        let new: App<BankV2, S> =
            App::builder(store.clone()).subscriptions(|options| options.batch = 40).build().await.unwrap();
        // Stops in the middle of it, without a word to the workers.
        tokio::task::yield_now().await;
        drop(new);
        let position = store.checkpoints("balances", 2).await.unwrap()[0].position;
        assert!(position >= before, "the rebuild went back from {before} to {position}");
        before = position;
    }
    let new: App<BankV2, S> = App::builder(store.clone()).build().await.unwrap();
    until(&store, 2, VersionState::Active).await;
    check(&new).await;
    assert!(store.head().await.unwrap() >= before);
}

async fn a_table_that_changed_without_a_new_version_fails_at_start_with_the_difference<S: Store>(store: S) {
    drop(App::<Bank, S>::builder(store.clone()).build().await.unwrap());
    let error = App::<BankChanged, S>::builder(store).build().await.unwrap_err();
    let BuildError::Projection(RegisterError::TableChanged { projection, version, difference }) = &error else {
        panic!("{error}")
    };
    assert_eq!((projection.as_str(), *version), ("balances", 1));
    assert!(difference.contains("- last: timestamp nullable index"), "{difference}");
    assert!(difference.contains("+ note: text nullable"), "{difference}");
    let _ = std::any::type_name::<BalanceChanged>();
}

async fn a_projection_can_be_rebuilt_from_the_start<S: Store>(store: S) {
    let bank: App<Bank, S> = App::builder(store).build().await.unwrap();
    some_history(&bank, 1, 200).await;
    super::truth::check(&bank).await;
    bank.subscriptions().rebuild("branch_totals").await.unwrap();
    bank.subscriptions().rebuild("balances").await.unwrap();
    some_history(&bank, 2, 50).await;
    super::truth::check(&bank).await;
}

async fn what_is_built_anew_is_not_read_in_part<S: Store>(store: S) {
    let bank: App<Bank, S> = App::builder(store).build().await.unwrap();
    some_history(&bank, 1, 60).await;
    super::truth::check(&bank).await;
    // Nobody builds it for now.
    for name in ["branch_totals", "owners"] {
        bank.subscriptions().pause(name).await.unwrap();
        bank.subscriptions().rebuild(name).await.unwrap();
    }
    let error = bank.table::<BranchTotal>().list().await.unwrap_err();
    assert_eq!(error.to_string(), "version 1 of the table `branch_totals` is still being built");
    // A commit does not fold into what is being built, so nobody may say that it is visible.
    let fresh = account(77);
    let receipt = bank.dispatch(Open { account: fresh, owner: "new".into(), branch: 0 });
    let receipt = receipt.wait_for_projections(Duration::from_secs(5)).await.unwrap();
    assert_eq!(receipt.visibility(), Visibility::Pending);
    for name in ["branch_totals", "owners"] {
        bank.subscriptions().resume(name).await.unwrap();
    }
    super::truth::check(&bank).await;
}

async fn what_is_rebuilt_in_place_is_not_read_before_it_is_done<S: Store>(store: S) {
    // Nobody works here, so it stays half done until somebody does.
    let build = || App::<Bank, S>::builder(store.clone()).without_workers().build();
    let (bank, other) = (build().await.unwrap(), build().await.unwrap());
    some_history(&bank, 1, 50).await;
    let read = async |app: &App<Bank, S>| app.table::<super::domain::Balance>().count().await;
    assert!(read(&bank).await.unwrap() > 0 && read(&other).await.unwrap() > 0);
    bank.subscriptions().rebuild("balances").await.unwrap();
    let error = read(&bank).await.unwrap_err();
    assert_eq!(error.to_string(), "version 1 of the table `balances` is still being built");
    // Who did not ask for it notices soon.
    let deadline = Instant::now() + Duration::from_secs(20);
    while read(&other).await.is_ok() {
        assert!(Instant::now() < deadline, "the other one reads a part of the history");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let working: App<Bank, S> = App::builder(store.clone()).build().await.unwrap();
    super::truth::check(&working).await;
    assert_eq!(read(&bank).await.unwrap(), read(&working).await.unwrap());
}
