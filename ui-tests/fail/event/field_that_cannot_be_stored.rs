// What a field holds must be storable.
use es_runtime::prelude::*;

#[derive(Debug, Clone, PartialEq)]
pub struct Money(i64);

#[domain_event]
pub struct Deposited {
    pub amount: Money,
}

fn main() {}
