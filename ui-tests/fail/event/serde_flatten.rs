// The stored form is not ambiguous.
use es_runtime::prelude::*;

#[value_object]
pub struct Money {
    cents: i64,
}

#[domain_event]
pub struct Deposited {
    #[serde(flatten)]
    pub amount: Money,
}

fn main() {}
