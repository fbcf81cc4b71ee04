// Names of queries are unique.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
}

#[query(output = Option<Balance>)]
pub struct BalanceOf {
    pub account: Uuid,
}

#[query_handler]
async fn balance(_: BalanceOf, _: &Table<Balance>) -> Result<Option<Balance>, ReadModelError> {
    Ok(None)
}

#[query(output = i64, name = "BalanceOf")]
pub struct Total {}

#[query_handler]
async fn total(_: Total) -> Result<i64, ReadModelError> {
    Ok(0)
}

domain! { pub Reads = "reads"; queries: [BalanceOf, Total] }

fn main() {}
