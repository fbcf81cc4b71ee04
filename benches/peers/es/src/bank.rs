//! The domain.

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
pub struct MoneyWithdrawn {
    pub cents: i64,
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
pub struct Withdraw {
    #[id]
    pub account: Uuid,
    pub cents: i64,
}

#[derive(Debug, thiserror::Error)]
#[error("the balance is too low")]
pub struct TooLow;

#[aggregate(name = "account", id = Uuid, events(AccountOpened, MoneyDeposited, MoneyWithdrawn))]
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
    fn withdrawn(&mut self, event: &MoneyWithdrawn) {
        self.balance -= event.cents;
    }

    #[command_handler]
    fn open(command: OpenAccount) -> AccountOpened {
        AccountOpened { owner: command.owner }
    }

    #[command_handler]
    fn deposit(&self, command: Deposit) -> MoneyDeposited {
        MoneyDeposited { cents: command.cents }
    }

    #[command_handler]
    fn withdraw(&self, command: Withdraw) -> Result<MoneyWithdrawn, TooLow> {
        if command.cents > self.balance {
            return Err(TooLow);
        }
        Ok(MoneyWithdrawn { cents: command.cents })
    }

    #[must_use]
    pub const fn balance(&self) -> i64 {
        self.balance
    }
}

domain! {
    pub Bank = "bank";
    aggregates: [Account];
    commands: [OpenAccount, Deposit, Withdraw]
}
