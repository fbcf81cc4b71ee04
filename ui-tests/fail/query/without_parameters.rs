// A query comes first.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub cents: i64,
}

#[query_handler]
async fn balance() -> Result<Option<Balance>, ReadModelError> {
    Ok(None)
}

fn main() {}
