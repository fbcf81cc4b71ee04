//! Turns and chains: order within an aggregate, also when some are undone; several applications on one store.

use es_runtime::prelude::*;
use es_runtime::store::Store;
use futures_util::{StreamExt as _, stream};

use crate::domain::{
    Account, AccountEvent, Bank, BankCommand, Deposit, Gateway, Misbehave, Misbehaviour, Open, Rename, Withdraw, bank,
    on_every_store,
};

on_every_store! {
    a_hot_aggregate_never_conflicts_with_itself,
    commands_take_effect_in_the_order_of_their_first_polls,
    what_follows_a_creation_in_an_import_finds_it,
    those_behind_an_undone_command_are_decided_again_in_order,
    two_applications_on_one_store_lose_nothing,
    many_aggregates_in_a_small_cache_stay_right,
    failing_commands_among_good_ones_fail_alone,
}

async fn a_hot_aggregate_never_conflicts_with_itself<S: Store>(store: S) {
    // Without retries, every conflict is an error.
    let bank = App::<Bank, _>::builder(store)
        .dependency(Gateway::default())
        .limits(|limits| limits.retries = 0)
        .build()
        .await
        .unwrap();
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    let dispatchers = (0..16).map(|_| {
        let bank = bank.clone();
        tokio::spawn(async move {
            for _ in 0..50 {
                bank.dispatch(Deposit::of(account, 1)).await.unwrap();
            }
        })
    });
    futures_util::future::try_join_all(dispatchers).await.unwrap();
    let loaded = bank.load::<Account>(account).await.unwrap();
    assert_eq!((loaded.version().get(), loaded.state().unwrap().balance()), (801, 800));
}

async fn commands_take_effect_in_the_order_of_their_first_polls<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    let mut begun = Vec::new();
    for cents in 1..=100 {
        let mut dispatch = bank.dispatch(Deposit::of(account, cents)).into_future();
        match futures_util::poll!(&mut dispatch) {
            std::task::Poll::Ready(outcome) => drop(outcome.unwrap()),
            std::task::Poll::Pending => begun.push(dispatch),
        }
    }
    // The rest is driven from the other end.
    begun.reverse();
    futures_util::future::try_join_all(begun).await.unwrap();
    let history = bank.history::<Account>(account).await.unwrap();
    let cents: Vec<i64> = history
        .iter()
        .filter_map(|event| match event.event() {
            AccountEvent::Deposited(event) => Some(event.cents),
            _ => None,
        })
        .collect();
    assert_eq!(cents, (1..=100).collect::<Vec<_>>());
}

/// More commands than a task may poll before tokio makes it yield.
async fn what_follows_a_creation_in_an_import_finds_it<S: Store>(store: S) {
    let bank = bank(store).await;
    let commands = (0..3_000_u128).flat_map(|id| -> [BankCommand; 2] {
        let account = Uuid::from_u128(id);
        [Open { account, owner: account.to_string() }.into(), Deposit::of(account, 1).into()]
    });
    let mut outcomes = bank.dispatch_all(stream::iter(commands)).in_flight(256);
    while let Some(imported) = outcomes.next().await {
        imported.outcome.unwrap();
    }
    assert_eq!(bank.event_count().await.unwrap(), 6_000);
}

/// Renames to a taken owner fail at the store, after those behind them were decided on the new name.
async fn those_behind_an_undone_command_are_decided_again_in_order<S: Store>(store: S) {
    let bank = bank(store).await;
    let (account, other) = (Uuid::now_v7(), Uuid::now_v7());
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    bank.dispatch(Open { account: other, owner: "taken".into() }).await.unwrap();
    let commands = (0..200_i64).map(move |index| -> BankCommand {
        match index % 5 {
            3 => Rename { account, to: "taken".into() }.into(),
            _ => Deposit::of(account, index + 1).into(),
        }
    });
    let outcomes: Vec<_> = bank.dispatch_all(stream::iter(commands)).in_flight(64).collect().await;
    for imported in &outcomes {
        match &imported.outcome {
            Ok(_) => assert_ne!(imported.index % 5, 3),
            Err(DispatchError::Claimed { .. }) => assert_eq!(imported.index % 5, 3),
            Err(other) => panic!("{}: {other}", imported.index),
        }
    }
    let history = bank.history::<Account>(account).await.unwrap();
    let cents: Vec<i64> = history
        .iter()
        .filter_map(|event| match event.event() {
            AccountEvent::Deposited(event) => Some(event.cents),
            _ => None,
        })
        .collect();
    let expected: Vec<i64> = (0..200).filter(|index| index % 5 != 3).map(|index| index + 1).collect();
    assert_eq!(cents, expected);
}

