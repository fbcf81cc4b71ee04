// A query changes nothing.
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

impl Balance {
    #[query_handler]
    async fn balance(&mut self, _: BalanceOf) -> Result<Option<Balance>, ReadModelError> {
        Ok(None)
    }
}

fn main() {}
