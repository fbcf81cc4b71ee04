// Versions of one event have one name.
use es_runtime::prelude::*;

#[domain_event]
pub struct DepositedV1 {
    pub euros: i64,
}

#[domain_event(version = 2, upcast = DepositedV1)]
pub struct Deposited {
    pub cents: i64,
}

impl From<DepositedV1> for Deposited {
    fn from(old: DepositedV1) -> Self {
        Self { cents: old.euros * 100 }
    }
}

fn main() {}
