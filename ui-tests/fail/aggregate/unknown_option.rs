// Options are known words.
use es_runtime::prelude::*;

#[domain_event]
pub struct Opened {}

#[aggregate(name = "account", id = Uuid, evnts(Opened))]
pub struct Account {}

fn main() {}
