// A row is found by its key.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    pub account: Uuid,
}

fn main() {}
