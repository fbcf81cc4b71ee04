//! Several processes at one place.

use std::collections::HashSet;
use std::future::IntoFuture as _;
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::store::{Checkpoint, Store};
use tokio::time::Instant;

use super::domain::{Account, Bank, Deposit, Open, Withdraw};
use super::{child, truth};
use crate::place::{Place, at_every_place};

at_every_place! {
    two_processes_share_the_partitions_and_leases_move_when_one_is_killed,
    a_process_that_stood_still_past_its_lease_does_no_harm_with_what_it_had_folded,
    a_process_that_stood_still_past_its_lease_does_no_harm_with_what_it_had_just_leased,
}

async fn owned(bank: &App<Bank, impl Store>) -> Vec<Checkpoint> {
    let mut all = Vec::new();
    for name in ["balances", "branch_totals", "owners", "fragile"] {
        all.extend(bank.store().checkpoints(name, 1).await.unwrap());
    }
    all
}

/// Waits until the partitions are owned as they should be.
async fn until(bank: &App<Bank, impl Store>, what: &str, holds: impl Fn(&[Checkpoint]) -> bool) {
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

async fn two_processes_share_the_partitions_and_leases_move_when_one_is_killed<P: Place>() {
    let home = P::new();
    let bank = child::bank(&home).await;
    until(&bank, "one owner", |all| owners(all).len() == 1 && all.iter().all(|each| each.owner.is_some())).await;
    let mine = owned(&bank).await[0].owner;

    let mut other = child::start(&home, 7, None);
    until(&bank, "a second owner", |all| owners(all).len() == 2 && all.iter().all(|each| each.owner.is_some())).await;
    let before = owned(&bank).await;
    let (shared, rest): (Vec<_>, Vec<_>) = before.iter().partition(|each| each.owner == mine);
    assert!(shared.len().abs_diff(rest.len()) <= 1, "the share is not fair: {before:#?}");

    let acknowledged = child::acknowledged(&mut other, 200);
    until(&bank, "all partitions back", |all| all.iter().all(|each| each.owner == mine)).await;
    for (before, after) in before.iter().zip(owned(&bank).await) {
        // Each change of the owner raises the epoch. On a busy machine a lease may have gone to the other one and come back.
        let fits = match (before.owner == after.owner, after.epoch - before.epoch) {
            (true, raised) => raised == 0 || raised >= 2,
            (false, raised) => raised >= 1,
        };
        assert!(fits, "{before:?} -> {after:?}");
    }
    assert!(acknowledged.len() >= 200);
    truth::check(&bank).await;
    bank.shutdown().await;
}

/// Makes sure that a child is stopped while it holds no lock that keeps others from writing.
async fn stopped_without_the_lock(bank: &App<Bank, impl Store>, child: u32) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !child::is_stopped(child) {
        assert!(Instant::now() < deadline, "the child did not come by the place where it stops");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let writes = || bank.dispatch(Open { account: Uuid::now_v7(), owner: "me".into(), branch: 0 }).into_future();
    while tokio::time::timeout(Duration::from_millis(300), writes()).await.is_err() {
        assert!(Instant::now() < deadline, "the child always holds the lock");
        child::signal("CONT", child);
        tokio::time::sleep(Duration::from_millis(3)).await;
        child::signal("STOP", child);
    }
}

/// A process stands still for longer than its lease holds, with folded rows in hand, and then goes on as if nothing had happened.
async fn stop_and_go_on<P: Place>(place: &str, count: u32) {
    let home = P::new();
    let bank = child::bank(&home).await;
    let mut other = child::Running(child::start_and_stop(&home, u64::from(count), place, count));
    let (process, heard) = (other.0.id(), child::listen(&mut other.0));
    stopped_without_the_lock(&bank, process).await;
    let before = owned(&bank).await;

    // Its lease runs out, others take over and go on behind where it stood, and on the same rows.
    until(&bank, "all partitions taken over", |all| {
        owners(all).len() == 1 && all.iter().all(|each| each.owner.is_some())
    })
    .await;
    let mine = owned(&bank).await;
    for (before, mine) in before.iter().zip(&mine) {
        assert_eq!(mine.epoch > before.epoch, mine.owner != before.owner, "{before:?} -> {mine:?}");
    }
    for number in 0..child::ACCOUNTS {
        let account = child::account(number);
        let _ = bank.dispatch(Open { account, owner: "me".into(), branch: 1 }).await;
        let _ = bank.dispatch(Deposit { account, branch: 1, cents: vec![5, 6] }).await;
        let _ = bank.dispatch(Withdraw { account, cents: 1 }).await;
    }
    truth::check(&bank).await;

    child::signal("CONT", process);
    let heard_before = heard.lock().unwrap().len();
    until(&bank, "the other one's share", |all| owners(all).len() == 2 && all.iter().all(|each| each.owner.is_some()))
        .await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while heard.lock().unwrap().len() < heard_before + 50 {
        assert!(Instant::now() < deadline, "the child does not go on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(other);
    truth::check(&bank).await;
    for checkpoint in owned(&bank).await {
        assert_eq!(checkpoint.letters, 0, "{checkpoint:?}");
    }
    let heard = heard.lock().unwrap().clone();
    for acknowledged in heard {
        let version = bank.load::<Account>(acknowledged.account).await.unwrap().version();
        assert!(version.get() >= acknowledged.version, "lost: {acknowledged:?}");
    }
    bank.shutdown().await;
}

async fn a_process_that_stood_still_past_its_lease_does_no_harm_with_what_it_had_folded<P: Place>() {
    for count in [1, 4, 20] {
        stop_and_go_on::<P>("batch.folded", count).await;
    }
}

async fn a_process_that_stood_still_past_its_lease_does_no_harm_with_what_it_had_just_leased<P: Place>() {
    stop_and_go_on::<P>("lease.taken", 1).await;
    stop_and_go_on::<P>("lease.taken", 3).await;
}
