//! The domain of the read side's tests: every kind of projection over one bank.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use es_runtime::prelude::*;
use es_runtime::read_model::Table;

#[domain_event]
pub struct Opened {
    pub owner: String,
    pub branch: u32,
}

#[domain_event]
pub struct Deposited {
    pub branch: u32,
    pub cents: i64,
}

#[domain_event]
pub struct Withdrawn {
    pub cents: i64,
}

#[domain_event]
pub struct Closed {}

#[command(aggregate = Account)]
pub struct Open {
    #[id]
    pub account: Uuid,
    pub owner: String,
    pub branch: u32,
}

/// Several deposits in one commit.
#[command(aggregate = Account)]
pub struct Deposit {
    #[id]
    pub account: Uuid,
    pub branch: u32,
    pub cents: Vec<i64>,
}

#[command(aggregate = Account)]
pub struct Withdraw {
    #[id]
    pub account: Uuid,
    pub cents: i64,
}

#[command(aggregate = Account)]
pub struct Close {
    #[id]
    pub account: Uuid,
}

#[aggregate(name = "account", id = Uuid, events(Opened, Deposited, Withdrawn, Closed))]
pub struct Account {
    open: bool,
}

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self { open: true }
    }

    #[apply]
    fn deposited(&mut self, _: &Deposited) {}

    #[apply]
    fn withdrawn(&mut self, _: &Withdrawn) {}

    #[apply]
    fn closed(&mut self, _: &Closed) {
        self.open = false;
    }

    #[command_handler]
    fn open(command: Open) -> Opened {
        Opened { owner: command.owner, branch: command.branch }
    }

    #[command_handler]
    fn deposit(&self, command: Deposit) -> Result<Vec<Deposited>, NotOpen> {
        self.open.then_some(()).ok_or(NotOpen)?;
        Ok(command.cents.into_iter().map(|cents| Deposited { branch: command.branch, cents }).collect())
    }

    #[command_handler]
    fn withdraw(&self, command: Withdraw) -> Result<Withdrawn, NotOpen> {
        self.open.then_some(()).ok_or(NotOpen)?;
        Ok(Withdrawn { cents: command.cents })
    }

    #[command_handler]
    fn close(&self, _: Close) -> Result<Option<Closed>, NotOpen> {
        Ok(self.open.then_some(Closed {}))
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the account is closed")]
pub struct NotOpen;

/// What a withdrawal of so many cents does to the projection that runs in the append: it panics.
pub const POISON: i64 = 666;
/// It takes too long.
pub const SLOW: i64 = 777;

/// Mixed: some of it in the append, some behind the log. `steps` counts every event, so that one left out or doubled shows.
#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub owner: String,
    pub cents: i64,
    pub steps: u32,
    #[index]
    pub last: Option<DateTime<Utc>>,
}

#[projection(name = "balances", version = 1)]
impl Balance {
    #[sync_projection(priority = 1, timeout = "2s")]
    fn opened(event: &Recorded<Opened>) -> Self {
        Self {
            account: event.id_of::<Account>(),
            owner: event.owner.clone(),
            cents: 0,
            steps: 1,
            last: Some(event.recorded_at()),
        }
    }

    #[async_projection]
    fn deposited(&mut self, event: &Recorded<Deposited>) {
        self.cents += event.cents;
        self.steps += 1;
        self.last = Some(event.recorded_at());
    }

    #[sync_projection(priority = 2, timeout = "50ms")]
    fn withdrawn(&mut self, event: &Recorded<Withdrawn>) {
        assert!(event.cents != POISON, "poison");
        if event.cents == SLOW {
            std::thread::sleep(std::time::Duration::from_millis(80));
        }
        self.cents -= event.cents;
        self.steps += 1;
        self.last = Some(event.recorded_at());
    }

    #[async_projection(delete)]
    fn closed(&self, _: &Recorded<Closed>) -> bool {
        true
    }
}

/// Behind the log, with another key than the stream's.
#[read_model(table = "branch_totals")]
pub struct BranchTotal {
    #[key]
    pub branch: u32,
    pub cents: i64,
    #[index]
    pub deposits: u64,
}

#[projection(name = "branch_totals", version = 1, partitions = 4)]
impl BranchTotal {
    #[async_projection(key = |event| event.branch)]
    fn deposited(this: Option<Self>, event: &Recorded<Deposited>) -> Option<Self> {
        let this = this.unwrap_or(Self { branch: event.branch, cents: 0, deposits: 0 });
        Some(Self { cents: this.cents + event.cents, deposits: this.deposits + 1, ..this })
    }
}

/// Only in the append, with another key than the stream's.
#[read_model(table = "owners")]
pub struct Owner {
    #[key]
    pub name: String,
    pub accounts: u32,
}

