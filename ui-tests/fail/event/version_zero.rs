// Versions start at 1.
use es_runtime::prelude::*;

#[domain_event(version = 0)]
pub struct Deposited {
    pub cents: i64,
}

fn main() {}
