//! What the test programs share: a crate of its own, so that its events come from elsewhere.

use es_runtime::prelude::*;

/// An event of another crate.
#[domain_event]
pub struct Noted {
    /// What is noted.
    pub text: String,
}

/// An account was opened.
#[domain_event]
pub struct AccountOpened {
    /// Whose it is.
    pub owner: String,
}

/// Money came in.
#[domain_event]
pub struct MoneyDeposited {
    /// How much.
    pub cents: i64,
    /// Where.
    pub branch: u32,
}

/// An account was closed.
#[domain_event]
pub struct AccountClosed;

/// Where money is.
#[aggregate(name = "account", id = Uuid, events(AccountOpened, MoneyDeposited, AccountClosed))]
pub struct Account {
    cents: i64,
}

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: &AccountOpened) -> Self {
        Self { cents: 0 }
    }

    #[apply]
    fn deposited(&mut self, event: &MoneyDeposited) {
        self.cents += event.cents;
    }

    #[apply]
    fn closed(&mut self, _: &AccountClosed) {
        self.cents = 0;
    }
}

domain! {
    /// What the programs about the read side follow.
    pub Bank = "bank";
    aggregates: [Account];
}
