// Names of aggregates are unique.
use es_runtime::prelude::*;

#[domain_event]
pub struct Opened {}

#[aggregate(name = "account", id = Uuid, events(Opened))]
pub struct Account {}

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self {}
    }
}

#[aggregate(name = "account", id = Uuid, events(Opened))]
pub struct Card {}

#[aggregate]
impl Card {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self {}
    }
}

domain! { pub Bank = "bank"; aggregates: [Account, Card] }

fn main() {}
