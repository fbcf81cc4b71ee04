// Floating point loses cents: a warning.
#![deny(warnings)]

use es_runtime::prelude::*;

#[domain_event]
pub struct Deposited {
    pub amount: f64,
}

fn main() {}
