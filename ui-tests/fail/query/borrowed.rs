// A query owns its data.
use es_runtime::prelude::*;

#[query(output = i64)]
pub struct BalanceOf<'a> {
    pub owner: &'a str,
}

fn main() {}
