// Options are `name = value`.
use es_runtime::prelude::*;

#[domain_event(name: "Opened", version = 1)]
pub struct Opened {
    pub owner: String,
}

fn main() {}
