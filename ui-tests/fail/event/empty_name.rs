// A stored name is not empty.
use es_runtime::prelude::*;

#[domain_event(name = "")]
pub struct Deposited {
    pub cents: i64,
}

fn main() {}