#[projection(name = "owners", version = 1)]
impl Owner {
    #[sync_projection(priority = 3, key = |event| event.owner.clone())]
    fn opened(this: Option<Self>, event: &Recorded<Opened>) -> Option<Self> {
        let accounts = this.map_or(0, |this| this.accounts);
        Some(Self { name: event.owner.clone(), accounts: accounts + 1 })
    }
}

/// Accounts that [`Fragile`] cannot take at the moment: a program with a bug that a later one has not.
static BROKEN: Mutex<BTreeSet<Uuid>> = Mutex::new(BTreeSet::new());

pub fn break_for(account: Uuid) {
    BROKEN.lock().unwrap().insert(account);
}

pub fn heal_for(account: Uuid) {
    BROKEN.lock().unwrap().remove(&account);
}

fn is_broken(account: Uuid) -> bool {
    BROKEN.lock().unwrap_or_else(PoisonError::into_inner).contains(&account)
}

/// Remembers the order of what it took; panics for accounts that are broken.
#[read_model(table = "fragile")]
pub struct Fragile {
    #[key]
    pub account: Uuid,
    #[json]
    pub taken: Vec<i64>,
}

#[projection(name = "fragile", version = 1)]
impl Fragile {
    #[async_projection]
    fn opened(event: &Recorded<Opened>) -> Self {
        Self { account: event.id_of::<Account>(), taken: Vec::new() }
    }

    #[async_projection]
    fn deposited(&mut self, event: &Recorded<Deposited>) {
        assert!(!is_broken(self.account), "broken");
        self.taken.push(event.cents);
    }

    #[async_projection]
    fn withdrawn(&mut self, event: &Recorded<Withdrawn>) {
        assert!(!is_broken(self.account), "broken");
        self.taken.push(-event.cents);
    }
}

#[query(output = Option<Balance>)]
pub struct BalanceOf {
    pub account: Uuid,
}

#[query_handler]
pub async fn balance_of(query: BalanceOf, balances: &Table<Balance>) -> Result<Option<Balance>, ReadModelError> {
    balances.get(&query.account).await
}

#[query(output = i64)]
pub struct TotalOf {
    pub branch: u32,
}

#[query_handler]
pub async fn total_of(query: TotalOf, totals: &Table<BranchTotal>) -> Result<i64, ReadModelError> {
    Ok(totals.get(&query.branch).await?.map_or(0, |total| total.cents))
}

// What writes, and what reads it: another program may read it otherwise.
domain! { pub Core = "core"; aggregates: [Account]; commands: [Open, Deposit, Withdraw, Close] }

domain! {
    pub Bank = "bank";
    domains: [Core];
    queries: [BalanceOf, TotalOf];
    projections: [Balance, BranchTotal, Owner, Fragile]
}

// Only what runs in the append.
domain! { pub Owners = "owners"; domains: [Core]; projections: [Owner] }

/// The next version of [`Balance`]: in dollars too, and it no longer deletes.
#[read_model(table = "balances")]
pub struct BalanceV2 {
    #[key]
    pub account: Uuid,
    pub cents: i64,
    #[index]
    pub open: bool,
    pub steps: u32,
}

#[projection(name = "balances", version = 2)]
impl BalanceV2 {
    #[sync_projection(priority = 1, timeout = "2s")]
    fn opened(event: &Recorded<Opened>) -> Self {
        Self { account: event.id_of::<Account>(), cents: 0, open: true, steps: 1 }
    }

    #[async_projection]
    fn deposited(&mut self, event: &Recorded<Deposited>) {
        self.cents += event.cents;
        self.steps += 1;
    }

    #[sync_projection(priority = 2, timeout = "2s")]
    fn withdrawn(&mut self, event: &Recorded<Withdrawn>) {
        self.cents -= event.cents;
        self.steps += 1;
    }

    #[async_projection]
    fn closed(&mut self, _: &Recorded<Closed>) {
        self.open = false;
        self.steps += 1;
    }
}

domain! { pub BankV2 = "bank"; domains: [Core]; projections: [BalanceV2, BranchTotal, Owner] }

/// The same version with other columns: a mistake.
#[read_model(table = "balances")]
pub struct BalanceChanged {
    #[key]
    pub account: Uuid,
    pub owner: String,
    pub cents: i64,
    pub steps: i64,
    pub note: Option<String>,
}

#[projection(name = "balances", version = 1)]
impl BalanceChanged {
    #[async_projection]
    fn opened(event: &Recorded<Opened>) -> Self {
        Self { account: event.id_of::<Account>(), owner: event.owner.clone(), cents: 0, steps: 1, note: None }
    }
}

domain! { pub BankChanged = "bank"; domains: [Core]; projections: [BalanceChanged] }
