//! Commands that succeed, and what they leave.

use es_runtime::prelude::*;
use es_runtime::store::Store;
use futures_util::{StreamExt as _, stream};

use crate::domain::{Account, AccountEvent, BankCommand, Deposit, Deposited, Open, OpenWith, Opened, Rename, Withdraw};
use crate::domain::{bank, on_every_store};

on_every_store! {
    a_receipt_says_what_was_stored,
    a_command_with_nothing_to_do_is_a_success,
    several_events_are_one_commit,
    a_unique_key_belongs_to_one_aggregate,
    a_renamed_owner_frees_the_old_key,
    the_enum_of_all_commands_can_be_dispatched,
    an_import_keeps_the_order_of_each_aggregate,
    an_import_reports_each_failure_alone,
    snapshots_do_not_change_the_state,
    an_identity_is_given_once,
}

async fn a_receipt_says_what_was_stored<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    let opened = bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    assert_eq!((opened.version().get(), opened.position().get(), opened.replayed()), (1, 1, false));
    let deposited = bank.dispatch(Deposit::of(account, 5)).await.unwrap();
    assert_eq!((deposited.version().get(), deposited.position().get()), (2, 2));
    assert_eq!(deposited.stream().to_string(), format!("account/{account}"));
    let history = bank.history::<Account>(account).await.unwrap();
    assert_eq!(deposited.events(), [history[1].id()]);
    assert_eq!(history[1].event(), &AccountEvent::from(Deposited { cents: 5 }));
    assert_eq!(history[0].event(), &AccountEvent::from(Opened { owner: "ann".into() }));
    let json = serde_json::to_string(&deposited).unwrap();
    assert_eq!(serde_json::from_str::<Receipt>(&json).unwrap(), deposited);
}

async fn a_command_with_nothing_to_do_is_a_success<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    let receipt = bank.dispatch(Withdraw { account, cents: 0 }).await.unwrap();
    assert_eq!((receipt.version().get(), receipt.position().get(), receipt.events().len()), (1, 0, 0));
    assert_eq!(bank.event_count().await.unwrap(), 1);
}

async fn several_events_are_one_commit<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    let receipt = bank.dispatch(OpenWith { account, owner: "ann".into(), cents: vec![1, 2, 3] }).await.unwrap();
    assert_eq!((receipt.version().get(), receipt.events().len()), (4, 4));
    let history = bank.history::<Account>(account).await.unwrap();
    assert!(history.iter().all(|event| event.metadata().command_id == history[0].metadata().command_id));
    assert_eq!(bank.load::<Account>(account).await.unwrap().state().unwrap().balance(), 6);
}

async fn a_unique_key_belongs_to_one_aggregate<S: Store>(store: S) {
    let bank = bank(store).await;
    let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
    bank.dispatch(Open { account: one, owner: "ann".into() }).await.unwrap();
    let error = bank.dispatch(Open { account: two, owner: "ann".into() }).await.unwrap_err();
    assert!(matches!(&error, DispatchError::Claimed { set } if set == "owner"), "{error}");
    assert_eq!(bank.load::<Account>(two).await.unwrap().version(), 0);
    assert_eq!(bank.event_count().await.unwrap(), 1);
}

async fn a_renamed_owner_frees_the_old_key<S: Store>(store: S) {
    let bank = bank(store).await;
    let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
    bank.dispatch(Open { account: one, owner: "ann".into() }).await.unwrap();
    bank.dispatch(Rename { account: one, to: "bea".into() }).await.unwrap();
    bank.dispatch(Open { account: two, owner: "ann".into() }).await.unwrap();
    let error = bank.dispatch(Rename { account: two, to: "bea".into() }).await.unwrap_err();
    assert!(matches!(error, DispatchError::Claimed { .. }), "{error}");
    assert_eq!(bank.load::<Account>(two).await.unwrap().state().unwrap().owner(), "ann");
    // The state in the cache is the stored one: a refused rename has not changed it.
    bank.dispatch(Rename { account: two, to: "cleo".into() }).await.unwrap();
    bank.dispatch(Open { account: Uuid::now_v7(), owner: "ann".into() }).await.unwrap();
}

