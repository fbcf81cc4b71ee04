//! A domain declared with the macros: what they generate compiles and does what it says.
#![allow(missing_docs, reason = "a test")]

use es_runtime::prelude::*;

#[domain_event]
pub struct AccountOpened {
    #[claim("owner")]
    pub owner: String,
}

#[domain_event(name = "MoneyDeposited", version = 1)]
pub struct MoneyDepositedV1 {
    pub euros: i64,
}

#[domain_event(version = 2, upcast = MoneyDepositedV1)]
pub struct MoneyDeposited {
    pub cents: i64,
}

impl From<MoneyDepositedV1> for MoneyDeposited {
    fn from(old: MoneyDepositedV1) -> Self {
        Self { cents: old.euros * 100 }
    }
}

#[domain_event(version = 3)]
pub struct Closed {
    pub why: String,
}

#[upcast(event = Closed, from = 1)]
fn closed_1(old: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    Ok(old)
}

#[upcast(event = Closed, from = 2)]
fn closed_2(mut old: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    old["why"] = "unknown".into();
    Ok(old)
}

#[domain_event]
pub struct Frozen;

#[command(aggregate = Account)]
pub struct OpenAccount {
    #[id]
    pub account: Uuid,
    pub owner: String,
}

#[command(aggregate = Account)]
pub struct Deposit {
    #[id]
    pub account: Uuid,
    pub cents: i64,
}

#[command(aggregate = Account)]
pub struct Freeze {
    #[id]
    pub account: Uuid,
}

#[command(aggregate = Account)]
pub struct Close {
    #[id]
    pub account: Uuid,
}

#[aggregate(
    name = "account",
    id = Uuid,
    events(AccountOpened, MoneyDeposited, Closed, Frozen),
    snapshot(every = 100),
)]
pub struct Account {
    balance: i64,
    frozen: bool,
}

#[derive(Debug, PartialEq)]
pub struct Overflow;

impl std::fmt::Display for Overflow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("overflow")
    }
}
impl std::error::Error for Overflow {}

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: &AccountOpened) -> Self {
        Self { balance: 0, frozen: false }
    }
    #[apply]
    fn deposited(&mut self, event: &MoneyDeposited) {
        self.balance += event.cents;
    }
    #[apply]
    fn closed(&mut self, _: &Closed) {}
    #[apply]
    fn frozen(&mut self, _: &Frozen) {
        self.frozen = true;
    }

    #[command_handler]
    fn open(command: OpenAccount) -> AccountOpened {
        AccountOpened { owner: command.owner }
    }
    #[command_handler(retries = 2)]
    fn deposit(&self, command: Deposit, _context: &Context) -> Result<MoneyDeposited, Overflow> {
        if self.balance.checked_add(command.cents).is_none() {
            return Err(Overflow);
        }
        Ok(MoneyDeposited { cents: command.cents })
    }
    #[command_handler]
    fn freeze(this: Option<&Self>, _: Freeze) -> Option<Frozen> {
        this.filter(|account| !account.frozen).map(|_| Frozen)
    }
}

pub struct Mailer;
impl Dependency for Mailer {}

#[command_handler]
async fn close(
    _command: Close,
    account: &mut Existing<Account>,
    _mailer: Dep<Mailer>,
    context: &Context,
) -> Result<i64, Overflow> {
    let balance = account.balance;
    account.record(Closed { why: context.actor().unwrap_or("").to_owned() }).map_err(|_| Overflow)?;
    Ok(balance)
}

domain! {
    /// Where money is.
    pub Bank = "bank";
    aggregates: [Account];
    commands: [OpenAccount, Deposit, Freeze, Close];
}

mod cards {
    use es_runtime::prelude::*;

    #[domain_event]
    pub struct Blocked {}

    #[command(aggregate = Card)]
    pub struct Block {
        #[id]
        pub card: String,
    }

    #[aggregate(name = "card", id = String, events(Blocked))]
    pub struct Card {}

    #[aggregate]
    impl Card {
        #[apply]
        fn blocked(_: &Blocked) -> Self {
            Self {}
        }
        #[command_handler]
        fn block(_: Block) -> Blocked {
            Blocked {}
        }
    }

    domain! { pub Cards = "cards"; aggregates: [Card]; commands: [Block] }
}

domain! { pub Outer = "outer"; domains: [Bank, cards::Cards] }
domain! { pub Nothing = "nothing" }

fn dispatch<D, C: CommandOf<D, P>, P>(_: D, _: C) {}

#[test]
fn paths_are_inferred() {
    dispatch(Bank, Deposit { account: Uuid::nil(), cents: 1 });
    dispatch(Outer, Deposit { account: Uuid::nil(), cents: 1 });
    dispatch(Outer, cards::Block { card: "1".to_owned() });
    dispatch(Outer, BankCommand::from(Deposit { account: Uuid::nil(), cents: 1 }));
    dispatch(Outer, OuterCommand::from(BankCommand::from(Deposit { account: Uuid::nil(), cents: 1 })));
}
