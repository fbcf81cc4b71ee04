// PostgreSQL has columns of its own, whatever store the read model is in today.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub xmin: u64,
    pub ctid: String,
}

fn main() {}
