// Tables of the runtime are its own.
use es_runtime::prelude::*;

#[read_model(table = "es_balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
}

fn main() {}
