// Events are decoded by their name, so there is one type for it.
use es_runtime::prelude::*;

#[domain_event]
pub struct Opened<T> {
    pub owner: T,
}

fn main() {}
