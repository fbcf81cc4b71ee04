//! Random commands against a model, on every store.

mod values;

use std::collections::HashMap;

use es_runtime::prelude::*;
use es_runtime::store::Store;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::block_on;
use crate::domain::{Account, Bank, Deposit, Open, PayOut, Refused, Rename, Withdraw, bank};
use crate::place::{File, Place};
use crate::postgres::Schema;

/// One step of a random run.
#[derive(Clone, Debug)]
enum Step {
    Open {
        account: u8,
        owner: u8,
        key: Option<u8>,
    },
    Deposit {
        account: u8,
        cents: i64,
        key: Option<u8>,
    },
    Withdraw {
        account: u8,
        cents: i64,
        key: Option<u8>,
    },
    Rename {
        account: u8,
        to: u8,
    },
    PayOut {
        account: u8,
        cents: i64,
    },
    /// The application is closed and built again on the same store: its cache is empty.
    Restart,
    /// Another application on the same store takes over; the caches of both live on.
    Switch,
}

fn step() -> impl Strategy<Value = Step> {
    let account = 0..4_u8;
    let owner = 0..5_u8;
    let key = prop_oneof![3 => Just(None), 1 => (0..6_u8).prop_map(Some)];
    let cents = prop_oneof![0..20_i64, Just(i64::MAX)];
    prop_oneof![
        3 => (account.clone(), owner.clone(), key.clone())
            .prop_map(|(account, owner, key)| Step::Open { account, owner, key }),
        5 => (account.clone(), cents.clone(), key.clone())
            .prop_map(|(account, cents, key)| Step::Deposit { account, cents, key }),
        4 => (account.clone(), 0..40_i64, key).prop_map(|(account, cents, key)| Step::Withdraw { account, cents, key }),
        2 => (account.clone(), owner).prop_map(|(account, to)| Step::Rename { account, to }),
        1 => (account, 0..20_i64).prop_map(|(account, cents)| Step::PayOut { account, cents }),
        1 => Just(Step::Restart),
        2 => Just(Step::Switch),
    ]
}

/// What a dispatch answers, as far as the model knows it: the version or the kind of the error.
type Answer = Result<(u64, bool), &'static str>;

/// What the bank should be, in twenty lines of plain Rust.
#[derive(Default)]
struct Model {
    accounts: HashMap<u8, (u8, i64, u64)>,
    owners: HashMap<u8, u8>,
    ledger: HashMap<u8, (String, u64)>,
    events: u64,
}

impl Model {
    fn keyed(
        &mut self,
        key: Option<u8>,
        command: &str,
        decide: impl FnOnce(&mut Self) -> Result<u64, &'static str>,
    ) -> Answer {
        if let Some((first, version)) = key.and_then(|key| self.ledger.get(&key)) {
            return if first == command { Ok((*version, true)) } else { Err("idempotency_key_reused") };
        }
        let version = decide(self)?;
        if let Some(key) = key {
            self.ledger.insert(key, (command.to_owned(), version));
        }
        Ok((version, false))
    }

    fn change(
        &mut self,
        account: u8,
        change: impl FnOnce(&mut i64) -> Result<bool, &'static str>,
    ) -> Result<u64, &'static str> {
        let (_, balance, version) = self.accounts.get_mut(&account).ok_or("not_found")?;
        if change(balance)? {
            *version += 1;
            self.events += 1;
        }
        Ok(*version)
    }

    fn claim(&mut self, account: u8, owner: u8) -> Result<(), &'static str> {
        if self.owners.get(&owner).is_some_and(|holder| *holder != account) {
            return Err("claimed");
        }
        self.owners.insert(owner, account);
        Ok(())
    }

    fn answer(&mut self, step: &Step) -> Answer {
        let text = format!("{step:?}");
        match *step {
            Step::Open { account, owner, key } => self.keyed(key, &text, |model| {
                if model.accounts.contains_key(&account) {
                    return Err("already_exists");
                }
                model.claim(account, owner)?;
                model.accounts.insert(account, (owner, 0, 1));
                model.events += 1;
                Ok(1)
            }),
            Step::Deposit { cents: 0, .. } => Err("validation"),
            Step::Deposit { account, cents, key } => self.keyed(key, &text, |model| {
                model.change(account, |balance| {
                    *balance = balance.checked_add(cents).ok_or("domain")?;
                    Ok(true)
                })
            }),
            Step::Withdraw { account, cents, key } => self.keyed(key, &text, |model| model.withdraw(account, cents)),
            Step::PayOut { account, cents } => {
                let version = self.change(account, |balance| {
                    if *balance < cents || cents == 13 || cents == 14 {
                        return Err("domain");
                    }
                    *balance -= cents;
                    Ok(true)
                })?;
                Ok((version, false))
            }
            Step::Rename { account, to } => {
                let (owner, ..) = *self.accounts.get(&account).ok_or("not_found")?;
                let holder = self.owners.get(&to).copied();
                if holder.is_some_and(|holder| holder != account) {
                    return Err("claimed");
                }
                self.owners.remove(&owner);
                self.claim(account, to)?;
                let (owner, _, version) = self.accounts.get_mut(&account).ok_or("not_found")?;
                (*owner, *version) = (to, *version + 1);
                self.events += 1;
                Ok((*version, false))
            }
            Step::Restart | Step::Switch => Ok((0, false)),
        }
    }

    fn withdraw(&mut self, account: u8, cents: i64) -> Result<u64, &'static str> {
        self.change(account, |balance| {
            if *balance < cents {
                return Err("domain");
            }
            *balance -= cents;
            Ok(cents > 0)
        })
    }
}

