// One table for one read model.
use es_runtime::prelude::*;

#[read_model(table = "a", table = "b")]
pub struct Balance {
    #[key]
    pub account: Uuid,
}

fn main() {}
