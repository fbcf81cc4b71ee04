//! A whole domain compiles where every warning is an error.
//! A bank.
#![deny(warnings, missing_docs, unsafe_code, unused, unreachable_pub, missing_debug_implementations)]
#![deny(rust_2018_idioms, unused_qualifications, trivial_casts, single_use_lifetimes, unused_lifetimes)]
#![deny(clippy::all, clippy::pedantic)]

use es_runtime::prelude::*;
use garde as _;

/// Money came in.
#[domain_event]
#[derive(Copy)]
pub struct Deposited {
    /// How much.
    pub cents: i64,
}

/// The account exists.
#[domain_event(name = "account-opened", version = 1)]
#[derive(Debug, Clone, Eq, PartialEq)]
pub struct Opened {
    /// Who has it.
    #[claim("owner")]
    pub owner: Email,
}

/// The account is gone.
#[domain_event]
pub struct Closed;

/// An address.
#[value_object(validate)]
pub struct Email(String);

#[value_object]
impl Email {
    fn validate(&self) -> Result<(), NoAddress> {
        if self.0.contains('@') { Ok(()) } else { Err(NoAddress) }
    }
}

/// Not an address.
#[derive(Debug)]
pub struct NoAddress;

impl std::fmt::Display for NoAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not an address")
    }
}

impl std::error::Error for NoAddress {}

/// Open an account.
#[command(aggregate = Account, validate)]
pub struct Open {
    /// Which.
    #[id]
    pub account: Uuid,
    /// Whose.
    #[garde(length(min = 1))]
    pub owner: String,
}

/// Bring money.
#[command(aggregate = Account)]
pub struct Deposit {
    /// Where to.
    #[id]
    pub account: Uuid,
    /// How much.
    pub cents: i64,
}

/// Close it.
#[command(aggregate = Account, name = "close-account")]
pub struct Close {
    /// Which.
    #[id]
    pub account: Uuid,
}

/// Where money is.
#[aggregate(name = "account", id = Uuid, events(Opened, Deposited, Closed), snapshot(every = 10, version = 2))]
#[derive(Debug)]
pub struct Account {
    balance: i64,
    closed: bool,
}

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self { balance: 0, closed: false }
    }

    #[apply]
    fn deposited(&mut self, event: &Deposited) {
        self.balance += event.cents;
    }

    #[apply]
    fn closed(&mut self, _: &Closed) {
        self.closed = true;
    }

    #[command_handler]
    fn open(command: Open) -> Result<Opened, NoAddress> {
        Ok(Opened { owner: Email::new(command.owner)? })
    }

    #[command_handler(retries = 1)]
    fn deposit(this: Option<&Self>, command: Deposit, _: &Context) -> Vec<Deposited> {
        this.filter(|account| !account.closed).map(|_| Deposited { cents: command.cents }).into_iter().collect()
    }
}

/// A way out.
#[derive(Debug)]
pub struct Mailer;

impl Dependency for Mailer {}

#[command_handler]
async fn close(_: Close, account: &mut Existing<Account>, _: Dep<Mailer>, _: &Context) -> Result<i64, RecordError> {
    account.record(Closed)?;
    Ok(account.balance)
}

/// What each account holds.
#[read_model(table = "balances")]
pub struct Balance {
    /// Which.
    #[key]
    pub account: Uuid,
    /// How much.
    #[index]
    pub cents: i64,
    /// What else.
    #[json]
    pub notes: Vec<String>,
    closed: bool,
}

#[projection(name = "balances", version = 2, retry = 3)]
impl Balance {
    #[sync_projection(priority = 2, timeout = "1s")]
    #[monitor_projection]
    fn opened(event: &Recorded<Opened>) -> Self {
        Self { account: event.id_of::<Account>(), cents: 0, notes: Vec::new(), closed: false }
    }

    #[async_projection]
    fn deposited(&mut self, event: &Recorded<Deposited>) {
        self.cents += event.cents;
    }

    #[async_projection(delete)]
    fn closed(&self, _: &Recorded<Closed>) -> bool {
        self.closed || self.cents == 0
    }
}

/// What happens on each account.
#[read_model(table = "activity")]
#[derive(Eq)]
pub struct Activity {
    /// Which.
    #[key]
    pub account: Uuid,
    /// How large.
    #[key]
    pub cents: i64,
}

#[projection(name = "activity", partitions = 2)]
impl Activity {
    #[async_projection(key = |event| (event.id_of::<Account>(), event.cents), on_failure = skip)]
    fn deposited(this: Option<Self>, event: &Recorded<Deposited>) -> Option<Self> {
        this.or_else(|| Some(Self { account: event.id_of::<Account>(), cents: event.cents }))
    }
}

/// Tells others.
#[derive(Debug, Default)]
pub struct Told;

#[projection(name = "told")]
impl Told {
    #[async_projection]
    async fn closed(&self, _: Dep<Mailer>, _: &[Recorded<Closed>]) -> Result<(), NoAddress> {
        Ok(())
    }
}

/// How much is there.
#[query(output = Option<Balance>)]
pub struct BalanceOf {
    /// Where.
    pub account: Uuid,
}

#[query_handler]
async fn balance(query: BalanceOf, _: &Table<Balance>, _: Dep<Mailer>) -> Result<Option<Balance>, ReadModelError> {
    let _ = query.account;
    Ok(None)
}

domain! {
    /// The bank.
    pub Bank = "bank";
    aggregates: [Account];
    commands: [Open, Deposit, Close,];
    queries: [BalanceOf];
    projections: [Balance, Activity, Told];
}

domain! { pub Empty = "empty" }

domain! { pub Whole = "whole"; domains: [Bank, Empty]; }

#[test]
fn compiles() {
    let email = Email::new("a@b".to_owned());
    assert!(email.is_ok_and(|email| email.value() == "a@b"));
}
