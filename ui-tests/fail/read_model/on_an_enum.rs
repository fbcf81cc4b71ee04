// A row is a struct.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub enum Balance {
    Open,
    Closed,
}

fn main() {}
