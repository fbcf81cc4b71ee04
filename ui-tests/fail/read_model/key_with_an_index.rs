// A key has an index.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    #[index]
    pub account: Uuid,
}

fn main() {}
