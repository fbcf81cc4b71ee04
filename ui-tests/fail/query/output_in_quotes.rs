// An output is a type.
use es_runtime::prelude::*;

#[query(output = "i64")]
pub struct BalanceOf {
    pub account: Uuid,
}

fn main() {}
