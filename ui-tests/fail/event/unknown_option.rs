// Options are known words.
use es_runtime::prelude::*;

#[domain_event(nmae = "Deposited")]
pub struct Deposited {
    pub cents: i64,
}

fn main() {}
