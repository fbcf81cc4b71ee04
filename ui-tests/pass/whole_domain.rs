// The domain of the README.
use es_runtime::prelude::*;

#[domain_event]
pub struct Opened {
    pub owner: String,
}

fn main() {}
