// Every older version can be read.
use es_runtime::prelude::*;

#[domain_event(version = 2)]
pub struct Deposited {
    pub cents: i64,
}

fn main() {}
