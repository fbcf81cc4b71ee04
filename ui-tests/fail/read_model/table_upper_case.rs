// Table names are the same in every dialect of SQL.
use es_runtime::prelude::*;

#[read_model(table = "AccountBalances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
}

fn main() {}
