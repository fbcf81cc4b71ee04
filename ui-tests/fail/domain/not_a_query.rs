// A list of queries holds queries.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
}

domain! { pub Reads = "reads"; queries: [Balance] }

fn main() {}
