// A checked value has its check.
use es_runtime::prelude::*;

#[value_object(validate)]
pub struct Email(String);

fn main() {}
