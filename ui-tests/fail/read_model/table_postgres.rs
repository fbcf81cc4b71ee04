// Tables of PostgreSQL are its own.
use es_runtime::prelude::*;

#[read_model(table = "pg_balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
}

fn main() {}
