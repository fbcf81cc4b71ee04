// The attribute is for inherent blocks.
use es_runtime::prelude::*;

#[value_object]
pub struct Money {
    cents: i64,
}

#[value_object]
impl Default for Money {
    fn default() -> Self {
        Self::new(0)
    }
}

fn main() {}
