// What takes either state does not always change.
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
    fn open(_: Option<&Self>, _: Open) -> (Deposited, Option<Deposited>) {
        (Deposited { cents: 1 }, None)
    }
}

fn main() {}
