// An option is given once.
use es_runtime::prelude::*;

#[domain_event(version = 1, version = 1)]
pub struct Deposited {
    pub cents: i64,
}

fn main() {}
