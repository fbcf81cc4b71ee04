// The stored form is an object of the fields.
use es_runtime::prelude::*;

#[domain_event]
#[serde(transparent)]
pub struct Deposited {
    pub cents: i64,
}

fn main() {}
