// An aggregate has events.
use es_runtime::prelude::*;

#[aggregate(name = "account", id = Uuid, events())]
pub struct Account {}

fn main() {}
