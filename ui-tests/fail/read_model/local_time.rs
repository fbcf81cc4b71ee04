// Rows store time in UTC.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub since: chrono::NaiveDateTime,
}

fn main() {}
