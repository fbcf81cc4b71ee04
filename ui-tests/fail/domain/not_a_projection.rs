// A list of projections holds projections.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
}

domain! { pub Reads = "reads"; projections: [Balance] }

fn main() {}
