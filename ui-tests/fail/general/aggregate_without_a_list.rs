// A list stands in parentheses.
use es_runtime::prelude::*;

#[domain_event]
pub struct Opened {}

#[aggregate(name = "account", id = Uuid, events = [Opened])]
pub struct Account {}

fn main() {}
