// A table has a name.
use es_runtime::prelude::*;

#[read_model(table = "")]
pub struct Balance {
    #[key]
    pub account: Uuid,
}

fn main() {}
