//! The domain that is measured: an account, with a small event and one of about 150 bytes.

#![allow(missing_docs, clippy::must_use_candidate, reason = "the names say it")]
#![allow(clippy::needless_pass_by_value, reason = "a handler takes its command by value")]

use es_runtime::prelude::*;

#[domain_event]
pub struct AccountOpened {
    pub owner: String,
}

#[domain_event]
pub struct MoneyDeposited {
    pub cents: i64,
}

#[domain_event]
pub struct EntryBooked {
    pub cents: i64,
    pub text: String,
}

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
pub struct Book {
    #[id]
    pub account: Uuid,
    pub cents: i64,
    pub text: String,
}

#[aggregate(name = "account", id = Uuid, events(AccountOpened, MoneyDeposited, EntryBooked))]
pub struct Account {
    balance: i64,
}

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: &AccountOpened) -> Self {
        Self { balance: 0 }
    }

    #[apply]
    fn deposited(&mut self, event: &MoneyDeposited) {
        self.balance += event.cents;
    }

    #[apply]
    fn booked(&mut self, event: &EntryBooked) {
        self.balance += event.cents;
    }

    #[command_handler]
    fn open(command: OpenAccount) -> AccountOpened {
        AccountOpened { owner: command.owner }
    }

    #[command_handler]
    fn deposit(&self, command: Deposit) -> Result<MoneyDeposited, Overflow> {
        self.balance.checked_add(command.cents).ok_or(Overflow)?;
        Ok(MoneyDeposited { cents: command.cents })
    }

    #[command_handler]
    fn book(&self, command: Book) -> Result<EntryBooked, Overflow> {
        self.balance.checked_add(command.cents).ok_or(Overflow)?;
        Ok(EntryBooked { cents: command.cents, text: command.text })
    }

    #[must_use]
    pub const fn balance(&self) -> i64 {
        self.balance
    }
}

#[derive(Debug)]
pub struct Overflow;

impl std::error::Error for Overflow {}

impl std::fmt::Display for Overflow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the account is full")
    }
}

domain! {
    pub Bank = "bank";
    aggregates: [Account];
    commands: [OpenAccount, Deposit, Book]
}

/// The text that makes an entry about 150 bytes of JSON.
pub const TEXT: &str = "standing order 4711, rent of the second quarter, transferred by the branch in the high street, \
    reference 2026-04-01-0815";
