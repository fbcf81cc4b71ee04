// Only events are listed.
use es_runtime::prelude::*;

pub struct Closed;

#[domain_event]
pub struct Opened {}

#[aggregate(name = "account", id = Uuid, events(Opened, Closed))]
pub struct Account {}

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self {}
    }

    #[apply]
    fn closed(&mut self, _: &Closed) {}
}

fn main() {}
