//! Several processes on one file.

use std::collections::HashSet;
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::store::{Checkpoint, CheckpointStore as _};
use tokio::time::Instant;

use super::{child, truth};

async fn owned(bank: &App<super::domain::Bank, SqliteStore>) -> Vec<Checkpoint> {
    let mut all = Vec::new();
    for name in ["balances", "branch_totals", "owners", "fragile"] {
        all.extend(bank.store().checkpoints(name, 1).await.unwrap());
    }
    all
}

/// Waits until the partitions are owned as they should be.
async fn until(bank: &App<super::domain::Bank, SqliteStore>, what: &str, holds: impl Fn(&[Checkpoint]) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let all = owned(bank).await;
        if holds(&all) {
            return;
        }
        assert!(Instant::now() < deadline, "{what} did not come: {all:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn owners(all: &[Checkpoint]) -> HashSet<Option<es_runtime::store::ProcessId>> {
    all.iter().map(|checkpoint| checkpoint.owner).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_the_partitions_and_leases_move_when_one_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bank.db");
    let bank = child::bank(&file).await;
    until(&bank, "one owner", |all| owners(all).len() == 1 && all.iter().all(|each| each.owner.is_some())).await;
    let mine = owned(&bank).await[0].owner;

    let mut other = child::start(&file, 7, None);
    until(&bank, "a second owner", |all| owners(all).len() == 2 && all.iter().all(|each| each.owner.is_some())).await;
    let before = owned(&bank).await;
    let (shared, rest): (Vec<_>, Vec<_>) = before.iter().partition(|each| each.owner == mine);
    assert!(shared.len().abs_diff(rest.len()) <= 1, "the share is not fair: {before:#?}");

    let acknowledged = child::acknowledged(&mut other, 200);
    until(&bank, "all partitions back", |all| all.iter().all(|each| each.owner == mine)).await;
    for (before, after) in before.iter().zip(owned(&bank).await) {
        let taken = before.owner != after.owner;
        assert_eq!(after.epoch > before.epoch, taken, "{before:?} -> {after:?}");
    }
    assert!(acknowledged.len() >= 200);
    truth::check(&bank).await;
    bank.shutdown().await;
}
