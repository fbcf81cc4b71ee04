// An aggregate has a name, an id and events.
use es_runtime::prelude::*;

#[aggregate(name = "account")]
pub struct Account {}

fn main() {}
