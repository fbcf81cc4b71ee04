//! A bank that dies at any moment, or at the worst ones: after each restart every read model is a fold of the log.

use std::collections::HashMap;
use std::path::Path;

use es_runtime::prelude::*;
use es_runtime::store::{CheckpointStore as _, EventStore as _};

use super::child::{self, Acknowledged};
use super::domain::{Account, Bank};
use super::random::Random;
use super::truth;

/// What must hold after a restart, before and after the workers have gone on.
async fn check(file: &Path, acknowledged: &[Acknowledged]) {
    let bank: App<Bank, SqliteStore> = child::bank(file).await;
    let head = bank.store().head().await.unwrap();
    for name in ["balances", "branch_totals", "owners", "fragile"] {
        for checkpoint in bank.store().checkpoints(name, 1).await.unwrap() {
            assert!(checkpoint.position <= head, "{name} is ahead of the log: {checkpoint:?}");
            assert_eq!(checkpoint.letters, 0, "{name} put something aside");
        }
    }
    let mut versions: HashMap<Uuid, u64> = HashMap::new();
    for acknowledged in acknowledged {
        let version = match versions.get(&acknowledged.account) {
            Some(version) => *version,
            None => {
                let loaded = bank.load::<Account>(acknowledged.account).await.unwrap();
                let version = loaded.version().get();
                versions.insert(acknowledged.account, version);
                version
            }
        };
        assert!(version >= acknowledged.version, "lost: {acknowledged:?}");
        assert!(acknowledged.position <= head.get(), "lost: {acknowledged:?}");
    }
    truth::check(&bank).await;
    bank.shutdown().await;
}

#[tokio::test]
async fn a_kill_at_any_moment_leaves_read_models_that_are_a_fold_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bank.db");
    let mut random = Random::new(1);
    for round in 0..50 {
        let mut child = child::start(&file, round, None);
        let enough = usize::try_from(random.below(120)).unwrap() + 1;
        let acknowledged = child::acknowledged(&mut child, enough);
        assert!(acknowledged.len() >= enough, "round {round}: the child ended by itself");
        check(&file, &acknowledged).await;
    }
}

#[tokio::test]
async fn a_kill_at_each_named_place_leaves_read_models_that_are_a_fold_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bank.db");
    let places = [
        "append.folded",
        "append.stored",
        "batch.folded",
        "batch.begun",
        "batch.written",
        "batch.stored",
        "lease.taken",
    ];
    for (round, place) in places.iter().enumerate() {
        for count in [1, 2, 7] {
            let count = if *place == "lease.taken" { 1 } else { count };
            let mut child = child::start(&file, 1_000 + round as u64, Some((place, count)));
            // It dies by itself, before it has acknowledged so many.
            let acknowledged = child::acknowledged(&mut child, 100_000);
            assert!(acknowledged.len() < 100_000, "`{place}` was not reached {count} times");
            check(&file, &acknowledged).await;
        }
    }
}

#[tokio::test]
async fn a_kill_in_the_middle_of_a_switch_leaves_the_one_version_or_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bank.db");
    let acknowledged = child::acknowledged(&mut child::start(&file, 1, None), 200);
    check(&file, &acknowledged).await;
    for (round, name) in ["branch_totals", "balances", "owners"].into_iter().enumerate() {
        // Somebody wants it built anew, and leaves it to the next process.
        let store = SqliteStore::open(&file).await.unwrap();
        let bank: App<Bank, _> = App::builder(store).without_workers().build().await.unwrap();
        bank.subscriptions().rebuild(name).await.unwrap();
        bank.shutdown().await;
        let place = if round == 1 { "batch.written" } else { "switch.written" };
        let mut child = child::start(&file, 2_000 + round as u64, Some((place, 1)));
        let acknowledged = child::acknowledged(&mut child, 100_000);
        assert!(acknowledged.len() < 100_000, "`{place}` was not reached");
        check(&file, &acknowledged).await;
    }
}
