// What is in no domain is an error at its own name.
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
}

domain! { pub Bank = "bank" }

fn main() {}
