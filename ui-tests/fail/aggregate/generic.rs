// An aggregate is no family of types.
use es_runtime::prelude::*;

#[domain_event]
pub struct Opened {}

#[aggregate(name = "account", id = Uuid, events(Opened))]
pub struct Account<T> {
    balance: T,
}

fn main() {}