fn id(account: u8) -> Uuid {
    Uuid::from_u128(u128::from(account) + 1)
}

fn name(owner: u8) -> String {
    format!("owner-{owner}")
}

async fn dispatch<S, C, Path>(bank: &App<Bank, S>, command: C, key: Option<u8>) -> Answer
where
    S: Store,
    C: CommandOf<Bank, Path, Error = Refused>,
{
    let mut dispatch = bank.dispatch(command);
    if let Some(key) = key {
        dispatch = dispatch.idempotency_key(format!("key-{key}"));
    }
    match dispatch.await {
        Ok(receipt) => Ok((receipt.version().get(), receipt.replayed())),
        Err(error) => Err(error.kind()),
    }
}

async fn take<S: Store>(bank: &App<Bank, S>, step: &Step) -> Answer {
    match *step {
        Step::Open { account, owner, key } => {
            // The handler of `Open` has no error of its own, so the type is another.
            let mut dispatch = bank.dispatch(Open { account: id(account), owner: name(owner) });
            if let Some(key) = key {
                dispatch = dispatch.idempotency_key(format!("key-{key}"));
            }
            dispatch.await.map(|receipt| (receipt.version().get(), receipt.replayed())).map_err(|error| error.kind())
        }
        Step::Deposit { account, cents, key } => dispatch(bank, Deposit::of(id(account), cents), key).await,
        Step::Withdraw { account, cents, key } => dispatch(bank, Withdraw { account: id(account), cents }, key).await,
        Step::PayOut { account, cents } => dispatch(bank, PayOut { account: id(account), cents }, None).await,
        Step::Rename { account, to } => bank
            .dispatch(Rename { account: id(account), to: name(to) })
            .await
            .map(|receipt| (receipt.version().get(), receipt.replayed()))
            .map_err(|error| error.kind()),
        Step::Restart | Step::Switch => Ok((0, false)),
    }
}

async fn compare<S: Store>(store: S, steps: &[Step]) {
    let mut model = Model::default();
    let (mut active, mut other) = (bank(store.clone()).await, bank(store.clone()).await);
    for (index, step) in steps.iter().enumerate() {
        match step {
            Step::Restart => active = bank(store.clone()).await,
            Step::Switch => std::mem::swap(&mut active, &mut other),
            _ => {}
        }
        let expected = model.answer(step);
        let found = take(&active, step).await;
        assert_eq!(found, expected, "step {index}: {step:?}");
    }
    assert_eq!(active.event_count().await.unwrap(), model.events);
    for account in 0..4 {
        let loaded = active.load::<Account>(id(account)).await.unwrap();
        let found = loaded.state().map(|state| (state.owner().to_owned(), state.balance(), loaded.version().get()));
        let expected = model.accounts.get(&account).map(|(owner, balance, version)| (name(*owner), *balance, *version));
        assert_eq!(found, expected);
    }
}

fn run(cases: u32, compare: impl Fn(Vec<Step>)) {
    let mut runner = TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let steps = prop::collection::vec(step(), 1..60);
    runner
        .run(&steps, |steps| {
            compare(steps);
            Ok(())
        })
        .unwrap();
}

#[test]
fn random_commands_do_what_the_model_says_in_memory() {
    run(200, |steps| block_on(compare(MemoryStore::new(), &steps)));
}

#[test]
fn random_commands_do_what_the_model_says_on_sqlite() {
    run(40, |steps| block_on(compare_at(&File::new(), &steps)));
}

#[test]
fn random_commands_do_what_the_model_says_on_postgres() {
    if !Schema::is_left_out() {
        run(30, |steps| block_on(compare_at(&Schema::new(), &steps)));
    }
}

async fn compare_at(place: &impl Place, steps: &[Step]) {
    compare(place.open().await, steps).await;
}
