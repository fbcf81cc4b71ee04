// A value object is a struct.
use es_runtime::prelude::*;

#[value_object]
pub enum Currency {
    Euro,
}

fn main() {}
