//! Every shape of a projection's functions, and what a read model may hold.
#![deny(warnings)]

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;
use es_runtime::prelude::*;

#[domain_event]
pub struct Opened {
    pub owner: String,
    pub branch: Branch,
}

#[domain_event]
pub struct Deposited {
    pub cents: i64,
    pub branch: Branch,
    pub day: NaiveDate,
}

#[domain_event]
pub struct Closed;

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Branch(String);

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Branch {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

#[aggregate(name = "account", id = Uuid, events(Opened, Deposited, Closed))]
pub struct Account;

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self
    }
    #[apply]
    fn deposited(&mut self, _: &Deposited) {}
    #[apply]
    fn closed(&mut self, _: &Closed) {}
}

/// A second aggregate with an event of the first.
#[aggregate(name = "loan", id = Uuid, events(Opened))]
pub struct Loan;

#[aggregate]
impl Loan {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self
    }
}

#[read_model(table = "account_balances")]
pub struct AccountBalance {
    #[key]
    pub account: Uuid,
    pub owner: String,
    #[index]
    pub branch: Branch,
    pub parent: Option<Branch>,
    pub cents: i64,
    pub rate: Option<f64>,
    #[index]
    pub since: DateTime<Utc>,
    pub day: Option<NaiveDate>,
    #[json]
    pub tags: Vec<String>,
    pub(crate) r#type: u8,
    open: bool,
}

#[projection(name = "account_balances", version = 2, partitions = 1, retry = 3, on_failure = stop)]
impl AccountBalance {
    #[sync_projection(priority = 1, timeout = "500ms", of = Account)]
    #[monitor_projection]
    fn opened(event: &Recorded<Opened>) -> Self {
        let (account, since) = (event.id_of::<Account>(), event.recorded_at());
        let (owner, branch) = (event.owner.clone(), event.branch.clone());
        let (parent, rate, day, tags) = (None, None, None, Vec::new());
        Self { account, owner, branch, parent, cents: 0, rate, since, day, tags, r#type: 0, open: true }
    }

    #[async_projection(retry = 5, on_failure = park)]
    fn deposited(&mut self, event: &Recorded<Deposited>) {
        self.cents += event.cents;
    }

    #[es_runtime::async_projection(delete)]
    fn closed(&self, _: &Recorded<Closed>) -> bool {
        self.helper()
    }

    fn helper(&self) -> bool {
        self.open
    }
}

#[read_model(table = "branch_days")]
#[derive(Debug, Eq, PartialEq)]
pub struct BranchDay {
    #[key]
    branch: Branch,
    #[key]
    day: NaiveDate,
    cents: i64,
    count: u32,
}

#[projection(name = "branch_days", partitions = 4)]
impl BranchDay {
    #[async_projection(key = |event| (event.branch.clone(), event.day), on_failure = skip)]
    fn counted(this: Option<Self>, event: &Recorded<Deposited>) -> Option<Self> {
        let (branch, day) = Self::key_of(event);
        let before = this.unwrap_or(Self { branch, day, cents: 0, count: 0 });
        Some(Self { cents: before.cents + event.cents, count: before.count + 1, ..before })
    }
}

impl BranchDay {
    fn key_of(event: &Recorded<Deposited>) -> (Branch, NaiveDate) {
        (event.branch.clone(), event.day)
    }
}

/// An event that changes two rows.
#[read_model(table = "branches")]
pub struct BranchTotal {
    #[key]
    branch: Branch,
    cents: i64,
}

#[projection(name = "branches")]
impl BranchTotal {
    #[async_projection(key = |event| event.branch.clone())]
    fn deposited(this: Option<Self>, event: &Recorded<Deposited>) -> Option<Self> {
        Some(Self { branch: event.branch.clone(), cents: this.map_or(0, |row| row.cents) + event.cents })
    }

    #[async_projection(key = Self::all)]
    fn in_all(this: Option<Self>, event: &Recorded<Deposited>) -> Option<Self> {
        Some(Self { branch: Self::all(event), cents: this.map_or(0, |row| row.cents) + event.cents })
    }

    fn all(_: &Recorded<Deposited>) -> Branch {
        Branch("all".to_owned())
    }
}

domain! {
    pub Bank = "bank";
    aggregates: [Account, Loan];
    projections: [AccountBalance, BranchDay, BranchTotal];
}

#[test]
fn compiles() {
    let table = AccountBalance::TABLE;
    assert_eq!(table.name, "account_balances");
    let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    assert_eq!(
        names,
        ["account", "owner", "branch", "parent", "cents", "rate", "since", "day", "tags", "type", "open"]
    );
    let _ = (AccountBalance::OWNER, AccountBalance::TYPE, AccountBalance::OPEN, BranchDay::DAY);
    let [bank] = [Bank::describe()];
    assert_eq!(bank.projections.len(), 3);
    let opened = bank.projections[0].handlers[0];
    assert_eq!((opened.category, opened.event, opened.options.monitor), ("account", "Opened", true));
    assert_eq!(opened.mode.timeout(), Some(std::time::Duration::from_millis(500)));
    assert_eq!(bank.projections[0].handlers[1].options.retries, Some(5));
    assert_eq!(bank.projections[0].handlers[2].options.retries, Some(3));
    assert!(!bank.projections[1].handlers[0].by_stream);

    let day = NaiveDate::default();
    let row = BranchDay { branch: Branch("BER".to_owned()), day, cents: 5, count: 1 };
    assert_eq!(row.key(), (Branch("BER".to_owned()), day));
    let values = row.to_values().unwrap_or_default();
    assert_eq!(BranchDay::from_values(values).ok(), Some(row));
}
