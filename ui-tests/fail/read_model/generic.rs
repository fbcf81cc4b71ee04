// A table has one set of columns.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance<T> {
    #[key]
    pub account: Uuid,
    pub value: T,
}

fn main() {}
