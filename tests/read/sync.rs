//! Projections in the append's transaction.

use std::time::Duration;

use es_runtime::error::DispatchError;
use es_runtime::prelude::*;
use es_runtime::projection::ProjectionFailure;
use es_runtime::store::Store;

use super::domain::{Account, Balance, Bank, Deposit, NotOpen, Open, Owner, POISON, SLOW, Withdraw};
use super::truth;
use crate::domain::on_every_store;

on_every_store! {
    a_failure_undoes_the_command_alone,
    a_fold_that_takes_too_long_undoes_the_command,
    pending_asynchronous_events_are_applied_before_a_synchronous_one,
    a_stream_with_something_put_aside_refuses_what_would_overtake_it,
    commands_on_one_row_from_many_aggregates_keep_count,
}

async fn bank<S: Store>(store: S) -> App<Bank, S> {
    App::builder(store).build().await.unwrap()
}

async fn opened<S: Store>(bank: &App<Bank, S>) -> Uuid {
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into(), branch: 1 }).await.unwrap();
    account
}

async fn a_failure_undoes_the_command_alone<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = opened(&bank).await;
    let before = bank.event_count().await.unwrap();
    // All of them share a group commit, and stand on each other.
    let withdraw = |cents| bank.dispatch(Withdraw { account, cents }).into_future();
    let answers = futures_util::future::join_all([1, 2, POISON, 3, 4].map(withdraw)).await;
    let failed: Vec<_> = answers.iter().map(Result::is_err).collect();
    assert_eq!(failed, [false, false, true, false, false]);
    let error = answers.into_iter().nth(2).unwrap().unwrap_err();
    let DispatchError::SyncProjectionFailed { projection, cause } = &error else { panic!("{error}") };
    assert_eq!(*projection, "balances");
    assert!(matches!(cause, ProjectionFailure::Panicked { handler: "withdrawn", .. }), "{cause}");
    assert_eq!(bank.event_count().await.unwrap(), before + 4);
    let row = bank.table::<Balance>().get(&account).await.unwrap().unwrap();
    assert_eq!((row.cents, row.steps), (-10, 5));
    truth::check(&bank).await;
}

async fn a_fold_that_takes_too_long_undoes_the_command<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = opened(&bank).await;
    let error = bank.dispatch(Withdraw { account, cents: SLOW }).await.unwrap_err();
    let DispatchError::SyncProjectionTimedOut { projection, after } = &error else { panic!("{error}") };
    assert_eq!((*projection, *after), ("balances", Duration::from_millis(50)));
    assert_eq!(bank.load::<Account>(account).await.unwrap().version().get(), 1);
    truth::check(&bank).await;
}

async fn pending_asynchronous_events_are_applied_before_a_synchronous_one<S: Store>(store: S) {
    // Nobody follows the log here: what is asynchronous stays pending until a synchronous event comes.
    let bank: App<Bank, S> = App::builder(store.clone()).without_workers().build().await.unwrap();
    let account = opened(&bank).await;
    bank.dispatch(Deposit { account, branch: 1, cents: vec![5, 6] }).await.unwrap();
    let row = |bank: App<Bank, S>| async move { bank.table::<Balance>().get(&account).await.unwrap().unwrap() };
    assert_eq!(row(bank.clone()).await.steps, 1);
    bank.dispatch(Withdraw { account, cents: 1 }).await.unwrap();
    let after = row(bank.clone()).await;
    assert_eq!((after.cents, after.steps), (10, 4));
    bank.dispatch(Deposit { account, branch: 1, cents: vec![7] }).await.unwrap();
    // The workers that come later pass over what is applied, and apply what is not.
    let working = self::bank(store).await;
    truth::check(&working).await;
    assert_eq!(row(working).await.steps, 5);
}

async fn a_stream_with_something_put_aside_refuses_what_would_overtake_it<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = opened(&bank).await;
    // An amount that overflows the row's column parks the stream.
    bank.dispatch(Deposit { account, branch: 1, cents: vec![i64::MAX] }).await.unwrap();
    bank.dispatch(Deposit { account, branch: 2, cents: vec![i64::MAX] }).await.unwrap();
    bank.caught_up().await.unwrap();
    let error = bank.dispatch(Withdraw { account, cents: 1 }).await.unwrap_err();
    let DispatchError::ProjectionBehind { projection, .. } = &error else { panic!("{error}") };
    assert_eq!(*projection, "balances");
    assert!(error.is_retryable());
    // Others go on.
    let other = opened(&bank).await;
    bank.dispatch(Withdraw { account: other, cents: 1 }).await.unwrap();
}

async fn commands_on_one_row_from_many_aggregates_keep_count<S: Store>(store: S) {
    let bank = bank(store).await;
    let open = |_| {
        let bank = bank.clone();
        async move { opened(&bank).await }
    };
    futures_util::future::join_all((0..40).map(open)).await;
    assert_eq!(bank.table::<Owner>().get(&"ann".to_owned()).await.unwrap().unwrap().accounts, 40);
    let closed: Result<_, DispatchError<NotOpen>> = bank.dispatch(Withdraw { account: Uuid::nil(), cents: 1 }).await;
    assert!(matches!(closed, Err(DispatchError::NotFound { .. })));
    truth::check(&bank).await;
}
