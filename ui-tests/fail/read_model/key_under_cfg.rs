// A table has the same key in every build.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    #[cfg(test)]
    #[key]
    pub branch: u32,
}

fn main() {}
