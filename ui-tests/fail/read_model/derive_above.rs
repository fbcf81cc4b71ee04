// Derives go below.
use es_runtime::prelude::*;

#[derive(Debug, Clone)]
#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
}

fn main() {}
