// It goes on an inherent impl block.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
}

#[projection(name = "balances")]
impl Iterator for Balance {
    type Item = u8;
    fn next(&mut self) -> Option<u8> {
        None
    }
}

fn main() {}
