// An option has its value.
use es_runtime::prelude::*;

#[domain_event(name)]
pub struct Deposited {
    pub cents: i64,
}

#[domain_event(version())]
pub struct Withdrawn {
    pub cents: i64,
}

#[domain_event("Closed")]
pub struct Closed {
    pub cents: i64,
}

fn main() {}
