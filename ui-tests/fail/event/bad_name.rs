// A stored name has no spaces.
use es_runtime::prelude::*;

#[domain_event(name = "Deposit ed")]
pub struct Deposited {
    pub cents: i64,
}

fn main() {}
