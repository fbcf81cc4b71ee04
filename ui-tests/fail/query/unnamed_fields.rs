// Fields have names.
use es_runtime::prelude::*;

#[query(output = i64)]
pub struct BalanceOf(Uuid);

fn main() {}
