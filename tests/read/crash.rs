//! A bank that dies at any moment, or at the worst ones: after each restart every read model is a fold of the log.

use std::collections::HashMap;

use es_runtime::prelude::*;
use es_runtime::store::{CheckpointStore as _, EventStore as _};

use super::child::{self, Acknowledged};
use super::domain::{Account, Bank};
use super::truth;
use crate::place::{Place, at_every_place};
use crate::random::Random;

at_every_place! {
    a_kill_at_any_moment_leaves_read_models_that_are_a_fold_of_the_log,
    a_kill_at_each_named_place_leaves_read_models_that_are_a_fold_of_the_log,
    a_kill_in_the_middle_of_a_switch_leaves_the_one_version_or_the_other,
}

/// What must hold after a restart, before and after the workers have gone on.
async fn check<P: Place>(place: &P, acknowledged: &[Acknowledged]) {
    let bank: App<Bank, P::Store> = child::bank(place).await;
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

async fn a_kill_at_any_moment_leaves_read_models_that_are_a_fold_of_the_log<P: Place>() {
    let home = P::new();
    let mut random = Random::new(1);
    // A round with a server takes longer.
    let rounds = if P::KIND == "sqlite" { 50 } else { 20 };
    for round in 0..rounds {
        let mut child = child::start(&home, round, None);
        let enough = usize::try_from(random.below(120)).unwrap() + 1;
        let acknowledged = child::acknowledged(&mut child, enough);
        assert!(acknowledged.len() >= enough, "round {round}: the child ended by itself");
        check(&home, &acknowledged).await;
    }
}

async fn a_kill_at_each_named_place_leaves_read_models_that_are_a_fold_of_the_log<P: Place>() {
    let home = P::new();
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
            let mut child = child::start(&home, 1_000 + round as u64, Some((place, count)));
            // It dies by itself, before it has acknowledged so many.
            let acknowledged = child::acknowledged(&mut child, 100_000);
            assert!(acknowledged.len() < 100_000, "`{place}` was not reached {count} times");
            check(&home, &acknowledged).await;
        }
    }
}

async fn a_kill_in_the_middle_of_a_switch_leaves_the_one_version_or_the_other<P: Place>() {
    let home = P::new();
    let acknowledged = child::acknowledged(&mut child::start(&home, 1, None), 200);
    check(&home, &acknowledged).await;
    for (round, name) in ["branch_totals", "balances", "owners"].into_iter().enumerate() {
        // Somebody wants it built anew, and leaves it to the next process.
        let store = home.open().await;
        let bank: App<Bank, _> = App::builder(store).without_workers().build().await.unwrap();
        bank.subscriptions().rebuild(name).await.unwrap();
        bank.shutdown().await;
        let place = if round == 1 { "batch.written" } else { "switch.written" };
        let mut child = child::start(&home, 2_000 + round as u64, Some((place, 1)));
        let acknowledged = child::acknowledged(&mut child, 100_000);
        assert!(acknowledged.len() < 100_000, "`{place}` was not reached");
        check(&home, &acknowledged).await;
    }
}
