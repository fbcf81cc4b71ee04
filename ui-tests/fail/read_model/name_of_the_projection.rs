// The projection has the stored name.
use es_runtime::prelude::*;

#[read_model(table = "balances", version = 2)]
pub struct Balance {
    #[key]
    pub account: Uuid,
}

fn main() {}
