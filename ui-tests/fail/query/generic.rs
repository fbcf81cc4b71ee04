// Queries are asked by their name.
use es_runtime::prelude::*;

#[query(output = i64)]
pub struct BalanceOf<T> {
    pub account: T,
}

fn main() {}
