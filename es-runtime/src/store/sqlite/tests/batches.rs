//! Batches: fencing, letters, isolation in a shared transaction.

use futures_util::future::join_all;

use super::fixture::*;
use crate::event::GlobalPosition;
use crate::store::{BatchError, BatchWork, CheckpointStore as _, ProjectionRegistry as _, StoreError};

async fn bench(events: &[(&'static str, &str)]) -> (Bench, u64) {
    let bench = Bench::new().await;
    bench.store.register(&V1, None).await.expect("registered");
    append(&bench.store, "a", 0, events).await;
    let epoch = bench.lease(&V1).await;
    (bench, epoch)
}

async fn position(bench: &Bench) -> u64 {
    bench.store.checkpoints("balances", 1).await.expect("checkpoints")[0].position.get()
}

#[tokio::test]
async fn a_batch_of_another_epoch_or_place_is_fenced() {
    let (bench, epoch) = bench(&[("deposited", "5"), ("deposited", "6")]).await;
    let events = bench.log(0).await;
    for (epoch, from) in [(epoch + 1, 0), (epoch - 1, 0), (epoch, 1)] {
        let refused = bench.store.project(batch(&V1, epoch, from, 2, fold(&V1, events.clone()))).await;
        assert!(matches!(refused, Err(BatchError::Fenced)), "{refused:?}");
    }
    assert_eq!((bench.balance(1, "a").await, position(&bench).await), (None, 0));
    bench.store.project(batch(&V1, epoch, 0, 2, fold(&V1, events.clone()))).await.expect("stored");
    assert_eq!((bench.balance(1, "a").await, position(&bench).await), (Some((11, None)), 2));
    let again = bench.store.project(batch(&V1, epoch, 0, 2, fold(&V1, events))).await;
    assert!(matches!(again, Err(BatchError::Fenced)), "{again:?}");
}

#[tokio::test]
async fn batches_that_share_a_transaction_fail_alone() {
    let (bench, epoch) = bench(&[("deposited", "5"), ("deposited", "-1"), ("deposited", "6")]).await;
    let events = bench.log(0).await;
    // They stand in line together behind a job that holds the writer.
    let good = batch(&V1, epoch, 0, 1, fold(&V1, events[..1].to_vec()));
    let fenced = batch(&V1, epoch + 7, 1, 3, fold(&V1, events[1..].to_vec()));
    let broken = batch(&V1, epoch, 1, 3, fold(&V1, events[1..].to_vec()));
    let next = batch(&V1, epoch, 1, 3, fold(&V1, events[2..].to_vec()));
    let results = join_all([good, fenced, broken, next].map(|batch| bench.store.project(batch))).await;
    assert!(results[0].is_ok(), "{results:?}");
    assert!(matches!(results[1], Err(BatchError::Fenced)), "{results:?}");
    assert!(matches!(results[2], Err(BatchError::Failed { index: 0, .. })), "{results:?}");
    assert!(results[3].is_ok(), "{results:?}");
    assert_eq!((bench.balance(1, "a").await, position(&bench).await), (Some((11, None)), 3));
}

#[tokio::test]
async fn a_failure_names_its_event() {
    let (bench, epoch) = bench(&[("deposited", "5"), ("noted", "x"), ("deposited", "13"), ("deposited", "661")]).await;
    let events = bench.log(0).await;
    let panicked = bench.store.project(batch(&V1, epoch, 0, 4, fold(&V1, events.clone()))).await;
    assert!(matches!(panicked, Err(BatchError::Failed { index: 2, .. })), "{panicked:?}");
    // 666 cannot be stored: only the event that makes it is to blame.
    let events = [&events[..2], &events[3..]].concat();
    let unstorable = bench.store.project(batch(&V1, epoch, 0, 4, fold(&V1, events))).await;
    assert!(matches!(unstorable, Err(BatchError::Failed { index: 2, .. })), "{unstorable:?}");
    assert_eq!((bench.balance(1, "a").await, position(&bench).await), (None, 0));
}

#[tokio::test]
async fn letters_are_stored_with_the_checkpoint_and_dealt_with_once() {
    let (bench, epoch) = bench(&[("deposited", "-1"), ("deposited", "6")]).await;
    let events = bench.log(0).await;
    let mut parking = batch(&V1, epoch, 0, 2, BatchWork::Nothing);
    parking.letters = vec![letter(&events[0], "[\"\",\"a\"]", Some("why")), letter(&events[1], "[\"\",\"a\"]", None)];
    let expected = parking.letters.clone();
    bench.store.project(parking).await.expect("stored");
    let stored = bench.store.letters("balances", 1, None, 10).await.expect("letters");
    assert_eq!(stored.iter().map(|letter| letter.letter.clone()).collect::<Vec<_>>(), expected);
    assert_eq!(bench.store.letters("balances", 1, None, 1).await.expect("letters"), stored[..1]);
    assert!(bench.store.letters("balances", 1, Some("other"), 10).await.expect("letters").is_empty());
    assert_eq!(bench.store.parked_keys(&id(&V1, 0)).await.expect("keys"), ["[\"\",\"a\"]"]);
    assert_eq!(bench.store.checkpoints("balances", 1).await.expect("checkpoints")[0].letters, 2);

    bench.store.touch_letter(&id(&V1, 0), events[0].position(), "still").await.expect("touched");
    let touched = bench.store.letters("balances", 1, None, 1).await.expect("letters").remove(0);
    assert_eq!((touched.letter.cause.as_deref(), touched.letter.attempts), (Some("still"), 2));
    assert!(touched.touched > touched.letter.at);

    assert!(bench.store.skip_letter(&id(&V1, 0), events[0].position()).await.expect("skipped"));
    assert!(!bench.store.skip_letter(&id(&V1, 0), events[0].position()).await.expect("gone already"));
    let retry = |parked: Vec<String>| {
        let mut retry = batch(&V1, epoch, 2, 2, fold(&V1, events[1..].to_vec()));
        (retry.settles, retry.parked) = (Some(events[1].position()), parked);
        retry
    };
    let wrong = bench.store.project(retry(vec!["nobody".into()])).await;
    assert!(matches!(wrong, Err(BatchError::LettersChanged)), "{wrong:?}");
    bench.store.project(retry(vec!["[\"\",\"a\"]".into()])).await.expect("settled");
    let twice = bench.store.project(retry(vec![])).await;
    assert!(matches!(twice, Err(BatchError::LettersChanged)), "{twice:?}");
    // The second attempt folded nothing.
    assert_eq!((bench.balance(1, "a").await, position(&bench).await), (Some((6, None)), 2));
}

#[tokio::test]
async fn events_are_picked_and_versions_known_at_a_position() {
    let (bench, _) = bench(&[("deposited", "5"), ("deposited", "6")]).await;
    append(&bench.store, "b", 0, &[("deposited", "1")]).await;
    append(&bench.store, "a", 2, &[("deposited", "7")]).await;
    let at = |positions: &[u64]| positions.iter().map(|position| GlobalPosition::new(*position)).collect::<Vec<_>>();
    let picked = bench.store.events_at(&at(&[4, 1, 4, 99])).await.expect("events");
    assert_eq!(picked, [bench.log(0).await[0].clone(), bench.log(3).await[0].clone()]);
    let streams = ["b", "a", "nobody"].map(|key| crate::event::StreamId::new("account", key));
    let versions = async |position| {
        let found = bench.store.versions_at(&streams, GlobalPosition::new(position)).await.expect("versions");
        found.iter().map(|version| version.get()).collect::<Vec<_>>()
    };
    assert_eq!(versions(1).await, [0, 1, 0]);
    assert_eq!(versions(3).await, [1, 2, 0]);
    assert_eq!(versions(100).await, [1, 3, 0]);
}

#[tokio::test]
async fn a_closed_store_takes_no_batch() {
    use crate::store::EventStore as _;
    let (bench, epoch) = bench(&[("deposited", "5")]).await;
    bench.store.close().await;
    let refused = bench.store.project(batch(&V1, epoch, 0, 1, BatchWork::Nothing)).await;
    assert!(matches!(refused, Err(BatchError::Store(StoreError::Closed))), "{refused:?}");
}
