// An aggregate is a struct.
use es_runtime::prelude::*;

#[domain_event]
pub struct Opened {}

#[aggregate(name = "account", id = Uuid, events(Opened))]
pub enum Account {
    Open,
}

fn main() {}
