// A mark is given once.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    #[index]
    #[index]
    pub branch: u32,
}

fn main() {}
