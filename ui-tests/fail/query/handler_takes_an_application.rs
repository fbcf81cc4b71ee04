// A query has no side effects.
use es_runtime::prelude::*;
use es_ui_tests::Bank;

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
async fn balance(_: BalanceOf, _: &App<Bank, MemoryStore>) -> Result<Option<Balance>, ReadModelError> {
    Ok(None)
}

fn main() {}
