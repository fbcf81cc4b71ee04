// A row has columns.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance;

fn main() {}
