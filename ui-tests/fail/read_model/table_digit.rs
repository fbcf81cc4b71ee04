// Table names begin with no digit.
use es_runtime::prelude::*;

#[read_model(table = "2024_balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
}

fn main() {}
