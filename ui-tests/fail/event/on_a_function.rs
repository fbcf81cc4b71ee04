// An event is a struct.
use es_runtime::prelude::*;

#[domain_event]
fn opened() {}

fn main() {}
