// An event owns its data.
use es_runtime::prelude::*;

#[domain_event]
pub struct Opened<'a> {
    pub owner: &'a str,
}

fn main() {}
