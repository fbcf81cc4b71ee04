// Derives go below the attribute.
use es_runtime::prelude::*;

#[derive(Debug)]
#[domain_event]
pub struct Deposited {
    pub cents: i64,
}

fn main() {}
