// An older version turns into the next one.
use es_runtime::prelude::*;

#[domain_event(name = "Deposited")]
pub struct DepositedV1 {
    pub euros: i64,
}

#[domain_event(version = 2, upcast = DepositedV1)]
pub struct Deposited {
    pub cents: i64,
}

fn main() {}
