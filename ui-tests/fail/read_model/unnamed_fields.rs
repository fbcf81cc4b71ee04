// Columns have names.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance(#[key] pub Uuid, pub i64);

fn main() {}
