// Column names are the same in every dialect of SQL.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    #[allow(non_snake_case)]
    pub Cents: i64,
}

fn main() {}
