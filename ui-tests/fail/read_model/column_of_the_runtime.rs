// Columns of the runtime are its own.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub es_version: u64,
}

fn main() {}
