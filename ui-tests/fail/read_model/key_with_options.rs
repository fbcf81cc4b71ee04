// A mark takes nothing.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    #[key(1)]
    pub account: Uuid,
}

fn main() {}
