// A mistyped option.
use es_runtime::prelude::*;

#[query(ouptut = i64)]
pub struct BalanceOf {
    pub account: Uuid,
}

fn main() {}
