// Table names have an end.
use es_runtime::prelude::*;

#[read_model(table = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
pub struct Balance {
    #[key]
    pub account: Uuid,
}

fn main() {}
