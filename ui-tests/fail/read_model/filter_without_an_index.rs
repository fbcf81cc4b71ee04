// What is filtered by has an index.
use es_runtime::prelude::*;

#[read_model(table = "balances")]
pub struct Balance {
    #[key]
    pub account: Uuid,
    pub owner: String,
}

pub fn filters() {
    let _ = Balance::ACCOUNT.eq(Uuid::nil());
    let _ = Balance::OWNER.eq("ann".to_owned());
}

fn main() {}
