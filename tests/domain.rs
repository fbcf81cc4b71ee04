//! The domain of these tests: a bank with everything that can go wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use es_runtime::prelude::*;

#[domain_event]
pub struct Opened {
    #[claim("owner")]
    pub owner: String,
}

#[domain_event]
pub struct Deposited {
    pub cents: i64,
}

#[domain_event]
pub struct Withdrawn {
    pub cents: i64,
}

#[domain_event]
pub struct Renamed {
    #[release("owner")]
    pub from: String,
    #[claim("owner")]
    pub to: String,
}

#[domain_event]
pub struct PaidOut {
    pub cents: i64,
    pub reference: String,
}

/// Applying it panics.
#[domain_event]
pub struct Exploded {}

#[command(aggregate = Account)]
#[derive(Debug)]
pub struct Open {
    #[id]
    pub account: Uuid,
    pub owner: String,
}

#[command(aggregate = Account, validate)]
#[derive(Debug)]
pub struct Deposit {
    #[id]
    pub account: Uuid,
    #[garde(range(min = 1))]
    pub cents: i64,
    #[garde(length(max = 20))]
    pub note: String,
}

impl Deposit {
    pub fn of(account: Uuid, cents: i64) -> Self {
        Self { account, cents, note: String::new() }
    }
}

#[command(aggregate = Account)]
#[derive(Debug)]
pub struct Withdraw {
    #[id]
    pub account: Uuid,
    pub cents: i64,
}

#[command(aggregate = Account)]
pub struct Rename {
    #[id]
    pub account: Uuid,
    pub to: String,
}

/// Opens the account if need be, and pays in, in one commit.
#[command(aggregate = Account)]
pub struct OpenWith {
    #[id]
    pub account: Uuid,
    pub owner: String,
    pub cents: Vec<i64>,
}

#[command(aggregate = Account)]
pub struct PayOut {
    #[id]
    pub account: Uuid,
    pub cents: i64,
}

/// Does what a bug would do.
#[command(aggregate = Account)]
pub struct Misbehave {
    #[id]
    pub account: Uuid,
    pub how: Misbehaviour,
}

#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub enum Misbehaviour {
    /// The handler panics.
    Panic,
    /// The handler returns an event whose `apply` panics.
    Explode,
    /// The handler returns a creating event for an account that exists.
    OpenAgain,
    /// The handler returns an event that can be applied, and then one that cannot.
    DepositThenOpenAgain,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the balance of {balance} does not cover {cents}")]
    Insufficient { balance: i64, cents: i64 },
    #[error("the account is full")]
    Full,
    #[error("the gateway failed")]
    Gateway,
    #[error(transparent)]
    Record(#[from] RecordError),
}

#[aggregate(
    name = "account",
    id = Uuid,
    events(Opened, Deposited, Withdrawn, Renamed, PaidOut, Exploded),
    snapshot(every = 5)
)]
pub struct Account {
    owner: String,
    balance: i64,
}

#[aggregate]
impl Account {
    #[apply]
    fn opened(event: &Opened) -> Self {
        Self { owner: event.owner.clone(), balance: 0 }
    }

    #[apply]
    fn deposited(&mut self, event: &Deposited) {
        self.balance += event.cents;
    }

    #[apply]
    fn withdrawn(&mut self, event: &Withdrawn) {
        self.balance -= event.cents;
    }

    #[apply]
    fn renamed(&mut self, event: &Renamed) {
        self.owner.clone_from(&event.to);
    }

    #[apply]
    fn paid_out(&mut self, event: &PaidOut) {
        self.balance -= event.cents;
    }

    #[apply]
    fn exploded(&mut self, _: &Exploded) {
        self.balance = i64::MIN;
        panic!("apply exploded");
    }
}

#[aggregate]
impl Account {
    #[command_handler]
    fn open(command: Open) -> Opened {
        Opened { owner: command.owner }
    }

    #[command_handler]
    fn deposit(&self, command: Deposit) -> Result<Deposited, Refused> {
        self.balance.checked_add(command.cents).ok_or(Refused::Full)?;
        Ok(Deposited { cents: command.cents })
    }

    /// Nothing to do where nothing is withdrawn.
    #[command_handler]
    fn withdraw(&self, command: Withdraw) -> Result<Option<Withdrawn>, Refused> {
        let Withdraw { cents, .. } = command;
        if self.balance < cents {
            return Err(Refused::Insufficient { balance: self.balance, cents });
        }
        Ok((cents > 0).then_some(Withdrawn { cents }))
    }

    #[command_handler(retries = 1)]
    fn rename(&self, command: Rename) -> Renamed {
        Renamed { from: self.owner.clone(), to: command.to }
    }

    #[command_handler]
    fn open_with(this: Option<&Self>, command: OpenWith) -> Vec<AccountEvent> {
        let opened = this.is_none().then(|| Opened { owner: command.owner }.into());
        opened.into_iter().chain(command.cents.into_iter().map(|cents| Deposited { cents }.into())).collect()
    }

    #[command_handler]
    fn misbehave(&self, command: Misbehave) -> Vec<AccountEvent> {
        let again = || Opened { owner: "again".to_owned() }.into();
        match command.how {
            Misbehaviour::Panic => panic!("the handler panicked"),
            Misbehaviour::Explode => vec![Exploded {}.into()],
            Misbehaviour::OpenAgain => vec![again()],
            Misbehaviour::DepositThenOpenAgain => vec![Deposited { cents: 1 }.into(), again()],
        }
    }

    pub fn balance(&self) -> i64 {
        self.balance
    }

    pub fn owner(&self) -> &str {
        &self.owner
    }
}

/// Pays money out, and counts how often it was asked to.
#[derive(Clone, Debug, Default)]
pub struct Gateway {
    pub calls: Arc<AtomicU32>,
}

impl Dependency for Gateway {}

#[command_handler]
pub async fn pay_out(
    command: PayOut,
    account: &mut Existing<Account>,
    gateway: Dep<Gateway>,
    context: &Context,
) -> Result<String, Refused> {
    let PayOut { cents, .. } = command;
    if account.balance < cents {
        return Err(Refused::Insufficient { balance: account.balance, cents });
    }
    tokio::task::yield_now().await;
    if cents == 13 {
        return Err(Refused::Gateway);
    }
    let call = gateway.calls.fetch_add(1, Ordering::SeqCst) + 1;
    let reference = format!("{}-{call}", context.actor().unwrap_or("nobody"));
    account.record(PaidOut { cents, reference: reference.clone() })?;
    if cents == 14 {
        // What is recorded by now is applied, and is not stored.
        return Err(Refused::Gateway);
    }
    Ok(reference)
}

domain! {
    pub Bank = "bank";
    aggregates: [Account];
    commands: [Open, Deposit, Withdraw, Rename, OpenWith, PayOut, Misbehave];
}

/// Builds the bank on a store.
pub async fn bank<S: es_runtime::store::Store>(store: S) -> App<Bank, S> {
    App::builder(store).dependency(Gateway::default()).build().await.unwrap()
}

/// Makes one test of each named function, on every store.
macro_rules! on_every_store {
    ($($test:ident,)+) => {
        mod memory {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(es_runtime::store::MemoryStore::new()).await;
                }
            )+
        }
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let file = <crate::place::File as crate::place::Place>::new();
                    super::$test(crate::place::Place::open(&file).await).await;
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let schema = crate::postgres::schema!();
                    super::$test(crate::place::Place::open(&schema).await).await;
                }
            )+
        }
    };
}
pub(crate) use on_every_store;
