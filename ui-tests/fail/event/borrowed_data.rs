// An event owns its data.
use es_runtime::prelude::*;

#[domain_event]
pub struct Opened {
    pub owner: &'static str,
}

fn main() {}
