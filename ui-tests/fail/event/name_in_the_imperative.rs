// An event is in the past tense: a warning.
#![deny(warnings)]

use es_runtime::prelude::*;

#[domain_event]
pub struct DepositMoney {
    pub cents: i64,
}

fn main() {}
