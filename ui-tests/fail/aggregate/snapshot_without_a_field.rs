// A state that is read from a snapshot must be the one that replay gives.

use es_runtime::prelude::*;

#[domain_event]
pub struct Opened {}

#[command(aggregate = Account)]
pub struct Open {
    #[id]
    pub account: Uuid,
}

#[aggregate(name = "account", id = Uuid, events(Opened), snapshot(every = 10))]
pub struct Account {
    balance: i64,
    #[serde(skip)]
    deposits: u64,
}

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self { balance: 0, deposits: 0 }
    }
    #[command_handler]
    fn open(_: Open) -> Opened {
        Opened {}
    }
    fn both(&self) -> (i64, u64) {
        (self.balance, self.deposits)
    }
}

domain! { pub Bank = "bank"; aggregates: [Account]; commands: [Open] }

fn main() {}
