//! Whatever happens in whatever order, the read models are the pure fold of the log in the end.

use es_runtime::prelude::*;
use es_runtime::store::Store;
use proptest::prelude::*;

use super::domain::{Bank, Close, Deposit, Open, Withdraw, break_for, heal_for};
use super::truth;
use crate::place::Place as _;
use crate::postgres::Schema;

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    Open(u8),
    Deposit(u8, u8, Vec<i64>),
    Withdraw(u8, i64),
    Close(u8),
    /// A bug comes up for an account.
    Break(u8),
    /// It is mended, and what was put aside is tried again.
    Heal(u8),
    /// The program ends and begins anew, with batches of another size.
    Restart(usize),
    Pause(bool),
    Rebuild(u8),
    /// The checkpoint's move is noticed by nobody for a moment.
    Yield,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_u8).prop_map(Step::Open),
        12 => (0..4_u8, 0..3_u8, proptest::collection::vec(1..9_i64, 1..4)).prop_map(|(a, b, c)| Step::Deposit(a, b, c)),
        6 => (0..4_u8, 1..9_i64).prop_map(|(a, c)| Step::Withdraw(a, c)),
        1 => (3..4_u8).prop_map(Step::Close),
        2 => (0..4_u8).prop_map(Step::Break),
        2 => (0..4_u8).prop_map(Step::Heal),
        2 => (1..6_usize).prop_map(Step::Restart),
        1 => any::<bool>().prop_map(Step::Pause),
        1 => (0..3_u8).prop_map(Step::Rebuild),
        4 => Just(Step::Yield),
    ]
}

async fn build<S: Store>(store: &S, batch: usize) -> App<Bank, S> {
    let builder = App::builder(store.clone()).subscriptions(|options| options.batch = batch);
    builder.build().await.unwrap()
}

async fn run<S: Store>(store: S, steps: Vec<Step>) {
    // Accounts of this run alone: what is broken is known by account.
    let accounts: Vec<Uuid> = (0..4).map(|_| Uuid::now_v7()).collect();
    let of = |number: u8| accounts[usize::from(number)];
    let mut bank = build(&store, 3).await;
    for step in steps {
        match step {
            Step::Open(number) => {
                drop(bank.dispatch(Open { account: of(number), owner: "ann".into(), branch: 0 }).await)
            }
            Step::Deposit(number, branch, cents) => {
                drop(bank.dispatch(Deposit { account: of(number), branch: branch.into(), cents }).await);
            }
            Step::Withdraw(number, cents) => drop(bank.dispatch(Withdraw { account: of(number), cents }).await),
            Step::Close(number) => drop(bank.dispatch(Close { account: of(number) }).await),
            Step::Break(number) => break_for(of(number)),
            Step::Heal(number) => {
                heal_for(of(number));
                drop(bank.subscriptions().retry("fragile", None).await);
            }
            Step::Restart(batch) => {
                drop(bank);
                bank = build(&store, batch).await;
            }
            Step::Pause(true) => bank.subscriptions().pause("fragile").await.unwrap(),
            Step::Pause(false) => bank.subscriptions().resume("fragile").await.unwrap(),
            Step::Rebuild(which) => {
                let name = ["balances", "branch_totals", "fragile"][usize::from(which)];
                bank.subscriptions().rebuild(name).await.unwrap();
            }
            Step::Yield => tokio::task::yield_now().await,
        }
    }
    accounts.iter().for_each(|account| heal_for(*account));
    bank.subscriptions().resume("fragile").await.unwrap();
    bank.caught_up().within_secs(120).await.unwrap();
    bank.subscriptions().retry("fragile", None).await.unwrap();
    truth::check(&bank).await;
    bank.shutdown().await;
}

fn on<F: Future<Output = ()>>(cases: u32, run: impl Fn(Vec<Step>) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 40, ..ProptestConfig::default() };
    proptest!(config, |(steps in proptest::collection::vec(step(), 1..60))| {
        runtime.block_on(run(steps));
    });
}

#[test]
fn whatever_happens_the_read_models_are_the_fold_of_the_log_in_memory() {
    on(120, |steps| run(MemoryStore::new(), steps));
}

#[test]
fn whatever_happens_the_read_models_are_the_fold_of_the_log_on_sqlite() {
    on(60, |steps| async { run(SqliteStore::in_memory().await.unwrap(), steps).await });
}

#[test]
fn whatever_happens_the_read_models_are_the_fold_of_the_log_on_postgres() {
    if !Schema::is_left_out() {
        on(30, |steps| async {
            let schema = Schema::new();
            run(schema.open().await, steps).await;
        });
    }
}