async fn the_enum_of_all_commands_can_be_dispatched<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    let commands: [BankCommand; 2] =
        [Open { account, owner: "ann".into() }.into(), Withdraw { account, cents: 7 }.into()];
    let [open, withdraw] = commands;
    assert_eq!(bank.dispatch(open).await.unwrap().version(), 1);
    let error = bank.dispatch(withdraw).await.unwrap_err();
    let refused = error.domain().unwrap().downcast_ref::<crate::domain::Refused>().unwrap();
    assert_eq!(*refused, crate::domain::Refused::Insufficient { balance: 0, cents: 7 });
}

async fn an_import_keeps_the_order_of_each_aggregate<S: Store>(store: S) {
    let bank = bank(store).await;
    let accounts: Vec<Uuid> = (0..7).map(Uuid::from_u128).collect();
    let mut commands: Vec<BankCommand> = Vec::new();
    for round in 0..40 {
        for account in &accounts {
            let account = *account;
            commands.push(match round {
                0 => Open { account, owner: account.to_string() }.into(),
                _ => Deposit::of(account, round).into(),
            });
        }
    }
    let total = commands.len();
    let outcomes: Vec<_> = bank.dispatch_all(stream::iter(commands)).in_flight(64).collect().await;
    assert_eq!(outcomes.len(), total);
    for imported in &outcomes {
        assert!(imported.outcome.is_ok(), "{}: {:?}", imported.index, imported.outcome);
    }
    for account in &accounts {
        let history = bank.history::<Account>(account).await.unwrap();
        let cents: Vec<i64> = history
            .iter()
            .filter_map(|event| match event.event() {
                AccountEvent::Deposited(event) => Some(event.cents),
                _ => None,
            })
            .collect();
        assert_eq!(cents, (1..40).collect::<Vec<_>>());
    }
}

async fn an_import_reports_each_failure_alone<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    let withdrawals = (0..30_i64).map(move |i| Withdraw { account, cents: if i % 3 == 0 { 1_000_000 } else { 0 } });
    let mut failed: Vec<u64> = bank
        .dispatch_all(stream::iter(withdrawals))
        .in_flight(8)
        .filter_map(async |imported| imported.outcome.is_err().then_some(imported.index))
        .collect()
        .await;
    failed.sort_unstable();
    assert_eq!(failed, (0..30).filter(|i| i % 3 == 0).collect::<Vec<_>>());
}

async fn snapshots_do_not_change_the_state<S: Store>(store: S) {
    let account = Uuid::now_v7();
    let first = bank(store.clone()).await;
    first.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    for cents in 1..=12 {
        first.dispatch(Deposit::of(account, cents)).await.unwrap();
    }
    let policy = <Account as Aggregate>::SNAPSHOT.unwrap();
    let stored = store.snapshot(&Account::stream(&account), policy.fingerprint()).await.unwrap();
    assert_eq!(stored.unwrap().0, 10, "every fifth event stores the state");
    // Another application has an empty cache and loads from the snapshot.
    let second = bank(store).await;
    let loaded = second.load::<Account>(account).await.unwrap();
    assert_eq!((loaded.version().get(), loaded.state().unwrap().balance()), (13, 78));
    assert_eq!(second.dispatch(Deposit::of(account, 1)).await.unwrap().version(), 14);
    let early = second.load::<Account>(account).at_version(3).await.unwrap();
    assert_eq!((early.version().get(), early.state().unwrap().balance()), (3, 3));
}

async fn an_identity_is_given_once<S: Store>(store: S) {
    let bank = bank(store).await;
    assert_eq!(bank.identity::<Account>("legacy", "4711").await.unwrap(), None);
    let candidates: Vec<Uuid> = (0..20).map(|_| Uuid::now_v7()).collect();
    let given = futures_util::future::join_all(
        candidates.iter().map(|candidate| bank.identify::<Account>("legacy", "4711", *candidate)),
    )
    .await;
    let first = *given[0].as_ref().unwrap();
    assert!(candidates.contains(&first));
    assert!(given.iter().all(|id| *id.as_ref().unwrap() == first));
    assert_eq!(bank.identity::<Account>("legacy", "4711").await.unwrap(), Some(first));
    assert_eq!(bank.identity::<Account>("other", "4711").await.unwrap(), None);
}