async fn two_applications_on_one_store_lose_nothing<S: Store>(store: S) {
    let (one, two) = (bank(store.clone()).await, bank(store).await);
    let accounts: Vec<Uuid> = (0..3).map(Uuid::from_u128).collect();
    for account in &accounts {
        one.dispatch(Open { account: *account, owner: account.to_string() }).await.unwrap();
    }
    let workers = (0..8).map(|worker| {
        let bank = if worker % 2 == 0 { one.clone() } else { two.clone() };
        let accounts = accounts.clone();
        tokio::spawn(async move {
            let mut accepted = 0;
            for round in 0..40 {
                let account = accounts[(worker + round) % accounts.len()];
                loop {
                    match bank.dispatch(Deposit::of(account, 1)).await {
                        Ok(_) => break accepted += 1,
                        Err(error) if error.is_conflict() => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            accepted
        })
    });
    let accepted: i64 = futures_util::future::try_join_all(workers).await.unwrap().into_iter().sum();
    let mut balance = 0;
    for account in &accounts {
        balance += one.load::<Account>(account).await.unwrap().state().unwrap().balance();
    }
    assert_eq!((accepted, balance), (320, 320));
}

async fn many_aggregates_in_a_small_cache_stay_right<S: Store>(store: S) {
    let bank = App::<Bank, _>::builder(store)
        .dependency(Gateway::default())
        .limits(|limits| {
            limits.cached_aggregates = 4;
            limits.in_flight = 3;
        })
        .build()
        .await
        .unwrap();
    let accounts: Vec<Uuid> = (0..40).map(Uuid::from_u128).collect();
    let opened: Vec<_> =
        accounts.iter().map(|account| Open { account: *account, owner: account.to_string() }).collect();
    let outcomes: Vec<_> = bank.dispatch_all(stream::iter(opened)).in_flight(32).collect().await;
    assert!(outcomes.iter().all(|imported| imported.outcome.is_ok()));
    let deposits: Vec<_> = (0..400).map(|index| Deposit::of(accounts[index * 7 % 40], 1)).collect();
    let outcomes: Vec<_> = bank.dispatch_all(stream::iter(deposits)).in_flight(32).collect().await;
    for imported in outcomes {
        imported.outcome.unwrap();
    }
    for account in accounts {
        let loaded = bank.load::<Account>(account).await.unwrap();
        assert_eq!(loaded.state().unwrap().balance(), 10);
    }
}

async fn failing_commands_among_good_ones_fail_alone<S: Store>(store: S) {
    let bank = App::<Bank, _>::builder(store)
        .dependency(Gateway::default())
        .limits(|limits| limits.retries = 0)
        .build()
        .await
        .unwrap();
    let accounts: Vec<Uuid> = (0..5).map(Uuid::from_u128).collect();
    for account in &accounts {
        bank.dispatch(Open { account: *account, owner: account.to_string() }).await.unwrap();
    }
    let commands: Vec<BankCommand> = (0..300_usize)
        .map(|index| {
            let account = accounts[index % 5];
            match index % 7 {
                0 => Misbehave { account, how: Misbehaviour::Panic }.into(),
                1 => Misbehave { account, how: Misbehaviour::DepositThenOpenAgain }.into(),
                2 => Withdraw { account, cents: i64::MAX }.into(),
                3 => Open { account, owner: "again".into() }.into(),
                4 => Misbehave { account, how: Misbehaviour::Explode }.into(),
                _ => Deposit::of(account, i64::try_from(index).unwrap()).into(),
            }
        })
        .collect();
    let outcomes: Vec<_> = bank.dispatch_all(stream::iter(commands)).in_flight(50).collect().await;
    for imported in &outcomes {
        let kind = imported.outcome.as_ref().err().map(DispatchError::kind);
        let expected = match imported.index % 7 {
            0 => Some("handler_panicked"),
            1 | 4 => Some("cannot_apply"),
            2 => Some("domain"),
            3 => Some("already_exists"),
            _ => None,
        };
        assert_eq!(kind, expected, "{}: {:?}", imported.index, imported.outcome);
    }
    for (place, account) in accounts.iter().enumerate() {
        let history = bank.history::<Account>(account).await.unwrap();
        let cents: Vec<i64> = history
            .iter()
            .filter_map(|event| match event.event() {
                AccountEvent::Deposited(event) => Some(event.cents),
                _ => None,
            })
            .collect();
        let expected: Vec<i64> = (0..300).filter(|index| index % 7 > 4 && index % 5 == place as i64).collect();
        assert_eq!(cents, expected);
    }
}
