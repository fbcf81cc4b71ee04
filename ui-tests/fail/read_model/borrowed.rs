// A row owns its data.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance<'a> {
    #[key]
    pub account: Uuid,
    pub owner: &'a str,
}

fn main() {}
