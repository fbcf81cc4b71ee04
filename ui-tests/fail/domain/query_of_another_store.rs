// A query that takes a connection runs on its store.
use es_runtime::prelude::*;
use sqlx::SqliteConnection;

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
async fn balance(_: BalanceOf, _: &mut SqliteConnection) -> Result<Option<Balance>, ReadModelError> {
    Ok(None)
}

domain! { pub Reads = "reads"; queries: [BalanceOf] }

pub fn start(store: MemoryStore) {
    let _ = App::<Reads, _>::builder(store);
}

fn main() {}
