// The output belongs to the query.
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

#[query_handler(output = Option<Balance>)]
async fn balance(_: BalanceOf) -> Result<Option<Balance>, ReadModelError> {
    Ok(None)
}

fn main() {}
