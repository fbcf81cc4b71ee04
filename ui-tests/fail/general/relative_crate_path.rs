// The path of the runtime is absolute.
use es_runtime::prelude::*;

#[domain_event(crate = es_runtime)]
pub struct Opened {
    pub owner: String,
}

fn main() {}
