// Tables of SQLite are its own.
use es_runtime::prelude::*;

#[read_model(table = "sqlite_balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
}

fn main() {}
