// A value has a field.
use es_runtime::prelude::*;

#[value_object]
pub struct Nothing;

fn main() {}
