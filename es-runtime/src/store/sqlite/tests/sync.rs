//! Projections in the commits' own transaction.

use std::sync::Arc;

use super::fixture::*;
use crate::event::GlobalPosition;
use crate::projection::ProjectionFailure;
use crate::store::{
    AppendError, BatchWork, CheckpointStore as _, EventStore as _, ProjectionRegistry as _, SyncProjections,
};

async fn bench() -> (Bench, Arc<SyncProjections>) {
    let bench = Bench::new().await;
    bench.store.register(&MIXED_V1, None).await.expect("registered");
    (bench, projections(10))
}

fn projections(backlog: usize) -> Arc<SyncProjections> {
    Arc::new(SyncProjections { folded: vec![folded(&MIXED_V1)], connected: Vec::new(), backlog })
}

fn deposit(account: &str, expected: u64, amount: &'static str, all: &Arc<SyncProjections>) -> crate::store::NewCommit {
    with(commit(account, expected, &[("deposited", amount)]), all)
}

async fn watermarks(bench: &Bench) -> Vec<(i64, i64)> {
    let mut reader = bench.store.reader().await.expect("a reader");
    sqlx::query_as("SELECT stream_version, position FROM watermarks ORDER BY stream_no")
        .fetch_all(reader.connection().expect("connected"))
        .await
        .expect("watermarks")
}

#[tokio::test]
async fn a_row_is_there_with_its_event() {
    let (bench, all) = bench().await;
    let committed = bench.store.submit(deposit("a", 0, "5", &all)).await.await.expect("stored");
    assert_eq!(committed.position, GlobalPosition::new(1));
    assert_eq!(bench.balance(1, "a").await, Some((5, None)));
    assert_eq!(watermarks(&bench).await, [(1, 1)]);
    // The worker passes over it, and the watermark goes.
    let epoch = bench.lease(&MIXED_V1).await;
    let batch = batch(&MIXED_V1, epoch, 0, 1, fold(&MIXED_V1, bench.log(0).await));
    bench.store.project(batch).await.expect("stored");
    assert_eq!(bench.balance(1, "a").await, Some((5, None)));
    assert_eq!(watermarks(&bench).await, []);
    // And goes on from there.
    bench.store.submit(deposit("a", 1, "6", &all)).await.await.expect("stored");
    assert_eq!(bench.balance(1, "a").await, Some((11, None)));
}

#[tokio::test]
async fn a_failed_projection_refuses_its_commit_alone() {
    let (bench, all) = bench().await;
    let (first, third) = (deposit("a", 0, "5", &all), deposit("a", 1, "7", &all));
    let failing = with(commit("a", 1, &[("deposited", "1"), ("deposited", "-1")]), &all);
    let chain = failing.chain.clone();
    let mut behind = commit("b", 0, &[("noted", "x")]);
    behind.chain = chain.clone();
    let results = together(&bench.store, vec![first, failing, behind, third, deposit("b", 0, "9", &all)]).await;
    assert!(results[0].is_ok(), "{results:?}");
    let failed = |projection: &str, cause: &ProjectionFailure| {
        projection == "balances" && matches!(cause, ProjectionFailure::Failed { .. })
    };
    assert!(
        matches!(&results[1], Err(AppendError::ProjectionFailed { projection, cause }) if failed(projection, cause)),
        "{results:?}"
    );
    assert!(chain.is_broken());
    assert!(matches!(results[2], Err(AppendError::ChainBroken)), "{results:?}");
    assert_eq!(results[3].as_ref().expect("stored").position, GlobalPosition::new(2));
    assert_eq!(results[4].as_ref().expect("stored").position, GlobalPosition::new(3));
    assert_eq!(bench.balance(1, "a").await, Some((12, None)));
    assert_eq!(bench.balance(1, "b").await, Some((9, None)));
    assert_eq!(bench.store.event_count().await.expect("a number"), 3);
}

#[tokio::test]
async fn what_cannot_be_stored_or_panics_or_takes_too_long_is_refused() {
    let (bench, all) = bench().await;
    let commits = vec![
        deposit("a", 0, "666", &all),
        deposit("a", 0, "13", &all),
        deposit("a", 0, "99", &all),
        deposit("a", 0, "5", &all),
    ];
    let results = together(&bench.store, commits).await;
    let cause = |result: &Result<_, AppendError>| match result {
        Err(AppendError::ProjectionFailed { cause, .. }) => cause.clone(),
        other => panic!("{other:?}"),
    };
    assert!(matches!(cause(&results[0]), ProjectionFailure::Column(_)), "{results:?}");
    assert!(matches!(cause(&results[1]), ProjectionFailure::Panicked { .. }), "{results:?}");
    assert!(matches!(results[2], Err(AppendError::ProjectionTimedOut { projection: "balances", .. })), "{results:?}");
    assert!(results[3].is_ok(), "{results:?}");
    assert_eq!(bench.balance(1, "a").await, Some((5, None)));
}

