//! A bank whose server crashes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use es_runtime::prelude::*;
use es_runtime::store::Store;
use tokio::time::Instant;

use super::child::{account, bank};
use super::domain::{Account, Bank, Deposit, Open};
use super::truth;
use crate::postgres::{Schema, server_of_its_own};

#[derive(Default)]
struct Progress {
    done: AtomicU64,
    is_enough: AtomicBool,
}

impl Progress {
    /// Waits until so much more is done.
    async fn of(&self, more: u64) {
        let (deadline, goal) = (Instant::now() + Duration::from_secs(60), self.done.load(Ordering::SeqCst) + more);
        while self.done.load(Ordering::SeqCst) < goal {
            assert!(Instant::now() < deadline, "the bank does not go on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Pays in one deposit after the other, each under a key of its own and as often as it takes. Gives how many.
async fn pay_in(bank: App<Bank, impl Store>, caller: u64, progress: Arc<Progress>) -> u64 {
    let mut deposits = 0;
    while !progress.is_enough.load(Ordering::SeqCst) {
        let deposit = Deposit { account: account(caller), branch: 1, cents: vec![1, 2] };
        match bank.dispatch(deposit).idempotency_key(format!("{caller}-{deposits}")).await {
            Ok(_) => {
                deposits += 1;
                progress.done.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) if error.is_retryable() || matches!(error, DispatchError::Uncertain { .. }) => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    deposits
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_does_everything_once_through_crashes_of_its_server() {
    let Some(mut server) = server_of_its_own() else { return };
    let schema = Schema::on(server.url());
    let bank = bank(&schema).await;
    let progress = Arc::<Progress>::default();
    for number in 0..6 {
        bank.dispatch(Open { account: account(number), owner: "ann".into(), branch: 0 }).await.unwrap();
    }
    let callers: Vec<_> =
        (0..6).map(|caller| tokio::spawn(pay_in(bank.clone(), caller, Arc::clone(&progress)))).collect();
    for _ in 0..5 {
        progress.of(100).await;
        tokio::task::block_in_place(|| {
            server.crash().unwrap();
            server.start_again().unwrap();
        });
    }
    progress.of(100).await;
    progress.is_enough.store(true, Ordering::SeqCst);
    for (number, caller) in (0..).zip(callers) {
        let deposits = caller.await.unwrap();
        let version = bank.load::<Account>(account(number)).await.unwrap().version().get();
        assert_eq!(version, 1 + 2 * deposits, "account {number}: lost or doubled");
    }
    truth::check(&bank).await;
    for name in ["balances", "branch_totals", "owners", "fragile"] {
        assert_eq!(
            bank.subscriptions().letters(name, None, 10).await.unwrap(),
            [],
            "the crash was taken for a bad event"
        );
    }
    bank.shutdown().await;
}
