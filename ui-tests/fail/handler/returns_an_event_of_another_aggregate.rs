// A handler returns events of its own aggregate.
use es_runtime::prelude::*;

#[domain_event]
pub struct Opened {}

#[domain_event]
pub struct Deposited {
    pub cents: i64,
}

#[aggregate(name = "account", id = Uuid, events(Opened, Deposited))]
pub struct Account {
    balance: i64,
}

#[domain_event]
pub struct Blocked {}

#[command(aggregate = Account)]
pub struct Open {
    #[id]
    pub account: Uuid,
}

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self { balance: 0 }
    }

    #[apply]
    fn deposited(&mut self, event: &Deposited) {
        self.balance += event.cents;
    }

    #[command_handler]
    fn open(_: Open) -> Result<(Opened, Blocked), std::fmt::Error> {
        Ok((Opened {}, Blocked {}))
    }
}

fn main() {}
