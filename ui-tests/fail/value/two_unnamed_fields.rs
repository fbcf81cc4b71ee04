// Fields without names are one.
use es_runtime::prelude::*;

#[value_object]
pub struct Money(i64, String);

fn main() {}
