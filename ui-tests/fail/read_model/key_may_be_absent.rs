// A row always has a key.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Option<Uuid>,
}

fn main() {}
