// State is private.
use es_runtime::prelude::*;

#[domain_event]
pub struct Opened {}

#[aggregate(name = "account", id = Uuid, events(Opened))]
pub struct Account {
    pub balance: i64,
}

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self { balance: 0 }
    }
}

fn main() {}
