// An id displays and parses.
use es_runtime::prelude::*;

#[domain_event]
pub struct Opened {}

pub struct AccountId(u64);

#[aggregate(name = "account", id = AccountId, events(Opened))]
pub struct Account {}

#[aggregate]
impl Account {
    #[apply]
    fn opened(_: &Opened) -> Self {
        Self {}
    }
}

fn main() {}
