// A query is a struct.
use es_runtime::prelude::*;

#[query(output = i64)]
pub enum BalanceOf {
    All,
}

fn main() {}
