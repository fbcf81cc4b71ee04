// Rows store time in UTC, also behind an alias.
use es_runtime::prelude::*;

type Stamp = chrono::DateTime<chrono::FixedOffset>;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub since: Stamp,
}

fn main() {}
