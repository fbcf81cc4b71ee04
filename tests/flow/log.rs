//! The whole log: from a position, decoded, followed live.

use std::time::Duration;

use es_runtime::event::GlobalPosition;
use es_runtime::prelude::*;
use es_runtime::store::Store;
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::domain::{Bank, BankEvent, Deposit, Gateway, Open, bank, on_every_store};

on_every_store! {
    the_log_is_read_from_a_position,
    events_are_decoded_as_the_domains,
    a_follower_sees_every_event_once,
    a_follower_ends_when_the_application_is_closed,
}

async fn the_log_is_read_from_a_position<S: Store>(store: S) {
    let bank = App::<Bank, _>::builder(store)
        .dependency(Gateway::default())
        .limits(|limits| limits.page = 3)
        .build()
        .await
        .unwrap();
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    for _ in 0..7 {
        bank.dispatch(Deposit::of(account, 1)).await.unwrap();
    }
    for from in 0..=9_u64 {
        let events: Vec<_> = bank.events().from(GlobalPosition::new(from)).try_collect().await.unwrap();
        let positions: Vec<u64> = events.iter().map(|event| event.position().get()).collect();
        assert_eq!(positions, (from + 1..=8).collect::<Vec<_>>());
    }
}

async fn events_are_decoded_as_the_domains<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    let events: Vec<_> = bank.events().decode::<Bank>().try_collect().await.unwrap();
    let opened = crate::domain::Opened { owner: "ann".into() };
    assert_eq!(events[0].event(), &BankEvent::Account(opened.into()));
}

async fn a_follower_sees_every_event_once<S: Store>(store: S) {
    let bank = bank(store).await;
    let follower = tokio::spawn(bank.events().follow().take(200).try_collect::<Vec<_>>());
    let writers = (0..4).map(|writer| {
        let bank = bank.clone();
        tokio::spawn(async move {
            let account = Uuid::from_u128(writer);
            bank.dispatch(Open { account, owner: account.to_string() }).await.unwrap();
            for _ in 1..50 {
                bank.dispatch(Deposit::of(account, 1)).await.unwrap();
            }
        })
    });
    futures_util::future::try_join_all(writers).await.unwrap();
    let seen = tokio::time::timeout(Duration::from_secs(60), follower).await.unwrap().unwrap().unwrap();
    let positions: Vec<u64> = seen.iter().map(|event| event.position().get()).collect();
    assert_eq!(positions, (1..=200).collect::<Vec<_>>());
    for writer in 0..4 {
        let key = Uuid::from_u128(writer).to_string();
        let versions: Vec<u64> =
            seen.iter().filter(|event| event.stream().key() == key).map(|event| event.version().get()).collect();
        assert_eq!(versions, (1..=50).collect::<Vec<_>>());
    }
}

async fn a_follower_ends_when_the_application_is_closed<S: Store>(store: S) {
    let bank = bank(store).await;
    let account = Uuid::now_v7();
    bank.dispatch(Open { account, owner: "ann".into() }).await.unwrap();
    let mut follower = bank.events().follow();
    assert_eq!(follower.next().await.unwrap().unwrap().position().get(), 1);
    let waiting = tokio::spawn(async move { follower.next().await.is_none() });
    bank.shutdown().await;
    assert!(tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap().unwrap());
}
