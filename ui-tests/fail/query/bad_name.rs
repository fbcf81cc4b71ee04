// Names have no spaces.
use es_runtime::prelude::*;

#[query(output = i64, name = "balance of")]
pub struct BalanceOf {
    pub account: Uuid,
}

fn main() {}
