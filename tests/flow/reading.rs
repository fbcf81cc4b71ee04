//! States, earlier states, histories.

use std::time::Duration;

use es_runtime::app::{Clock as _, ManualClock};
use es_runtime::prelude::*;
use es_runtime::store::Store;

use crate::domain::{Account, Bank, Deposit, Gateway, Open, on_every_store};

on_every_store! {
    what_does_not_exist_is_empty_and_no_error,
    earlier_states_can_be_loaded,
    histories_longer_than_a_page_are_whole,
}

async fn what_does_not_exist_is_empty_and_no_error<S: Store>(store: S) {
    let bank = crate::domain::bank(store).await;
    let loaded = bank.load::<Account>(Uuid::now_v7()).await.unwrap();
    assert!(loaded.state().is_none());
    assert_eq!(loaded.version(), 0);
    assert!(bank.history::<Account>(Uuid::now_v7()).await.unwrap().is_empty());
}

async fn earlier_states_can_be_loaded<S: Store>(store: S) {
    let clock = ManualClock::default();
    let bank =
        App::<Bank, _>::builder(store).clock(clock.clone()).dependency(Gateway::default()).build().await.unwrap();
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    let mut times = vec![clock.now()];
    for cents in 1..=8 {
        clock.advance(Duration::from_secs(60));
        bank.dispatch(Deposit::of(account, cents)).await.unwrap();
        times.push(clock.now());
    }
    for (index, time) in times.into_iter().enumerate() {
        let balance = (1..=index as i64).sum::<i64>();
        let at = bank.load::<Account>(account).at_time(time).await.unwrap();
        assert_eq!((at.version().get(), at.state().unwrap().balance()), (index as u64 + 1, balance));
        let at = bank.load::<Account>(account).at_version(index as u64 + 1).await.unwrap();
        assert_eq!(at.state().unwrap().balance(), balance);
    }
    let before = clock.now() - chrono::TimeDelta::hours(1);
    assert!(bank.load::<Account>(account).at_time(before).await.unwrap().state().is_none());
    assert_eq!(bank.load::<Account>(account).at_version(99).await.unwrap().version(), 9);
}

async fn histories_longer_than_a_page_are_whole<S: Store>(store: S) {
    let bank = App::<Bank, _>::builder(store)
        .dependency(Gateway::default())
        .limits(|limits| limits.page = 3)
        .build()
        .await
        .unwrap();
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    for count in 1..=7 {
        bank.dispatch(Deposit::of(account, 1)).await.unwrap();
        let history = bank.history::<Account>(account).await.unwrap();
        assert_eq!(history.len(), count + 1);
        assert_eq!(bank.load::<Account>(account).await.unwrap().version(), count as u64 + 1);
        let loaded = bank.load::<Account>(account).at_version(count as u64).await.unwrap();
        assert_eq!(loaded.version(), count as u64);
    }
}
