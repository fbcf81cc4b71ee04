// The table has a name of its own.
use es_runtime::prelude::*;

#[read_model]
pub struct Balance {
    #[key]
    pub account: Uuid,
}

fn main() {}
