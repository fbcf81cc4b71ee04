// It goes on an impl block.
use es_runtime::prelude::*;

#[projection(name = "balances")]
pub struct Balance {
    pub account: Uuid,
}

fn main() {}
