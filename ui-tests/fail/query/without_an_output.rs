// A query is answered.
use es_runtime::prelude::*;

#[query]
pub struct BalanceOf {
    pub account: Uuid,
}

fn main() {}
