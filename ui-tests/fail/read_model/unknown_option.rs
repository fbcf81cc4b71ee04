// A mistyped option.
use es_runtime::prelude::*;

#[read_model(tabel = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
}

fn main() {}
