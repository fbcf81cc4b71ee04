// A stored state can be written and read.
use es_runtime::prelude::*;

#[domain_event]
pub struct Opened {}

pub struct Ledger;

#[aggregate(name = "account", id = Uuid, events(Opened), snapshot(every = 100))]
pub struct Account {
    ledger: Ledger,
}

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self { ledger: Ledger }
    }
}

fn main() {}
