// A value compares by value.
use es_runtime::prelude::*;

#[value_object]
pub struct Price {
    euros: f64,
}

fn main() {}
