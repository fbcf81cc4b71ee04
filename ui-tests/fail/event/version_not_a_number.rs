// A version is a whole number.
use es_runtime::prelude::*;

#[domain_event(version = "2")]
pub struct Deposited {
    pub cents: i64,
}

#[domain_event(version = -1)]
pub struct Withdrawn {
    pub cents: i64,
}

#[domain_event(version = 1.5)]
pub struct Closed {
    pub cents: i64,
}

fn main() {}
