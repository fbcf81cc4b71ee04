//! What the read models must hold: a fold of the log that knows nothing of batches, checkpoints or transactions.

use std::collections::BTreeMap;

use es_runtime::prelude::*;
use es_runtime::store::Store;
use futures_util::TryStreamExt as _;

use super::domain::{Account, AccountEvent, Balance, Bank, BranchTotal, Fragile, Owner};

/// The rows of every read model, by key.
#[derive(Debug, Default, PartialEq)]
pub struct Rows {
    pub balances: BTreeMap<Uuid, Balance>,
    pub totals: BTreeMap<u32, BranchTotal>,
    pub owners: BTreeMap<String, Owner>,
    pub fragile: BTreeMap<Uuid, Fragile>,
}

/// Folds the whole log.
pub async fn truth<S: Store>(app: &App<Bank, S>) -> Rows {
    let mut rows = Rows::default();
    let mut events = app.events();
    while let Some(event) = events.try_next().await.unwrap() {
        let event = event.decode_as::<Account>().unwrap();
        let account = event.id_of::<Account>();
        let at = Some(event.recorded_at());
        match event.event() {
            AccountEvent::Opened(opened) => {
                let owner = opened.owner.clone();
                rows.balances.insert(account, Balance { account, owner: owner.clone(), cents: 0, steps: 1, last: at });
                rows.fragile.insert(account, Fragile { account, taken: Vec::new() });
                rows.owners.entry(owner.clone()).or_insert(Owner { name: owner, accounts: 0 }).accounts += 1;
            }
            AccountEvent::Deposited(deposited) => {
                let branch = deposited.branch;
                let total = rows.totals.entry(branch).or_insert(BranchTotal { branch, cents: 0, deposits: 0 });
                total.cents += deposited.cents;
                total.deposits += 1;
                step(&mut rows, account, deposited.cents, at);
            }
            AccountEvent::Withdrawn(withdrawn) => step(&mut rows, account, -withdrawn.cents, at),
            AccountEvent::Closed(_) => {
                rows.balances.remove(&account);
            }
        }
    }
    rows
}

fn step(rows: &mut Rows, account: Uuid, cents: i64, at: Option<DateTime<Utc>>) {
    let balance = rows.balances.get_mut(&account).unwrap();
    balance.cents += cents;
    balance.steps += 1;
    balance.last = at;
    rows.fragile.get_mut(&account).unwrap().taken.push(cents);
}

/// Reads what the projections made of it.
pub async fn projected<S: Store>(app: &App<Bank, S>) -> Rows {
    let balances = app.table::<Balance>().list().await.unwrap();
    let totals = app.table::<BranchTotal>().list().await.unwrap();
    let owners = app.table::<Owner>().list().await.unwrap();
    let fragile = app.table::<Fragile>().list().await.unwrap();
    Rows {
        balances: balances.into_iter().map(|row| (row.account, row)).collect(),
        totals: totals.into_iter().map(|row| (row.branch, row)).collect(),
        owners: owners.into_iter().map(|row| (row.name.clone(), row)).collect(),
        fragile: fragile.into_iter().map(|row| (row.account, row)).collect(),
    }
}

/// Waits until the projections have caught up, and compares them with the truth. What a process that was killed had sent to a server may be stored
/// a moment later: then it is looked again.
pub async fn check<S: Store>(app: &App<Bank, S>) {
    loop {
        let head = app.store().head().await.unwrap();
        app.caught_up().within_secs(120).await.unwrap();
        let (truth, projected) = (truth(app).await, projected(app).await);
        if app.store().head().await.unwrap() == head {
            assert!(truth == projected, "the read models are not a fold of the log:\n{truth:#?}\n{projected:#?}");
            return;
        }
    }
}
