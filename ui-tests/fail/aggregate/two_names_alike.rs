// Stored names are unique in an aggregate.
use es_runtime::prelude::*;

#[domain_event]
pub struct Opened {}

#[domain_event(name = "Opened")]
pub struct Reopened {}

#[aggregate(name = "account", id = Uuid, events(Opened, Reopened))]
pub struct Account {}

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self {}
    }

    #[apply]
    fn reopened(&mut self, _: &Reopened) {}
}

fn main() {}
