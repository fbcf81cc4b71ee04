// An event is listed once.
use es_runtime::prelude::*;

#[domain_event]
pub struct Opened {}

#[aggregate(name = "account", id = Uuid, events(Opened, Opened))]
pub struct Account {}

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self {}
    }
}

fn main() {}
