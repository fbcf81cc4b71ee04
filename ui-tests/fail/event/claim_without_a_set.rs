// A claim names its set.
use es_runtime::prelude::*;

#[domain_event]
pub struct Registered {
    #[claim]
    pub email: String,
}

fn main() {}
