// Nobody builds a value past its check.
use es_runtime::prelude::*;

#[value_object]
pub struct Money {
    pub cents: i64,
}

fn main() {}