#[tokio::test]
async fn a_claim_that_is_taken_takes_the_fold_back() {
    use crate::event::{Claim, ClaimKind};
    let (bench, all) = bench().await;
    let claiming = |account: &str, amount| {
        let mut commit = deposit(account, 0, amount, &all);
        commit.claims.push(Claim { set: "email".into(), key: "x".into(), kind: ClaimKind::Claim });
        commit
    };
    let results =
        together(&bench.store, vec![claiming("a", "5"), claiming("b", "6"), deposit("b", 0, "7", &all)]).await;
    assert!(matches!(results[1], Err(AppendError::Claimed { .. })), "{results:?}");
    assert!(results[2].is_ok(), "{results:?}");
    assert_eq!(bench.balance(1, "b").await, Some((7, None)));
}

#[tokio::test]
async fn pending_events_of_the_stream_come_first() {
    let (bench, all) = bench().await;
    append(&bench.store, "a", 0, &[("noted", "one"), ("noted", "two")]).await;
    append(&bench.store, "b", 0, &[("noted", "other")]).await;
    // The last event is left to the worker.
    let mixed = [("noted", "three"), ("deposited", "5"), ("noted", "four")];
    bench.store.submit(with(commit("a", 2, &mixed), &all)).await.await.expect("stored");
    let after = Some((5, Some("one@0;two@0;three@0;".to_owned())));
    assert_eq!(bench.balance(1, "a").await, after);
    assert_eq!(watermarks(&bench).await, [(4, 5)]);
    assert_eq!(bench.balance(1, "b").await, None, "another stream's");
    let epoch = bench.lease(&MIXED_V1).await;
    let batch = batch(&MIXED_V1, epoch, 0, 6, fold(&MIXED_V1, bench.log(0).await));
    bench.store.project(batch).await.expect("stored");
    assert_eq!(bench.balance(1, "a").await, Some((5, Some("one@0;two@0;three@0;four@5;".into()))));
    assert_eq!(bench.balance(1, "b").await, Some((0, Some("other@0;".into()))));
}

#[tokio::test]
async fn events_of_one_group_are_folded_in_their_order() {
    let (bench, all) = bench().await;
    let commits = vec![
        commit("a", 0, &[("noted", "one")]),
        deposit("a", 1, "5", &all),
        commit("a", 2, &[("noted", "two")]),
        with(commit("a", 3, &[("deposited", "6"), ("noted", "three")]), &all),
        deposit("a", 5, "7", &all),
        commit("a", 6, &[("noted", "four")]),
    ];
    let results = together(&bench.store, commits).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(bench.balance(1, "a").await, Some((18, Some("one@0;two@5;three@11;".into()))));
    assert_eq!(watermarks(&bench).await, [(6, 6)]);
}

#[tokio::test]
async fn too_many_pending_events_refuse_the_commit() {
    let (bench, _) = bench().await;
    append(&bench.store, "a", 0, &[("noted", "1"), ("noted", "2"), ("noted", "3")]).await;
    let refused = bench.store.submit(deposit("a", 3, "5", &projections(2))).await.await;
    assert!(matches!(refused, Err(AppendError::ProjectionBehind { .. })), "{refused:?}");
    bench.store.submit(deposit("a", 3, "5", &projections(3))).await.await.expect("stored");
    assert_eq!(bench.balance(1, "a").await, Some((5, Some("1@0;2@0;3@0;".into()))));
}

#[tokio::test]
async fn a_stream_with_a_letter_refuses_the_commit() {
    let (bench, all) = bench().await;
    append(&bench.store, "a", 0, &[("noted", "1")]).await;
    let epoch = bench.lease(&MIXED_V1).await;
    let mut parking = batch(&MIXED_V1, epoch, 0, 1, BatchWork::Nothing);
    parking.letters = vec![letter(&bench.log(0).await[0], "another key", Some("why"))];
    bench.store.project(parking).await.expect("stored");
    let results = together(&bench.store, vec![deposit("a", 1, "5", &all), deposit("b", 0, "6", &all)]).await;
    assert!(matches!(results[0], Err(AppendError::ProjectionBehind { .. })), "{results:?}");
    assert!(results[1].is_ok(), "{results:?}");
    bench.store.skip_letter(&id(&MIXED_V1, 0), GlobalPosition::new(1)).await.expect("skipped");
    bench.store.submit(deposit("a", 1, "5", &all)).await.await.expect("stored");
    assert_eq!(bench.balance(1, "a").await, Some((5, None)));
}

#[tokio::test]
async fn another_version_that_serves_is_left_to_the_workers() {
    let bench = Bench::new().await;
    bench.store.register(&V2, None).await.expect("registered");
    let results = together(&bench.store, vec![deposit("a", 0, "-1", &projections(1))]).await;
    assert!(results[0].is_ok(), "{results:?}");
    assert_eq!(bench.balance(2, "a").await, None);
    assert_eq!(watermarks(&bench).await, []);
}
