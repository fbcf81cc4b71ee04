// A query does not read the log.
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
async fn balance(_: BalanceOf, _: MemoryStore) -> Result<Option<Balance>, ReadModelError> {
    Ok(None)
}

fn main() {}
